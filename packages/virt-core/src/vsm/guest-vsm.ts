import { MapGpaFlag, StateError, VsmPartitionConfig } from '@paravisor/hcl-protocol';
import type { Plain } from '@paravisor/hcl-protocol';

/** How far a partition has come with guest VSM (openvmm `GuestVsmState`). */
export const VsmState = { /** Not offered. */ Unavailable: 0, Available: 1, /** VTL1 is enabled for the partition. */ Enabled: 2 } as const;
export type VsmState = (typeof VsmState)[keyof typeof VsmState];

const ALL_ACCESS = MapGpaFlag.Readable | MapGpaFlag.Writable | MapGpaFlag.KernelExecutable | MapGpaFlag.UserExecutable;
const CONFIG_BITS =
  VsmPartitionConfig.EnableVtlProtection | VsmPartitionConfig.DefaultProtectionMask | VsmPartitionConfig.ZeroMemoryOnReset | VsmPartitionConfig.DenyLowerVtlStartup;

/** What became of a write to VsmPartitionConfig. */
export const ConfigOutcome = { Done: 0, NotEnabled: 1, Invalid: 2 } as const;
export type ConfigOutcome = (typeof ConfigOutcome)[keyof typeof ConfigOutcome];

/** A partition's guest VSM: what all its VPs share of VTL1. */
export class GuestVsm {
  state: VsmState;
  /** Mode-based execution control was asked for when VTL1 was enabled. */
  mbecEnabled = false;
  /** VTL1 was enabled on some VP: from then on VTL1 itself enables it on others. */
  enabledOnAnyVp = false;
  /** VTL1 forbids VTL0 to start VPs: by hypercall, INIT or start-up IPI. */
  denyLowerVtlStartup = false;
  #zeroMemoryOnReset = false;
  #protectionEnabled = false;
  #defaultProtection: number = ALL_ACCESS;

  constructor(offered: boolean) {
    this.state = offered ? VsmState.Available : VsmState.Unavailable;
  }

  /** VTL1 for the partition; `mbec` as the guest asked. */
  enable(mbec: boolean): void {
    this.state = VsmState.Enabled;
    this.mbecEnabled = mbec;
  }

  /**
   * A write to VsmPartitionConfig. Bits openvmm knows, protections that read and write, and none taken back or changed once given. The protection itself
   * is kept here and not enforced.
   */
  configure(lo: number, hi: number): ConfigOutcome {
    if (hi !== 0 || (lo & ~CONFIG_BITS) !== 0) return ConfigOutcome.Invalid;
    if (this.state !== VsmState.Enabled) return ConfigOutcome.NotEnabled;
    const protection = (lo & VsmPartitionConfig.DefaultProtectionMask) >>> VsmPartitionConfig.DefaultProtectionShift;
    const takesBack = (lo & VsmPartitionConfig.EnableVtlProtection) === 0 && this.#protectionEnabled;
    const changes = this.#protectionEnabled && protection !== this.#defaultProtection;
    if (takesBack || changes || !this.#isValidProtection(protection)) return ConfigOutcome.Invalid;
    this.#defaultProtection = protection;
    // Whatever the enable bit said, as in the reference.
    this.#protectionEnabled = true;
    this.#zeroMemoryOnReset = (lo & VsmPartitionConfig.ZeroMemoryOnReset) !== 0;
    this.denyLowerVtlStartup = (lo & VsmPartitionConfig.DenyLowerVtlStartup) !== 0;
    return ConfigOutcome.Done;
  }

  /** Readable and writable; executable for kernel and user alike, unless MBEC tells the two apart. */
  #isValidProtection(protection: number): boolean {
    const kernel = (protection & MapGpaFlag.KernelExecutable) !== 0;
    const user = (protection & MapGpaFlag.UserExecutable) !== 0;
    if (kernel !== user && (kernel || !this.mbecEnabled)) return false;
    return (protection & (MapGpaFlag.Readable | MapGpaFlag.Writable)) === (MapGpaFlag.Readable | MapGpaFlag.Writable);
  }

  save(): GuestVsmState {
    const { state, mbecEnabled, enabledOnAnyVp, denyLowerVtlStartup } = this;
    return {
      state,
      mbecEnabled,
      enabledOnAnyVp,
      denyLowerVtlStartup,
      zeroMemoryOnReset: this.#zeroMemoryOnReset,
      protectionEnabled: this.#protectionEnabled,
      defaultProtection: this.#defaultProtection,
    };
  }

  restore(saved: GuestVsmState): void {
    if ((saved.state === VsmState.Unavailable) !== (this.state === VsmState.Unavailable)) {
      throw new StateError('the saved partition and this one do not both offer guest VSM');
    }
    this.state = saved.state as VsmState;
    this.mbecEnabled = saved.mbecEnabled;
    this.enabledOnAnyVp = saved.enabledOnAnyVp;
    this.denyLowerVtlStartup = saved.denyLowerVtlStartup;
    this.#zeroMemoryOnReset = saved.zeroMemoryOnReset;
    this.#protectionEnabled = saved.protectionEnabled;
    this.#defaultProtection = saved.defaultProtection;
  }
}

/** `GuestVsm` as plain data. */
export type GuestVsmState = {
  readonly state: number;
  readonly mbecEnabled: boolean;
  readonly enabledOnAnyVp: boolean;
  readonly denyLowerVtlStartup: boolean;
  readonly zeroMemoryOnReset: boolean;
  readonly protectionEnabled: boolean;
  readonly defaultProtection: number;
} & Plain;
