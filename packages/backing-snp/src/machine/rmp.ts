/** The reverse map table, as far as VMPLs see it: which pages are validated, and what each VMPL may do with them (APM volume 2, 15.36). */
import { Errno, restoreBytes, saveBytes } from '@paravisor/hcl-protocol';
import type { MachineContext } from '@paravisor/virt-machine';
import { Access } from '@paravisor/x86-cpu';
import { RmpPermission, VMPL_COUNT, VMPL_OF_VTL } from '../abi/index.js';

const PAGE_BYTES = 4096;
const EXECUTE = RmpPermission.UserExecute | RmpPermission.SupervisorExecute;

/** What the processor's permission byte says for a page: execution only where both modes may, since the byte knows one kind of execution. */
function accessOf(permissions: number): number {
  const execute = (permissions & EXECUTE) === EXECUTE ? Access.Execute : 0;
  return (permissions & RmpPermission.Read ? Access.Read : 0) | (permissions & RmpPermission.Write ? Access.Write : 0) | execute;
}

export type RmpState = {
  readonly validated: string;
  /** By VMPL. */
  readonly permissions: readonly string[];
  /** Pages the processors have not been told of: [first, end). */
  readonly changed: readonly [number, number];
};

/** A partition's RMP. A page starts unvalidated, and open to no lower VMPL. */
export class Rmp {
  readonly #context: MachineContext;
  readonly #pages: number;
  readonly #validated: Uint8Array;
  /** Permissions by VMPL, then page. */
  readonly #permissions: readonly Uint8Array[];
  /** Pages whose permissions the processors do not know yet: [first, end). */
  #changedFirst: number;
  #changedEnd: number;

  constructor(context: MachineContext) {
    this.#context = context;
    this.#pages = context.memory.ramBytes / PAGE_BYTES;
    this.#validated = new Uint8Array(this.#pages);
    this.#permissions = Array.from({ length: VMPL_COUNT }, () => new Uint8Array(this.#pages));
    this.#changedFirst = 0;
    this.#changedEnd = this.#pages;
  }

  /** PVALIDATE of a 4 KiB page. EINVAL for an address that is no page of RAM, and when nothing would change (RFLAGS.CF, which the driver reports so). */
  pvalidate(gpa: number, validate: boolean): number {
    const page = this.#pageOf(gpa);
    if (page < 0) return Errno.EINVAL;
    const value = validate ? 1 : 0;
    if (this.#validated[page] === value) return Errno.EINVAL;
    this.#validated[page] = value;
    this.#noteChange(page);
    return 0;
  }

  /** RMPADJUST by VMPL0. EINVAL for VMPL0 itself, permissions that do not exist, and a page not validated. */
  rmpadjust(gpa: number, vmpl: number, permissions: number): number {
    const page = this.#pageOf(gpa);
    if (page < 0 || vmpl < 1 || vmpl >= VMPL_COUNT || (permissions & ~RmpPermission.All) !== 0) return Errno.EINVAL;
    if (this.#validated[page] === 0) return Errno.EINVAL;
    this.#permissions[vmpl]![page] = permissions;
    this.#noteChange(page);
    return 0;
  }

  save(): RmpState {
    return {
      validated: saveBytes(this.#validated),
      permissions: this.#permissions.map(saveBytes),
      changed: [this.#changedFirst, this.#changedEnd],
    };
  }

  restore({ validated, permissions, changed }: RmpState): void {
    restoreBytes(this.#validated, validated);
    for (const [vmpl, bytes] of this.#permissions.entries()) restoreBytes(bytes, permissions[vmpl]!);
    [this.#changedFirst, this.#changedEnd] = changed;
  }

  /**
   * Lets the processors see what has changed, before a lower VMPL is entered. Not with each page: the permission tables belong to translations, which
   * only an entry can use, and telling them costs a flush.
   */
  apply(): void {
    if (this.#changedFirst >= this.#changedEnd) return;
    for (const [vtl, vmpl] of VMPL_OF_VTL.entries()) this.#applyTo(this.#context.permissionTableOf(vtl), this.#permissions[vmpl]!);
    this.#changedFirst = this.#pages;
    this.#changedEnd = 0;
  }

  #applyTo(table: number, permissions: Uint8Array): void {
    const { memory } = this.#context;
    let first = this.#changedFirst;
    while (first < this.#changedEnd) {
      const bits = this.#access(first, permissions);
      let end = first + 1;
      while (end < this.#changedEnd && this.#access(end, permissions) === bits) end++;
      memory.setPermissions(table, first, end - first, bits);
      first = end;
    }
  }

  /** An unvalidated page is closed, whatever RMPADJUST said before. */
  #access(page: number, permissions: Uint8Array): number {
    return this.#validated[page] === 0 ? 0 : accessOf(permissions[page]!);
  }

  #pageOf(gpa: number): number {
    const page = gpa / PAGE_BYTES;
    return Number.isInteger(page) && page >= 0 && page < this.#pages ? page : -1;
  }

  #noteChange(page: number): void {
    this.#changedFirst = Math.min(this.#changedFirst, page);
    this.#changedEnd = Math.max(this.#changedEnd, page + 1);
  }
}
