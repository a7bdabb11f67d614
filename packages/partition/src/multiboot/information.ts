/** What the loader tells the kernel: the Multiboot information structure and what it points to (Multiboot Specification 0.6.96, 3.3). */

/** A file beside the kernel, for example the environment text of a test suite. */
export interface MultibootModule {
  readonly contents: Uint8Array;
  /** The string that goes with it. */
  readonly commandLine: string;
}

/** A module that has its place. */
export interface PlacedModule {
  readonly start: number;
  readonly end: number;
  readonly commandLine: string;
}

const InfoFlag = { Memory: 1 << 0, CommandLine: 1 << 2, Modules: 1 << 3, MemoryMap: 1 << 6, LoaderName: 1 << 9 } as const;
const INFO_BYTES = 116;
const MODULE_BYTES = 16;
const MAP_ENTRY_BYTES = 24;
const KIB = 1024;
const MIB = 0x100000;
/** Memory below the PC's hole, and where it goes on. */
const LOW_MEMORY = 640 * KIB;
const MapType = { Available: 1, Reserved: 2 } as const;
const LOADER_NAME = 'paravisor';

/**
 * The structure at `address` with its strings, module list and memory map behind it. `ramBytes` of RAM from 0; the hole from 640 KiB to 1 MiB is
 * reported as reserved, as on a PC, though it is RAM here.
 */
export function multibootInformation(address: number, ramBytes: number, commandLine: string, modules: readonly PlacedModule[]): Uint8Array {
  const strings: Uint8Array[] = [];
  let next = address + INFO_BYTES + modules.length * MODULE_BYTES;
  const memoryMap = next;
  const map = mapEntries(ramBytes);
  next += map.length * MAP_ENTRY_BYTES;
  const place = (text: string): number => {
    const bytes = asciiZ(text);
    const at = next;
    strings.push(bytes);
    next += bytes.length;
    return at;
  };
  const commandLineAt = place(commandLine);
  const nameAt = place(LOADER_NAME);
  const moduleStrings = modules.map((module) => place(module.commandLine));

  const out = new Uint8Array(next - address);
  const view = new DataView(out.buffer);
  const put = (offset: number, value: number): void => view.setUint32(offset, value, true);
  put(0, InfoFlag.Memory | InfoFlag.CommandLine | (modules.length > 0 ? InfoFlag.Modules : 0) | InfoFlag.MemoryMap | InfoFlag.LoaderName);
  put(4, LOW_MEMORY / KIB);
  put(8, Math.max(0, ramBytes - MIB) / KIB);
  put(16, commandLineAt);
  put(20, modules.length);
  put(24, address + INFO_BYTES);
  put(44, map.length * MAP_ENTRY_BYTES);
  put(48, memoryMap);
  put(64, nameAt);
  modules.forEach(({ start, end }, i) => {
    const at = INFO_BYTES + i * MODULE_BYTES;
    put(at, start);
    put(at + 4, end);
    put(at + 8, moduleStrings[i]!);
  });
  map.forEach(([base, bytes, type], i) => {
    const at = memoryMap - address + i * MAP_ENTRY_BYTES;
    put(at, MAP_ENTRY_BYTES - 4);
    view.setBigUint64(at + 4, BigInt(base), true);
    view.setBigUint64(at + 12, BigInt(bytes), true);
    put(at + 20, type);
  });
  let at = commandLineAt - address;
  for (const bytes of strings) {
    out.set(bytes, at);
    at += bytes.length;
  }
  return out;
}

function mapEntries(ramBytes: number): readonly (readonly [number, number, number])[] {
  return [
    [0, Math.min(LOW_MEMORY, ramBytes), MapType.Available],
    [LOW_MEMORY, MIB - LOW_MEMORY, MapType.Reserved],
    ...(ramBytes > MIB ? [[MIB, ramBytes - MIB, MapType.Available] as const] : []),
  ];
}

/** Characters beyond Latin-1 have no byte: they become question marks. */
function asciiZ(text: string): Uint8Array {
  return Uint8Array.from([...text].map((character) => (character.codePointAt(0)! < 256 ? character.codePointAt(0)! : 0x3f)).concat(0));
}
