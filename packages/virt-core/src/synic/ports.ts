/**
 * Ports of the SynIC: where HvCallPostMessage and HvCallSignalEvent lead, by connection id (TLFS "Inter-Partition Communication"; openvmm `SynicPortMap`).
 * openvmm's ports lead to its devices only. Here a port can lead to a SINT as well, so that a guest's VPs and VTLs can send each other messages and
 * events: with TLFS's checks, since openvmm has none to follow.
 */
import { HvStatus, SINT_COUNT, StateError, hvMessageLayout, viewHvMessage } from '@paravisor/hcl-protocol';
import type { Plain } from '@paravisor/hcl-protocol';

/** Payload bytes a message holds at most. */
export const MESSAGE_PAYLOAD_BYTES = hvMessageLayout.fields.payload.size;
/** Event flags a SINT has. */
export const EVENT_FLAGS_PER_SINT = 2048;
const LOWER_VTLS = 2;
/** Bit 31: message types of the hypervisor's own, which no guest may send (TLFS "HV_MESSAGE_TYPE"). */
const HYPERVISOR_MESSAGE = 0x80000000;

/** A SINT of the partition. */
export type SynicTarget = {
  readonly vp: number;
  readonly vtl: number;
  readonly sint: number;
};

/** Takes a message sent through a port: its type and payload, which is the caller's. False when it cannot take it now. */
export type MessageListener = (type: number, payload: Uint8Array) => boolean;
/** Hears of an event signalled through a port: the flag number, relative to the port. */
export type EventListener = (flag: number) => void;

/** Where a message port leads. `minimumVtl`: from which VTL on it may be used, 0 unless given. */
export interface MessagePort {
  readonly to: SynicTarget | MessageListener;
  readonly minimumVtl?: number;
}

/** Where an event port leads: to a listener, or to `flagCount` flags of a SINT from `flagBase` on. */
export interface EventPort {
  readonly to: (SynicTarget & { readonly flagBase: number; readonly flagCount: number }) | EventListener;
  readonly minimumVtl?: number;
}

/** What ports do at the VPs they lead to. */
export interface SynicPortTargets {
  readonly vpCount: number;
  /** Queues a 256-byte message for a SINT. False when as many wait there as may. */
  queueMessage(target: SynicTarget, message: Uint8Array): boolean;
  /** Sets an event flag of a SINT and raises its interrupt, if the SINT takes events now. */
  signalEvent(target: SynicTarget, flag: number): void;
}

type Port = { readonly kind: 'message'; readonly port: MessagePort } | { readonly kind: 'event'; readonly port: EventPort };

/** Ports that lead to SINTs. Those that lead to listeners are whoever's who added them. */
export type SynicPortsState = {
  readonly connection: number;
  readonly kind: 'message' | 'event';
  readonly to: { readonly vp: number; readonly vtl: number; readonly sint: number; readonly flagBase?: number; readonly flagCount?: number };
  readonly minimumVtl: number;
}[];

/** Bits 31:24 of the connection id of a port that a partition has to itself (`ownConnection`). */
export const OwnPort = { Message: 0x50, Event: 0x51 } as const;
export type OwnPort = (typeof OwnPort)[keyof typeof OwnPort];

/**
 * The connection id of the port that leads to a SINT of the partition's own: kind in bits 31:24, VTL in 23:16, VP in 15:8, SINT in 7:0. An event port
 * of this kind has all 2048 flags. The convention is the model's: under Hyper-V whoever makes the partition connects such ports.
 */
export function ownConnection(kind: OwnPort, { vp, vtl, sint }: SynicTarget): number {
  return ((kind << 24) | (vtl << 16) | (vp << 8) | sint) >>> 0;
}

/** All ports of a partition. */
export class SynicPorts {
  readonly #targets: SynicPortTargets;
  readonly #hasOwnPorts: boolean;
  readonly #ports = new Map<number, Port>();

  /** `ownPorts`: the guest can reach every SINT of its partition through the ports of `ownConnection`. */
  constructor(targets: SynicPortTargets, { ownPorts = false } = {}) {
    this.#targets = targets;
    this.#hasOwnPorts = ownPorts;
  }

  /** Opens a port for HvCallPostMessage. Throws `RangeError` when `connection` (32 bits) is taken or the SINT does not exist. */
  addMessagePort(connection: number, port: MessagePort): void {
    this.#add(connection, { kind: 'message', port });
  }

  /** Opens a port for HvCallSignalEvent. Throws `RangeError` when `connection` is taken, or the SINT or some of the flags do not exist. */
  addEventPort(connection: number, port: EventPort): void {
    const { to } = port;
    if (typeof to !== 'function' && (to.flagBase < 0 || to.flagCount < 1 || to.flagBase + to.flagCount > EVENT_FLAGS_PER_SINT)) {
      throw new RangeError(`event port ${connection}: flags ${to.flagBase} to ${to.flagBase + to.flagCount - 1}, of ${EVENT_FLAGS_PER_SINT}`);
    }
    this.#add(connection, { kind: 'event', port });
  }

  /** Closes a port; messages it has queued are delivered still. */
  remove(connection: number): void {
    this.#ports.delete(connection);
  }

  /** HvCallPostMessage of `vtl`: an `HvStatus`. */
  postMessage(vtl: number, connection: number, type: number, payload: Uint8Array): number {
    const entry = this.#find(connection);
    if (entry?.kind !== 'message') return HvStatus.InvalidConnectionId;
    const { to, minimumVtl = 0 } = entry.port;
    if (vtl < minimumVtl) return HvStatus.OperationDenied;
    if (typeof to === 'function') return to(type, payload) ? HvStatus.Success : HvStatus.InsufficientBuffers;
    if (type === 0 || (type & HYPERVISOR_MESSAGE) !== 0) return HvStatus.InvalidParameter;
    return this.#targets.queueMessage(to, messageOf(type, payload)) ? HvStatus.Success : HvStatus.InsufficientBuffers;
  }

  /** HvCallSignalEvent of `vtl`: an `HvStatus`. Success says that the event was sent, not that the SINT took it. */
  signalEvent(vtl: number, connection: number, flag: number): number {
    const entry = this.#find(connection);
    if (entry?.kind !== 'event') return HvStatus.InvalidConnectionId;
    const { to, minimumVtl = 0 } = entry.port;
    if (vtl < minimumVtl) return HvStatus.OperationDenied;
    if (typeof to === 'function') to(flag);
    else if (flag >= to.flagCount) return HvStatus.InvalidParameter;
    else this.#targets.signalEvent(to, to.flagBase + flag);
    return HvStatus.Success;
  }

  save(): SynicPortsState {
    const state: SynicPortsState = [];
    for (const [connection, { kind, port }] of this.#ports) {
      if (typeof port.to !== 'function') state.push({ connection, kind, to: { ...port.to }, minimumVtl: port.minimumVtl ?? 0 });
    }
    return state satisfies Plain;
  }

  /** Replaces the ports that lead to SINTs; listeners stay. @throws {StateError} for a port that cannot be. */
  restore(state: SynicPortsState): void {
    for (const [connection, { port }] of this.#ports) if (typeof port.to !== 'function') this.#ports.delete(connection);
    try {
      for (const { connection, kind, to, minimumVtl } of state) {
        if (kind === 'message') this.addMessagePort(connection, { to, minimumVtl });
        else this.addEventPort(connection, { to: { flagBase: 0, flagCount: 1, ...to }, minimumVtl });
      }
    } catch (error) {
      throw error instanceof RangeError ? new StateError(error.message) : error;
    }
  }

  #add(connection: number, entry: Port): void {
    const { to } = entry.port;
    if (this.#ports.has(connection)) throw new RangeError(`connection ${connection} is taken`);
    if (typeof to !== 'function' && !this.#exists(to)) throw new RangeError(`connection ${connection}: there is no SINT ${to.sint} of VP ${to.vp}, VTL${to.vtl}`);
    this.#ports.set(connection, entry);
  }

  #find(connection: number): Port | undefined {
    const port = this.#ports.get(connection);
    if (port !== undefined || !this.#hasOwnPorts) return port;
    const to = { vp: (connection >>> 8) & 0xff, vtl: (connection >>> 16) & 0xff, sint: connection & 0xff };
    if (!this.#exists(to)) return undefined;
    switch (connection >>> 24) {
      case OwnPort.Message:
        return { kind: 'message', port: { to } };
      case OwnPort.Event:
        return { kind: 'event', port: { to: { ...to, flagBase: 0, flagCount: EVENT_FLAGS_PER_SINT } } };
      default:
        return undefined;
    }
  }

  #exists({ vp, vtl, sint }: SynicTarget): boolean {
    return vp >= 0 && vp < this.#targets.vpCount && vtl >= 0 && vtl < LOWER_VTLS && sint >= 0 && sint < SINT_COUNT;
  }
}

function messageOf(type: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(hvMessageLayout.size);
  const message = viewHvMessage(bytes);
  message.type = type;
  message.payloadSize = payload.length;
  message.payload.set(payload);
  return bytes;
}
