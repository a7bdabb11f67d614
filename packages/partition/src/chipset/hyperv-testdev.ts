/** QEMU's `hyperv-testdev`: one port by which a guest makes connections that lead to SINTs of its own, and raises SINTs. */
import { SINT_COUNT } from '@paravisor/hcl-protocol';
import type { Board } from './board.js';
import type { PortDevice } from './chipset.js';

const PORT = 0x3000;
/** Bits 23:16 of what is written; beside it the SINT in bits 7:0, the VP in 15:8, the connection in 31:24. */
const Control = { RouteCreate: 1, RouteDestroy: 2, RouteSetSint: 3, MessageCreate: 4, MessageDestroy: 5, EventCreate: 6, EventDestroy: 7 } as const;

/** A route needs no making here: every SINT can be raised. What names a VP or SINT that does not exist is ignored. */
export class HypervTestdev implements PortDevice {
  readonly ports = [[PORT, PORT + 3]] as const;
  readonly byteWide = false;
  readonly #board: Board;

  constructor(board: Board) {
    this.#board = board;
  }

  readPort(_port: number, size: number): number {
    return size === 4 ? -1 : (1 << (8 * size)) - 1;
  }

  writePort(_port: number, size: number, value: number): void {
    const sint = value & 0xff;
    const vp = (value >>> 8) & 0xff;
    const connection = value >>> 24;
    if (size !== 4 || vp >= this.#board.vps || sint >= SINT_COUNT) return;
    const to = { vp, vtl: 0, sint };
    const ports = this.#board.synic.ports();
    switch ((value >>> 16) & 0xff) {
      case Control.RouteSetSint:
        return this.#board.synic.signalSint(vp, sint);
      case Control.MessageCreate:
        ports.remove(connection);
        return ports.addMessagePort(connection, { to });
      case Control.EventCreate:
        // The flag that comes out has the connection's number.
        ports.remove(connection);
        return ports.addEventPort(connection, { to: { ...to, flagBase: connection, flagCount: 1 } });
      case Control.MessageDestroy:
      case Control.EventDestroy:
        return ports.remove(connection);
    }
  }
}
