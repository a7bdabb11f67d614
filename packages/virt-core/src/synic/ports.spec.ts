import { HvStatus, StateError, viewHvMessage } from '@paravisor/hcl-protocol';
import { beforeEach, describe, expect, it } from 'vitest';
import { OwnPort, SynicPorts, ownConnection } from './ports.js';
import type { SynicTarget } from './ports.js';

const TARGET: SynicTarget = { vp: 1, vtl: 0, sint: 5 };
let room: number;
let log: string[];
let ports: SynicPorts;

function make(options = {}): SynicPorts {
  const targets = {
    vpCount: 2,
    queueMessage({ vp, vtl, sint }: SynicTarget, bytes: Uint8Array) {
      if (room-- <= 0) return false;
      const message = viewHvMessage(bytes);
      log.push(`message ${vp}.${vtl}.${sint} type ${message.type}: ${[...message.payload.subarray(0, message.payloadSize)].join(' ')}`);
      return true;
    },
    signalEvent: ({ vp, vtl, sint }: SynicTarget, flag: number) => void log.push(`event ${vp}.${vtl}.${sint} flag ${flag}`),
  };
  return new SynicPorts(targets, options);
}

beforeEach(() => {
  room = 2;
  log = [];
  ports = make();
});

const post = (connection: number, { vtl = 0, type = 7, payload = [1, 2, 3] } = {}): number => ports.postMessage(vtl, connection, type, Uint8Array.from(payload));

describe('SynIC ports (TLFS "Inter-Partition Communication"; openvmm SynicPortMap)', () => {
  it('a message port leads to a SINT of any VP and VTL, an event port to flags of one from a base on', () => {
    ports.addMessagePort(1, { to: TARGET });
    ports.addEventPort(2, { to: { vp: 0, vtl: 1, sint: 3, flagBase: 100, flagCount: 8 } });
    expect([post(1), ports.signalEvent(0, 2, 7)]).toEqual([HvStatus.Success, HvStatus.Success]);
    expect(log).toEqual(['message 1.0.5 type 7: 1 2 3', 'event 0.1.3 flag 107']);
  });

  it('a port may lead to a listener instead: a device', () => {
    let taken = true;
    ports.addMessagePort(1, { to: (type, payload) => (log.push(`device ${type} ${payload.length}`), taken) });
    ports.addEventPort(2, { to: (flag) => void log.push(`device flag ${flag}`) });
    expect([post(1, { type: 0x80000000 }), ports.signalEvent(0, 2, 0xffff)]).toEqual([0, 0]);
    taken = false;
    expect(post(1)).toBe(HvStatus.InsufficientBuffers);
    expect(log).toEqual(['device 2147483648 3', 'device flag 65535', 'device 7 3']);
  });

  it('a connection that does not exist, or is of the other kind, is InvalidConnectionId', () => {
    ports.addMessagePort(1, { to: TARGET });
    ports.addEventPort(2, { to: { ...TARGET, flagBase: 0, flagCount: 1 } });
    expect([post(2), post(3), ports.signalEvent(0, 1, 0), ports.signalEvent(0, 3, 0)]).toEqual(Array(4).fill(HvStatus.InvalidConnectionId));
  });

  it('a VTL below the port’s is refused with OperationDenied', () => {
    ports.addMessagePort(1, { to: TARGET, minimumVtl: 1 });
    ports.addEventPort(2, { to: { ...TARGET, flagBase: 0, flagCount: 1 }, minimumVtl: 1 });
    expect([post(1), ports.signalEvent(0, 2, 0)]).toEqual([HvStatus.OperationDenied, HvStatus.OperationDenied]);
    expect([post(1, { vtl: 1 }), ports.signalEvent(1, 2, 0)]).toEqual([HvStatus.Success, HvStatus.Success]);
  });

  it('a target whose queue is full is InsufficientBuffers', () => {
    ports.addMessagePort(1, { to: TARGET });
    expect([post(1), post(1), post(1)]).toEqual([HvStatus.Success, HvStatus.Success, HvStatus.InsufficientBuffers]);
  });

  it('a guest sends no message of type 0 or of the hypervisor’s own, and no flag that the port has not', () => {
    ports.addMessagePort(1, { to: TARGET });
    ports.addEventPort(2, { to: { ...TARGET, flagBase: 2047, flagCount: 1 } });
    expect([post(1, { type: 0 }), post(1, { type: 0x80000010 }), ports.signalEvent(0, 2, 1)]).toEqual(Array(3).fill(HvStatus.InvalidParameter));
  });

  it('a connection can be taken once, and leads to what exists', () => {
    ports.addMessagePort(1, { to: TARGET });
    expect(() => ports.addEventPort(1, { to: () => {} })).toThrow(RangeError);
    for (const to of [{ ...TARGET, vp: 2 }, { ...TARGET, vtl: 2 }, { ...TARGET, sint: 16 }]) expect(() => ports.addMessagePort(2, { to })).toThrow(RangeError);
    expect(() => ports.addEventPort(2, { to: { ...TARGET, flagBase: 2047, flagCount: 2 } })).toThrow(RangeError);
    ports.remove(1);
    expect(post(1)).toBe(HvStatus.InvalidConnectionId);
  });

  it('a partition can have ports to its own SINTs, their connection ids saying where they lead', () => {
    const target = { vp: 1, vtl: 1, sint: 15 };
    expect(post(ownConnection(OwnPort.Message, target))).toBe(HvStatus.InvalidConnectionId);
    ports = make({ ownPorts: true });
    expect(post(0x5001010f)).toBe(HvStatus.Success);
    expect(ports.signalEvent(0, 0x5100000a, 2047)).toBe(HvStatus.Success);
    expect(log).toEqual(['message 1.1.15 type 7: 1 2 3', 'event 0.0.10 flag 2047']);
    for (const nowhere of [{ ...target, vp: 2 }, { ...target, vtl: 2 }, { ...target, sint: 16 }]) expect(post(ownConnection(OwnPort.Message, nowhere))).toBe(HvStatus.InvalidConnectionId);
    expect([post(0x5100000a), ports.signalEvent(0, 0x5000000a, 0), post(0x5200000a)]).toEqual(Array(3).fill(HvStatus.InvalidConnectionId));
  });

  it('are saved with where they lead, listeners excepted, and refused when they lead nowhere', () => {
    ports.addMessagePort(1, { to: TARGET, minimumVtl: 1 });
    ports.addEventPort(2, { to: { ...TARGET, flagBase: 9, flagCount: 2 } });
    ports.addEventPort(3, { to: () => {} });
    const state = JSON.parse(JSON.stringify(ports.save())) as ReturnType<SynicPorts['save']>;
    const other = make();
    other.restore(state);
    expect(other.save()).toEqual(state);
    expect(state.map(({ connection }) => connection)).toEqual([1, 2]);
    expect(() => other.restore([{ ...state[0]!, to: { ...TARGET, vp: 9 } }])).toThrow(StateError);
  });
});
