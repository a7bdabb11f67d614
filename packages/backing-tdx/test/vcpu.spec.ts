import { EntryRcx, TdxStatus, U64, viewTdxRunPage } from '@paravisor/hcl-protocol';
import { createMachine } from '@paravisor/virt-machine';
import type { MachineBacking, VpMachine } from '@paravisor/virt-machine';
import { describe, expect, it } from 'vitest';
import { tdxMachine } from '../src/machine/index.js';
import { TrustDomain } from '../src/machine/trust-domain.js';
import { TdxVcpu } from '../src/machine/vcpu.js';

const VM1 = new U64().setParts(0, 1 << EntryRcx.HighVmShift);

/** Enters VM 1 of a VCPU whose guest state is at `address`; the machine's VTL2 has an interrupt to take, or not. Gives status and basic reason. */
function enter(address: number, interruptPending: boolean): [status: number, reason: number] {
  const tdx = tdxMachine('supported');
  let machine: VpMachine | undefined;
  const capturing: MachineBacking = {
    ...tdx,
    create: (context) => {
      const isolation = tdx.create(context);
      const createVp = isolation.createVp.bind(isolation);
      return Object.assign(isolation, { createVp: (vp: VpMachine) => createVp((machine = vp)) });
    },
  };
  createMachine({ backing: capturing, ramBytes: 4 << 20 });
  const { runPage, host } = machine!;
  if (interruptPending) Object.defineProperty(host, 'vtl2InterruptPending', { value: true });
  const { gprList, exitInfo } = viewTdxRunPage(runPage).context;
  const vcpu = new TdxVcpu(new TrustDomain(1, 2), machine!, gprList, address, exitInfo, () => null);
  vcpu.vm(1)!.vmcs.apic.setPage(new Uint8Array(4096));
  vcpu.enter(VM1);
  return [exitInfo.rax.hi >>> 0, exitInfo.rax.lo & 0xffff];
}

describe('TDG.VP.ENTER of one VCPU (TDX module ABI)', () => {
  it('wants the guest state aligned to 256 bytes', () => {
    expect([0x1010, 0x1080, 0x10ff].map((address) => enter(address, false)[0])).toEqual([TdxStatus.OperandInvalid, TdxStatus.OperandInvalid, TdxStatus.OperandInvalid]);
    // What stops it then is the guest state itself, which is all zeros: reason 33.
    expect(enter(0x1100, false)).toEqual([TdxStatus.Success, 33]);
  });

  it('returns PENDING_INTERRUPT without an entry while an interrupt for VTL2 waits', () => {
    expect(enter(0x1100, true)).toEqual([TdxStatus.PendingInterrupt, 0]);
    expect(enter(0x1080, true)[0], 'operands are looked at first').toBe(TdxStatus.OperandInvalid);
  });
});
