/** How local APICs of one VTL reach each other: destinations of an interrupt message (SDM volume 3, 11.6.2; openvmm `LocalApicSet`). */
import { DeliveryMode, Icr, Shorthand } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';

/** What sending an interrupt message needs of an APIC. */
export interface IpiTarget {
  readonly vp: number;
  readonly vtl: number;
  readonly apicId: number;
  readonly hardwareEnabled: boolean;
  readonly softwareEnabled: boolean;
  readonly x2apicEnabled: boolean;
  /** LDR bits 31:24 (xAPIC). */
  readonly logicalId: number;
  /** DFR selects the cluster model (xAPIC). */
  readonly clusterMode: boolean;
  /** Stages a request; true when it is news for the VP. */
  stage(deliveryMode: number, vector: number, levelTriggered: boolean, autoEoi: boolean): boolean;
  /** Stages a request of the APIC's own: nobody is woken. */
  stageForSelf(deliveryMode: number, vector: number, levelTriggered: boolean): boolean;
}

/** Told when a request waits in the APIC of a VP: it is to scan that VTL's APIC with `scanIrr` in its next round, and soon. */
export interface ApicWaker {
  wake(vp: number, vtl: number): void;
}

/** Kinds of destination. */
export const Destination = {
  /** The APIC id. */
  Physical: 0,
  /** A set, matched against each LDR or x2APIC logical id. */
  Logical: 1,
  /** Everybody; the id is not used. */
  Broadcast: 2,
  /** Everybody but the APIC id. */
  AllExcept: 3,
} as const;
export type Destination = (typeof Destination)[keyof typeof Destination];

const BROADCAST_X2APIC = 0xffffffff;
const BROADCAST_XAPIC = 0xff;

/** All local APICs of one VTL. */
export class LocalApicSet {
  readonly levelEoi: ((vector: number) => void) | undefined;
  readonly #waker: ApicWaker;
  readonly #byId: IpiTarget[] = [];

  /** `levelEoi` is told the vector of each level-triggered interrupt that one of them ends. */
  constructor(waker: ApicWaker, levelEoi?: (vector: number) => void) {
    this.levelEoi = levelEoi;
    this.#waker = waker;
  }

  /** Called by an APIC that comes into being. Throws `RangeError` when its id is taken. */
  add(apic: IpiTarget): void {
    if (this.#byId.some((other) => other.apicId === apic.apicId)) throw new RangeError(`APIC id ${apic.apicId} is taken`);
    this.#byId.push(apic);
    this.#byId.sort((a, b) => a.apicId - b.apicId);
  }

  /** Sends an interrupt message; a VP whose APIC has something new waiting is woken. `id` is unsigned; in xAPIC mode 8 bits of it count. */
  send(destination: Destination, id: number, deliveryMode: number, vector: number, levelTriggered: boolean): void {
    const logical = destination === Destination.Logical;
    const x2apic = logical && this.#anyX2apic();
    const cluster = logical && !x2apic && this.#anyCluster();
    for (const apic of this.#byId) {
      if (!this.#matches(apic, destination, id, x2apic, cluster)) continue;
      // Lowest priority goes to the first software-enabled APIC; a physical destination is taken as it is.
      const choosing = deliveryMode === DeliveryMode.LowestPriority && destination !== Destination.Physical;
      if (choosing && !apic.softwareEnabled) continue;
      this.request(apic, deliveryMode, vector, levelTriggered, false);
      if (choosing) return;
    }
  }

  /** Stages a request in one APIC, if it is hardware-enabled, and wakes its VP when that is news. */
  request(apic: IpiTarget, deliveryMode: number, vector: number, levelTriggered: boolean, autoEoi: boolean): void {
    if (apic.hardwareEnabled && apic.stage(deliveryMode, vector, levelTriggered, autoEoi)) this.#waker.wake(apic.vp, apic.vtl);
  }

  #matches(apic: IpiTarget, destination: Destination, id: number, x2apic: boolean, cluster: boolean): boolean {
    switch (destination) {
      case Destination.Physical:
        return apic.apicId === id;
      case Destination.Broadcast:
        return true;
      case Destination.AllExcept:
        return apic.apicId !== id;
      case Destination.Logical:
        // As soon as one APIC is in x2APIC mode, the reference reads every logical destination as an x2APIC one.
        if (x2apic) return id === BROADCAST_X2APIC || (apic.apicId >>> 4 === id >>> 16 && (id & (1 << (apic.apicId & 15))) !== 0);
        if (!cluster) return (apic.logicalId & id & 0xff) !== 0;
        if ((id & 0xff) === BROADCAST_XAPIC) return true;
        return apic.logicalId >>> 4 === (id & 0xff) >>> 4 && (apic.logicalId & id & 0xf) !== 0;
    }
  }

  #anyX2apic(): boolean {
    for (const apic of this.#byId) if (apic.x2apicEnabled) return true;
    return false;
  }

  #anyCluster(): boolean {
    for (const apic of this.#byId) if (apic.clusterMode) return true;
    return false;
  }
}

/** Sends what ICR says. Lowest priority is not sent in x2APIC mode, an INIT de-assertion and ExtINT never. */
export function sendIpi(set: LocalApicSet, sender: IpiTarget, icr: ReadonlyU64): void {
  const { lo, hi } = icr;
  const { x2apicEnabled } = sender;
  const deliveryMode = (lo & Icr.DeliveryMask) >>> Icr.DeliveryShift;
  const vector = lo & Icr.VectorMask;
  if (!canBeSent(deliveryMode, lo, x2apicEnabled)) return;
  switch ((lo & Icr.ShorthandMask) >>> Icr.ShorthandShift) {
    case Shorthand.Self:
      sender.stageForSelf(deliveryMode, vector, (lo & Icr.LevelTriggered) !== 0);
      return;
    case Shorthand.AllIncludingSelf:
      set.send(Destination.Broadcast, 0, deliveryMode, vector, false);
      return;
    case Shorthand.AllExcludingSelf:
      set.send(Destination.AllExcept, sender.apicId, deliveryMode, vector, false);
      return;
  }
  const id = x2apicEnabled ? hi >>> 0 : hi >>> 24;
  const everybody = id === (x2apicEnabled ? BROADCAST_X2APIC : BROADCAST_XAPIC);
  const logical = (lo & Icr.LogicalDestination) !== 0;
  set.send(logical ? Destination.Logical : everybody ? Destination.Broadcast : Destination.Physical, id, deliveryMode, vector, false);
}

function canBeSent(deliveryMode: number, icrLow: number, x2apic: boolean): boolean {
  switch (deliveryMode) {
    case DeliveryMode.Fixed:
    case DeliveryMode.Nmi:
    case DeliveryMode.StartUp:
      return true;
    case DeliveryMode.LowestPriority:
      return !x2apic;
    case DeliveryMode.Init:
      return (icrLow & Icr.Assert) !== 0;
    default:
      return false;
  }
}
