/**
 * The ioctl line: the mshv_vtl driver and VTL2's own processor, as user mode in VTL2 sees them. The machine makes it, the
 * paravisor uses it, and nothing else crosses between the two.
 */
import type { ReadonlyU64, U64 } from './u64.js';
import type { TdcallArgument } from './tdx.js';

/** How the RETURN_TO_LOWER_VTL ioctl stands. */
export const RunStatus = {
  /** Returned 0: a lower VTL exited; the exit is in the run page (TDX) or the VMSA (SNP). */
  Finished: 0,
  /** Returned EINTR: `cancel` was found set, or the calling thread was signalled. */
  Cancelled: 1,
  /** The calling thread is still inside the ioctl; call `run` again when this VP is next scheduled. */
  Pending: 2,
  /** Returned another errno: see `runErrno`. */
  Failed: 3,
} as const;
export type RunStatus = (typeof RunStatus)[keyof typeof RunStatus];

/** Guest memory at guest physical addresses, checked as VTL2 accesses. Addresses are exact numbers. */
export interface GuestMemoryLine {
  /** Bytes of guest RAM from address 0. */
  readonly ramBytes: number;
  /** Copies `out.length` bytes from `gpa`. False when any byte lies outside RAM. */
  read(gpa: number, out: Uint8Array): boolean;
  /** Copies all of `data` to `gpa`, or nothing and false. */
  write(gpa: number, data: Uint8Array): boolean;
  /** Reads the aligned 8 bytes at `gpa` without allocating. */
  readU64(gpa: number, out: U64): boolean;
  /**
   * Atomically replaces the aligned `size` (1, 2, 4 or 8) bytes at `gpa` by `value` if they equal `expected`, and leaves what was
   * found in `expected`. 1 exchanged, 0 not equal, −1 outside RAM.
   */
  compareExchange(gpa: number, size: number, expected: U64, value: ReadonlyU64): number;
}

/** A page of VTL2's private memory that user mode has taken from its pool (openvmm `page_pool_alloc`), with its guest physical address. */
export interface PrivatePage {
  readonly bytes: Uint8Array;
  readonly address: number;
}

/** One VP's file descriptor, its mapped pages, and the VTL2 processor under it. */
export interface HclVp {
  readonly index: number;
  /** The run page (`runPageLayout`), shared with the driver. */
  readonly runPage: Uint8Array;
  /** The VTL0 virtual-APIC page (TDX) or secure-AVIC page. */
  readonly apicPage: Uint8Array;
  /** The page user mode has for VTL1's virtual APIC under TDX; the driver has none for it. */
  readonly vtl1ApicPage?: PrivatePage | undefined;
  /** The VMSA of a lower VTL under SNP, else null. */
  vmsa(vtl: number): Uint8Array | null;

  /** RETURN_TO_LOWER_VTL. Runs the lower VTL, or idles when the run page says HALTED, until something is for user mode. */
  run(): RunStatus;
  /**
   * Another thread of VTL2 makes this VP's poll file ready (SET_POLL_FILE): `cancel` is set in the run page, and VTL2's CPU of this VP is interrupted
   * out of a lower VTL or its idling. The call is made on the CPU of the thread that runs now: an IPI between VTL2's CPUs goes through the host. For a
   * VP whose thread is in user mode only `cancel` is left set.
   */
  wake(): void;
  /** After `RunStatus.Failed`: the errno. */
  readonly runErrno: number;
  /** After `RunStatus.Finished` under SNP: a host intercept message was put into `exitMessage` of the run page. */
  readonly interceptMessagePresent: boolean;

  /** TDCALL on behalf of user mode; results are left in the argument. Returns 0 or an errno. */
  tdcall(argument: TdcallArgument): number;
  /** Reads a Hyper-V VP register of VTL2's own VP. Returns the TLFS status, 0 for success. */
  getVpRegister(name: number, value: U64): number;
  setVpRegister(name: number, value: ReadonlyU64): number;
  /** Validates (or un-validates) the 4 KiB page at `gpa` (SNP). Returns 0 or an errno. */
  pvalidate(gpa: number, validate: boolean): number;
  /** Sets the permissions of `vmpl` for the 4 KiB page at `gpa` (SNP): bits 1 read, 2 write, 4 user execute, 8 supervisor execute. */
  rmpadjust(gpa: number, vmpl: number, permissions: number): number;

  /** RDTSC of VTL2's processor. */
  rdtsc(out: U64): void;
  /** CPUID of VTL2's processor: EAX EBX ECX EDX into `out`. */
  cpuid(leaf: number, subleaf: number, out: Int32Array): void;
  /** RDMSR of what VTL2 may read; false stands for #GP. */
  rdmsr(index: number, out: U64): boolean;
  /** The OS monotonic clock, ns. */
  osTimeNs(out: U64): void;

  /**
   * Sets the timeout of this VP's poll file to an OS monotonic time. Its expiry sets `cancel`, and `run` returns Cancelled. Arming an
   * unchanged time programs nothing.
   */
  armTimer(osNs: ReadonlyU64): void;
  /** Forgets the timeout. The clock event device that was armed for it is not stopped (an assumption, see the cost model). */
  cancelTimer(): void;
}

/** The partition's driver instance. */
export interface Hcl {
  /** CHECK_EXTENSION: the capability's value, or a negative errno (−EOPNOTSUPP: the kernel does not know it). */
  checkExtension(capability: number): number;
  /** HVCALL: a hypercall to the host from VTL2. Returns the TLFS status of the result value's low 16 bits. */
  hvcall(control: ReadonlyU64, input: Uint8Array, output: Uint8Array): number;
  readonly vps: readonly HclVp[];
  readonly memory: GuestMemoryLine;
}
