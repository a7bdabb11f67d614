import { U64 } from '@paravisor/hcl-protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TmkCommandDevice } from './command-device.js';

const COMMAND = 0x1000;
const TEXT = 0x2000;

/** A device over 64 KiB of guest memory, and everything it told its sink. */
function deviceOver(fill: (memory: DataView) => void) {
  const ram = new Uint8Array(0x10000);
  fill(new DataView(ram.buffer));
  const told: unknown[][] = [];
  const device = new TmkCommandDevice(
    {
      ramBytes: ram.length,
      read(gpa, out) {
        if (gpa + out.length > ram.length) return false;
        out.set(ram.subarray(gpa, gpa + out.length));
        return true;
      },
    },
    {
      log: (line) => told.push(['log', line]),
      ignored: (why) => told.push(['ignored', why]),
      panic: (...all) => told.push(['panic', ...all]),
      complete: (success) => told.push(['complete', success]),
    },
  );
  return { told, send: (gpa: number | bigint = COMMAND, size = 8) => device.write(0xffff0000, size, U64.of(gpa)) };
}

function writeText(memory: DataView, at: number, text: string): number {
  const bytes = new TextEncoder().encode(text);
  new Uint8Array(memory.buffer).set(bytes, at);
  return bytes.length;
}

function logCommand(memory: DataView, address: bigint, length: bigint): void {
  memory.setBigUint64(COMMAND + 8, address, true);
  memory.setBigUint64(COMMAND + 16, length, true);
}

describe('TmkCommandDevice', () => {
  it('logs the text of a log command, whatever the width of the write', () => {
    const { told, send } = deviceOver((memory) => logCommand(memory, BigInt(TEXT), BigInt(writeText(memory, TEXT, 'grüße from VTL0'))));
    for (const size of [2, 4, 8]) send(COMMAND, size);
    expect(told).toEqual([2, 4, 8].map(() => ['log', 'grüße from VTL0']));
  });

  it('shows bytes that are no UTF-8 as replacement characters', () => {
    const { told, send } = deviceOver((memory) => {
      memory.setUint16(TEXT, 0x41ff);
      logCommand(memory, BigInt(TEXT), 2n);
      memory.setUint8(TEXT, 0xff);
      memory.setUint8(TEXT + 1, 0x41);
    });
    send();
    expect(told).toEqual([['log', '\u{fffd}A']]);
  });

  it('passes message, file and line of a panic', () => {
    const { told, send } = deviceOver((memory) => {
      memory.setUint32(COMMAND, 1, true);
      memory.setBigUint64(COMMAND + 8, BigInt(TEXT), true);
      memory.setBigUint64(COMMAND + 16, BigInt(writeText(memory, TEXT, 'no tick')), true);
      memory.setBigUint64(COMMAND + 24, BigInt(TEXT + 0x100), true);
      memory.setBigUint64(COMMAND + 32, BigInt(writeText(memory, TEXT + 0x100, 'stimer.c')), true);
      memory.setUint32(COMMAND + 40, 77, true);
    });
    send();
    expect(told).toEqual([['panic', 'no tick', 'stimer.c', 77]]);
  });

  it('still panics when the texts of a panic lie outside memory', () => {
    const { told, send } = deviceOver((memory) => {
      memory.setUint32(COMMAND, 1, true);
      memory.setBigUint64(COMMAND + 8, 0xffffffff00000000n, true);
      memory.setBigUint64(COMMAND + 16, 5n, true);
    });
    send();
    expect(told[0]?.[0]).toBe('panic');
    expect(told[0]?.[1]).toContain('outside guest memory');
  });

  it('shows addresses and lengths beyond 2^53 as the guest gave them', () => {
    const { told, send } = deviceOver((memory) => logCommand(memory, 0xffff_ffff_ffff_fffen, 0x8000_0000_0000_0001n));
    send();
    send(0xffff_ffff_ffff_ffffn);
    expect(told).toEqual([
      ['ignored', 'TMK log text at 0xfffffffffffffffe of 9223372036854775809 bytes is outside guest memory'],
      ['ignored', 'TMK command at 0xffffffffffffffff is outside guest memory'],
    ]);
  });

  it.each([
    [0, ['complete', false]],
    [1, ['complete', true]],
  ])('completes with success %i', (success, expected) => {
    const { told, send } = deviceOver((memory) => {
      memory.setUint32(COMMAND, 2, true);
      memory.setUint8(COMMAND + 4, success);
    });
    send();
    expect(told).toEqual([expected]);
  });

  it('ignores, and says so, a bad tag, a bad boolean, a command or a text outside memory (tmk_vmm)', () => {
    const cases: [(memory: DataView) => void, (number | bigint)?][] = [
      [(memory) => memory.setUint32(COMMAND, 3, true)],
      [(memory) => (memory.setUint32(COMMAND, 2, true), memory.setUint8(COMMAND + 4, 2))],
      [() => undefined, 0xffffffffffffffffn],
      [() => undefined, 0x10000 - 47],
      [(memory) => logCommand(memory, 0xfffffffffffffff0n, 0x20n)],
      [(memory) => logCommand(memory, BigInt(TEXT), 0xffffffffffffffffn)],
    ];
    for (const [fill, at] of cases) {
      const { told, send } = deviceOver(fill);
      send(at);
      expect(told.map(([kind]) => kind)).toEqual(['ignored']);
    }
  });

  it('cuts a text of more than 64 KiB, and says how long it was', () => {
    const ram = { ramBytes: 0x100000, read: (_gpa: number, out: Uint8Array) => (out.length === 48 ? new DataView(out.buffer).setBigUint64(16, 0x20000n, true) : out.fill(0x61), true) };
    const lines: string[] = [];
    const device = new TmkCommandDevice(ram, { log: (line) => lines.push(line), ignored() {}, panic() {}, complete() {} });
    device.write(0xffff0000, 8, U64.of(0));
    expect(lines[0]).toHaveLength(0x10000 + '… (131072 bytes)'.length);
  });

  it('answers any command bytes with exactly one call and never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 48, maxLength: 48 }), fc.nat(4), (bytes, tag) => {
        const { told, send } = deviceOver((memory) => {
          new Uint8Array(memory.buffer).set(bytes, COMMAND);
          memory.setUint32(COMMAND, tag, true);
        });
        send();
        return told.length === 1;
      }),
    );
  });
});
