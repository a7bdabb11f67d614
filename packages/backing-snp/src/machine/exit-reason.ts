/** Under which name an SVM exit counts (openvmm's counters of `snp/mod.rs`), and which exits are automatic. */
import { ExitReason, SvmExit } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';

/** Exit codes are sparse, and all below this. */
const CODES = 0x404;

const byCode = new Int32Array(CODES).fill(ExitReason.other);
byCode[SvmExit.Intr] = ExitReason.intr;
byCode[SvmExit.Vintr] = ExitReason.vintr;
byCode[SvmExit.Rdpmc] = ExitReason.rdpmc;
byCode[SvmExit.Cpuid] = ExitReason.cpuid;
byCode[SvmExit.Invd] = ExitReason.invd;
byCode[SvmExit.Wbinvd] = ExitReason.invd;
byCode[SvmExit.Hlt] = ExitReason.hlt;
byCode[SvmExit.Ioio] = ExitReason.ioio;
byCode[SvmExit.Msr] = ExitReason.msr_read;
byCode[SvmExit.Vmmcall] = ExitReason.vmmcall;
byCode[SvmExit.Xsetbv] = ExitReason.xsetbv;
byCode[SvmExit.BusLock] = ExitReason.bus_lock;
byCode[SvmExit.Npf] = ExitReason.npf;
byCode[SvmExit.Vmgexit] = ExitReason.vmgexit;
for (const code of [SvmExit.Nmi, SvmExit.Smi, SvmExit.Pause, SvmExit.IdleHlt]) byCode[code] = ExitReason.automatic_exit;

/** Number of `ExitReason` for an exit code; bit 0 of exit_info1 tells an MSR write. */
export function exitReasonNumber(code: ReadonlyU64, exitInfo1: ReadonlyU64): number {
  if (code.hi !== 0) return ExitReason.other;
  if (code.lo === SvmExit.Msr && (exitInfo1.lo & 1) !== 0) return ExitReason.msr_write;
  return byCode[code.lo] ?? ExitReason.other;
}

/**
 * Whether an exit is automatic (APM volume 2, 15.35.4): asynchronous, or showing the host nothing of the guest. Any other would raise #VC in the
 * guest; with reflection it goes to VMPL0 instead, and leaves guest-busy set.
 */
export function isAutomaticExit(code: number): boolean {
  switch (code) {
    case SvmExit.Intr:
    case SvmExit.Nmi:
    case SvmExit.Smi:
    case SvmExit.Vintr:
    case SvmExit.Pause:
    case SvmExit.Hlt:
    case SvmExit.IdleHlt:
    case SvmExit.Shutdown:
    case SvmExit.BusLock:
    case SvmExit.Vmgexit:
      return true;
    default:
      return false;
  }
}
