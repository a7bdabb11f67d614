/** Messages and events to ports (TLFS "HvCallPostMessage", "HvCallSignalEvent"; openvmm `hv1_hypercall`). */
import { HvStatus } from '@paravisor/hcl-protocol';
import { MESSAGE_PAYLOAD_BYTES } from '../synic/index.js';
import type { SynicPorts } from '../synic/index.js';
import { HvCallCode } from './control.js';
import type { HypercallHandler } from './handler.js';

/** Input: connection id, padding, message type, payload size, payload. */
const PostMessage = { Connection: 0, Type: 8, PayloadSize: 12, Payload: 16, Bytes: 256 } as const;
/** Input: connection id, flag number, two reserved bytes. It fits a register: the call can be fast. */
const SignalEvent = { Connection: 0, Flag: 4, Bytes: 8 } as const;

export function postMessage(ports: SynicPorts): HypercallHandler {
  return {
    code: HvCallCode.PostMessage,
    inputBytes: PostMessage.Bytes,
    outputBytes: 0,
    takesVariableHeader: false,
    rep: null,
    call({ vtl, input }) {
      const size = input.getUint32(PostMessage.PayloadSize, true);
      if (size > MESSAGE_PAYLOAD_BYTES) return HvStatus.InvalidParameter;
      const payload = new Uint8Array(input.buffer, input.byteOffset + PostMessage.Payload, size);
      return ports.postMessage(vtl, input.getUint32(PostMessage.Connection, true), input.getUint32(PostMessage.Type, true), payload);
    },
  };
}

export function signalEvent(ports: SynicPorts): HypercallHandler {
  return {
    code: HvCallCode.SignalEvent,
    inputBytes: SignalEvent.Bytes,
    outputBytes: 0,
    takesVariableHeader: false,
    rep: null,
    call: ({ vtl, input }) => ports.signalEvent(vtl, input.getUint32(SignalEvent.Connection, true), input.getUint16(SignalEvent.Flag, true)),
  };
}
