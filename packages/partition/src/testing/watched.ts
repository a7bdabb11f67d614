/** A backing with ears: the calls of its contract, and what its exits ask for, written down as they come. What it does is not changed. */
import { U64, u64ToNumber } from '@paravisor/hcl-protocol';
import type { Hcl, ReadonlyU64 } from '@paravisor/hcl-protocol';
import type { Backing, BackingShared, BackingVp, BackingVpContext, ExitHandlers } from '@paravisor/virt-core';
import type { MachineBacking } from '@paravisor/virt-machine';
import { Port } from './guest.js';

/** What an exit asked for: the handler's name and its operands, VTL first where there is one. */
export interface AskedFor {
  readonly what: keyof ExitHandlers;
  readonly operands: readonly number[];
  /** What was answered: registers of CPUID, the value of a read, a status. */
  readonly answer: readonly number[];
}

/** Calls of the guest timer and of the run ioctl, in order. */
export type TimerCall = 'clear' | 'update' | 'begin' | 'run' | 'end';

/** What a watched partition has shown so far. */
export class Record {
  hcl: Hcl | null = null;
  shared: BackingShared | null = null;
  readonly vps: BackingVp[] = [];
  readonly contexts: BackingVpContext[] = [];
  readonly calls: TimerCall[] = [];
  readonly asked: AskedFor[] = [];
  /** Statuses the run ioctl returned, Pending left out. */
  runs = 0;

  /** What the guest wrote to `Port.Report`. */
  get reports(): number[] {
    return this.asked.filter(({ what, operands: [port] }) => what === 'writePort' && port === Port.Report).map(({ operands }) => operands[2]!);
  }

  /** Whether the guest has come to its end. */
  get ended(): boolean {
    return this.asked.some(({ what, operands: [port] }) => what === 'writePort' && port === Port.End);
  }
}

const PENDING = 2;

/** The backing itself under the eyes of `record`. Its timer and its VPs are heard where they are: also what they call of each other. */
export function watched(backing: Backing<MachineBacking>, record: Record): Backing<MachineBacking> {
  const { name, isolation, capabilities, options, machine } = backing;
  return {
    name,
    isolation,
    capabilities,
    options,
    machine,
    createShared(parameters) {
      const shared = backing.createShared(parameters);
      record.hcl = parameters.hcl;
      record.shared = shared;
      const { guestTimer } = shared;
      before(guestTimer, 'clearDeadline', () => record.calls.push('clear'));
      before(guestTimer, 'updateDeadline', () => record.calls.push('update'));
      before(guestTimer, 'beginLowerVtlRun', () => record.calls.push('begin'));
      before(guestTimer, 'endLowerVtlRun', () => record.calls.push('end'));
      for (const hcl of parameters.hcl.vps) hearRuns(hcl, record);
      const createVp = shared.createVp.bind(shared);
      Object.defineProperty(shared, 'createVp', {
        value: (context: BackingVpContext) => {
          const vp = createVp({ ...context, handlers: heard(context.handlers, record) });
          record.vps.push(vp);
          record.contexts.push(context);
          return vp;
        },
      });
      return shared;
    },
  };
}

/** Calls `tell` before each call of a method, also when the object calls it on itself. */
function before<T extends object>(target: T, name: keyof T & string, tell: () => void): void {
  const method = target[name] as (...values: unknown[]) => unknown;
  Object.defineProperty(target, name, {
    configurable: true,
    value(...values: unknown[]) {
      tell();
      return method.apply(target, values);
    },
  });
}

/** A call of the ioctl counts when it returns to user mode: Pending is the model's way to let others run. */
function hearRuns(hcl: Hcl['vps'][number], record: Record): void {
  const run = hcl.run.bind(hcl);
  let inside = false;
  Object.defineProperty(hcl, 'run', {
    configurable: true,
    value() {
      if (!inside) record.calls.push('run');
      const status = run();
      inside = status === PENDING;
      if (!inside) record.runs++;
      return status;
    },
  });
}

function heard(handlers: ExitHandlers, record: Record): ExitHandlers {
  const note = (what: keyof ExitHandlers, operands: readonly number[], answer: readonly number[] = []): void => void record.asked.push({ what, operands, answer });
  return {
    cpuid(vtl, leaf, subleaf, out) {
      handlers.cpuid(vtl, leaf, subleaf, out);
      note('cpuid', [vtl, leaf >>> 0, subleaf >>> 0], [...out].map((register) => register >>> 0));
    },
    readMsr(vtl, msr, out) {
      const status = handlers.readMsr(vtl, msr, out);
      note('readMsr', [vtl, msr >>> 0], [status, u64ToNumber(out)]);
      return status;
    },
    writeMsr(vtl, msr, value) {
      const operands = [vtl, msr >>> 0, u64ToNumber(value)];
      const status = handlers.writeMsr(vtl, msr, value);
      note('writeMsr', operands, [status]);
      return status;
    },
    readPort(port, size) {
      const value = handlers.readPort(port, size);
      note('readPort', [port, size], [value >>> 0]);
      return value;
    },
    writePort(port, size, value) {
      note('writePort', [port, size, value >>> 0]);
      if (port === Port.End) handlers.fatal(0, 'the guest of the contract has ended');
      else if (port !== Port.Report) handlers.writePort(port, size, value);
    },
    emulateMmio(vtl, gpa) {
      const status = handlers.emulateMmio(vtl, gpa);
      note('emulateMmio', [vtl, gpa], [status]);
      return status;
    },
    emulateStringIo(vtl) {
      const status = handlers.emulateStringIo(vtl);
      note('emulateStringIo', [vtl], [status]);
      return status;
    },
    hypercall(vtl) {
      const finished = handlers.hypercall(vtl);
      note('hypercall', [vtl], [finished ? 1 : 0]);
      return finished;
    },
    levelEoi(vtl, vector) {
      note('levelEoi', [vtl, vector]);
      return handlers.levelEoi(vtl, vector);
    },
    halt(vtl) {
      note('halt', [vtl]);
      handlers.halt(vtl);
    },
    activityChanged(vtl, activity) {
      note('activityChanged', [vtl, activity]);
      handlers.activityChanged(vtl, activity);
    },
    fatal(vtl, reason) {
      note('fatal', [vtl]);
      handlers.fatal(vtl, reason);
    },
  };
}

/** A cell for a number. */
export const cellOf = (value: number): ReadonlyU64 => new U64().setNumber(value);
