/** Port 0x80, where firmware shows how far it is, and to which kernels write when they want to wait a little. */
import type { Plain } from '@paravisor/hcl-protocol';
import type { PortDevice } from './chipset.js';

const POST_CODE_PORT = 0x80;

/** Takes every write and shows it to nobody; reads all ones, as without a device. */
export class PostCode implements PortDevice {
  readonly ports = [[POST_CODE_PORT, POST_CODE_PORT]] as const;
  readonly byteWide = true;
  /** The last value written, for debuggers. */
  code = 0;

  readPort(): number {
    return 0xff;
  }

  writePort(_port: number, _size: number, value: number): void {
    this.code = value;
  }

  save(): Plain {
    return this.code;
  }

  restore(state: Plain): void {
    this.code = state as number;
  }
}
