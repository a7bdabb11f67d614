import { DeliveryMode, StateError, U64 } from '@paravisor/hcl-protocol';
import type { Hcl, HclVp, Plain } from '@paravisor/hcl-protocol';
import { Destination, LocalApicSet } from '../apic/index.js';
import { silentTimerObserver } from '../contract/index.js';
import type { Backing, BackingShared, Chipset, InitialRegisters, TimerObserver, VpFault } from '../contract/index.js';
import { flushCalls, hypercallTable, notifyLongSpinWait, postMessage, sendSyntheticClusterIpi, sendSyntheticClusterIpiEx, signalEvent } from '../hypercall/index.js';
import { HypervisorRegisters } from '../msr/index.js';
import type { HypervisorRegistersState, ProcessorVendor } from '../msr/index.js';
import { SynicPorts } from '../synic/index.js';
import type { SynicPortsState, SynicTarget } from '../synic/index.js';
import { ReferenceTimeScale } from '../time/index.js';
import { GuestVsm, vsmHypercalls } from '../vsm/index.js';
import type { GuestVsmState } from '../vsm/index.js';
import { WakeReason } from './lower-vtl.js';
import { ParavisorVp } from './paravisor-vp.js';
import type { ParavisorVpState } from './paravisor-vp.js';
import { tscFrequencyOf } from './tsc-frequency.js';

const LOWER_VTLS = 2;

/** What a paravisor is started with. */
export interface ParavisorOptions {
  readonly backing: Backing;
  readonly hcl: Hcl;
  readonly chipset: Chipset;
  /** VTL0 registers of the first VP, from the loader. */
  readonly initialRegisters: InitialRegisters;
  /** OPENHCL_DISABLE_LOWER_VTL_TIMER_VIRT: use the VmTime timer whatever the backing can. */
  readonly disableLowerVtlTimerVirt: boolean;
  /** Told of guest timers; the default says nothing. */
  readonly timerObserver?: TimerObserver;
  /** The VmTime, 100 ns, at which the partition starts; 0 unless it goes on from an earlier life. */
  readonly vmTimeOrigin?: bigint;
  /** Do not tell the guest that it is isolated. */
  readonly hideIsolation?: boolean;
  /** Offer the guest virtual secure mode, VTL1; true unless said otherwise. Without it the guest's hypercalls for it are denied. */
  readonly guestVsm?: boolean;
  /** Call a VP back while an interrupt waits behind an auto-EOI one, whose end nobody sees; false, as in openvmm, unless said otherwise. */
  readonly remedyAutoEoi?: boolean;
  /** Let the guest reach the SINTs of its own partition by message and event (`ownConnection`); false unless said otherwise. */
  readonly ownPorts?: boolean;
  /** Told when a local APIC of VTL0 ends a level-triggered interrupt: for an I/O APIC. */
  readonly levelEoi?: (vector: number) => void;
}

/** A partition's paravisor: its VPs and what they share. */
export interface Paravisor {
  readonly vps: readonly ParavisorVp[];
  /** Virtual TSC frequency, Hz. */
  readonly tscFrequency: number;
  /** What the partition really uses, after capability and options. */
  readonly usesHardwareTimer: boolean;
  readonly backing: BackingShared;
  /** Where the guest's messages and events go, by connection id: empty until somebody opens a port. */
  readonly ports: SynicPorts;
  /**
   * A device's interrupt message to the local APICs of VTL0, in the PC's format for MSIs (SDM volume 3, 11.11): `address` has the destination in bits 19:12
   * and its mode in bit 2, `data` the vector in bits 7:0, the delivery mode in 10:8 and the trigger mode in bit 15. ExtINT only wakes.
   */
  signalMsi(address: number, data: number): void;
  /** A pulse at LINT pin 0 or 1 of a VP's VTL0: usually an ExtINT, which only wakes, and an NMI. */
  pulseLint(vp: number, pin: 0 | 1): void;
  /** The first VP's fault by VP index, or null while all live. */
  readonly fault: VpFault | null;
  /** Everything of it that is not the machine's: between rounds of its VPs. */
  save(): ParavisorState;
  /** Goes on from `state`: for a paravisor just started on a machine that was restored, with the same options. @throws {StateError} */
  restore(state: ParavisorState): void;
}

/** `Paravisor` as plain data. */
export type ParavisorState = {
  readonly vps: readonly ParavisorVpState[];
  /** By VTL. */
  readonly hypervisorRegisters: readonly HypervisorRegistersState[];
  readonly vsm: GuestVsmState;
  readonly ports: SynicPortsState;
  readonly backing: Plain;
};

/** Starts a paravisor on its ioctl line: no guest instruction runs yet. Throws `StartupError` when the machine cannot carry the partition. */
export function createParavisor(options: ParavisorOptions): Paravisor {
  const { backing, hcl } = options;
  const firstVp = hcl.vps[0];
  if (firstVp === undefined) throw new RangeError('a partition needs at least one VP');
  const tscFrequency = tscFrequencyOf(firstVp, backing.isolation);
  const shared = backing.createShared({ hcl, disableLowerVtlTimerVirt: options.disableLowerVtlTimerVirt, tscFrequency });

  const vps: ParavisorVp[] = [];
  const perVtl = <T>(create: () => T): T[] => Array.from({ length: LOWER_VTLS }, create);
  const waker = { wake: (vp: number, vtl: number) => vps[vp]!.wake(vtl, WakeReason.Apic) };
  const guestVsm = options.guestVsm ?? true;
  const vsm = new GuestVsm(guestVsm);
  const registerOptions = { memory: hcl.memory, vendor: vendorOf(firstVp), referenceScale: new ReferenceTimeScale(tscFrequency).pageScale };
  // What hypercalls reach at other VPs.
  const targets = {
    vpCount: hcl.vps.length,
    requestInterrupt: (vp: number, vtl: number, vector: number) => vps[vp]!.requestInterrupt(vtl, DeliveryMode.Fixed, vector, false),
    flushTlb: (vp: number, vtl: number) => vps[vp]!.flushTlb(vtl),
    queueMessage: ({ vp, vtl, sint }: SynicTarget, message: Uint8Array) => vps[vp]!.queueGuestMessage(vtl, sint, message),
    signalEvent: ({ vp, vtl, sint }: SynicTarget, flag: number) => void vps[vp]!.signalEvent(vtl, sint, flag),
  };
  const ports = new SynicPorts(targets, { ownPorts: options.ownPorts ?? false });
  const common = {
    hcl,
    shared,
    chipset: options.chipset,
    observer: options.timerObserver ?? silentTimerObserver,
    tscFrequency,
    vmTimeOrigin: vmTimeOriginOf(firstVp, options.vmTimeOrigin ?? 0n),
    cpuid: { ...shared.hypervisorCpuid, hideIsolation: options.hideIsolation ?? false, guestVsm },
    apicSets: [new LocalApicSet(waker, options.levelEoi), new LocalApicSet(waker)],
    hypervisorRegisters: perVtl(() => new HypervisorRegisters(registerOptions)),
    hypercalls: hypercallTable([
      notifyLongSpinWait,
      postMessage(ports),
      signalEvent(ports),
      sendSyntheticClusterIpi(targets),
      sendSyntheticClusterIpiEx(targets),
      ...flushCalls(targets),
      ...vsmHypercalls({ hcl, vsm, vps }),
    ]),
    vsm,
    remedyAutoEoi: options.remedyAutoEoi ?? false,
  };
  for (const hclVp of hcl.vps) vps.push(new ParavisorVp({ ...common, hclVp }));
  for (const vp of vps) vp.powerOn(options.initialRegisters);

  return {
    vps,
    tscFrequency,
    usesHardwareTimer: shared.usesHardwareTimer,
    backing: shared,
    ports,
    signalMsi(address, data) {
      const id = (address >>> 12) & 0xff;
      const logical = (address & 4) !== 0;
      const destination = logical ? Destination.Logical : id === 0xff ? Destination.Broadcast : Destination.Physical;
      common.apicSets[0]!.send(destination, id, (data >>> 8) & 7, data & 0xff, (data & 0x8000) !== 0);
    },
    pulseLint: (vp, pin) => vps[vp]!.pulseLint(pin),
    get fault() {
      return vps.find((vp) => vp.fault !== null)?.fault ?? null;
    },
    save: () => ({
      vps: vps.map((vp) => vp.save()),
      hypervisorRegisters: common.hypervisorRegisters.map((registers) => registers.save()),
      vsm: vsm.save(),
      ports: ports.save(),
      backing: shared.save(),
    }),
    restore(state) {
      if (state.vps.length !== vps.length) throw new StateError(`the saved partition has ${state.vps.length} VPs, this one has ${vps.length}`);
      vsm.restore(state.vsm);
      for (const vp of vps) vp.restore(state.vps[vp.index]!);
      for (const [vtl, registers] of common.hypervisorRegisters.entries()) registers.restore(state.hypervisorRegisters[vtl]!);
      ports.restore(state.ports);
      shared.restore(state.backing);
    },
  };
}

/** VmTime starts with the paravisor. */
function vmTimeOriginOf(vp: HclVp, vmTime: bigint): { vmTime: U64; osNs: U64 } {
  const osNs = new U64();
  vp.osTimeNs(osNs);
  return { vmTime: U64.of(vmTime), osNs };
}

/** Which call instruction the guest's processor has, by the vendor string of CPUID leaf 0: "AuthenticAMD" or any other. */
function vendorOf(vp: HclVp): ProcessorVendor {
  const registers = new Int32Array(4);
  vp.cpuid(0, 0, registers);
  const [, ebx] = registers;
  return ebx === AUTH ? 'amd' : 'intel';
}
/** "Auth", the start of AMD's vendor string as EBX holds it. */
const AUTH = 0x68747541;
