import { Errno } from '@paravisor/hcl-protocol';
import { defaultCosts } from '@paravisor/virt-machine';
import { createMachineMemory } from '@paravisor/x86-cpu';
import { describe, expect, it } from 'vitest';
import { RmpPermission } from '../abi/index.js';
import { Rmp } from './rmp.js';

const PAGE = 0x1000;
const RAM = 8 * PAGE;
const VMPL2 = 2;
const VMPL1 = 1;

/** An RMP over eight pages; `access` tells what a lower VTL may do with one once the changes are applied. */
function start() {
  const memory = createMachineMemory({ contexts: 2, ramBytes: RAM, permissionTables: 2, hostPages: 0 });
  const rmp = new Rmp({ memory, costs: defaultCosts, tscHz: 1e9, vpCount: 1, permissionTableOf: (vtl) => vtl });
  const access = (vtl: number, gpa: number): number => {
    rmp.apply();
    return memory.getPermissions(vtl, gpa / PAGE);
  };
  return { rmp, memory, access };
}

describe('the RMP (APM 15.36)', () => {
  it('a page is closed to lower VMPLs until it is validated and RMPADJUST opened it', () => {
    const { rmp, access } = start();
    expect(access(0, PAGE)).toBe(0);
    expect(rmp.pvalidate(PAGE, true)).toBe(0);
    expect(access(0, PAGE)).toBe(0);
    expect(rmp.rmpadjust(PAGE, VMPL2, RmpPermission.All)).toBe(0);
    expect(access(0, PAGE)).toBe(7);
  });

  it('permissions are each VMPL\'s own: VTL0 runs in VMPL2, VTL1 in VMPL1', () => {
    const { rmp, access } = start();
    rmp.pvalidate(PAGE, true);
    rmp.rmpadjust(PAGE, VMPL2, RmpPermission.Read);
    rmp.rmpadjust(PAGE, VMPL1, RmpPermission.Read | RmpPermission.Write);
    expect([access(0, PAGE), access(1, PAGE)]).toEqual([1, 3]);
  });

  it('execution needs both modes\' permission, the model knowing one kind', () => {
    const { rmp, access } = start();
    rmp.pvalidate(PAGE, true);
    rmp.rmpadjust(PAGE, VMPL2, RmpPermission.Read | RmpPermission.SupervisorExecute);
    expect(access(0, PAGE)).toBe(1);
    rmp.rmpadjust(PAGE, VMPL2, RmpPermission.Read | RmpPermission.SupervisorExecute | RmpPermission.UserExecute);
    expect(access(0, PAGE)).toBe(5);
  });

  it('a page that is no longer validated is closed, its neighbours are not', () => {
    const { rmp, access } = start();
    for (let gpa = 0; gpa < RAM; gpa += PAGE) {
      rmp.pvalidate(gpa, true);
      rmp.rmpadjust(gpa, VMPL2, RmpPermission.All);
    }
    expect(access(0, 3 * PAGE)).toBe(7);
    rmp.pvalidate(3 * PAGE, false);
    expect([2, 3, 4].map((page) => access(0, page * PAGE))).toEqual([7, 0, 7]);
  });

  it('processors hear of changes at the next entry, not before', () => {
    const { rmp, memory, access } = start();
    expect(access(0, 0)).toBe(0);
    rmp.pvalidate(0, true);
    rmp.rmpadjust(0, VMPL2, RmpPermission.All);
    expect(memory.getPermissions(0, 0)).toBe(0);
    expect(access(0, 0)).toBe(7);
  });

  it('refuses what is no page of RAM, what changes nothing, VMPL0, unknown permissions, and a page not validated', () => {
    const { rmp } = start();
    expect(rmp.pvalidate(RAM, true)).toBe(Errno.EINVAL);
    expect(rmp.pvalidate(1, true)).toBe(Errno.EINVAL);
    expect(rmp.pvalidate(0, false)).toBe(Errno.EINVAL);
    expect(rmp.rmpadjust(0, VMPL2, RmpPermission.All)).toBe(Errno.EINVAL);
    rmp.pvalidate(0, true);
    expect(rmp.pvalidate(0, true)).toBe(Errno.EINVAL);
    expect(rmp.rmpadjust(0, 0, RmpPermission.All)).toBe(Errno.EINVAL);
    expect(rmp.rmpadjust(0, 4, RmpPermission.All)).toBe(Errno.EINVAL);
    expect(rmp.rmpadjust(0, VMPL2, 16)).toBe(Errno.EINVAL);
  });
});
