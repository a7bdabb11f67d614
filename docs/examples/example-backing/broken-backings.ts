/** The example backing with one thing broken, by the clause of the contract that this breaks. */
import { exampleBacking } from '@paravisor/example-backing';
import { ExitReason, RunStatus, U64, u64ToNumber, viewRunPage } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';
import type { Backing, BackingShared, BackingVp, BackingVpContext, ExitHandlers, HardwareIsolatedGuestTimer } from '@paravisor/virt-core';
import type { IsolationVp, MachineBacking } from '@paravisor/virt-machine';

type ExampleBacking = Backing<MachineBacking>;

/** The good backing with its partition-wide part handed to `spoil` once it is made. */
function brokenShared(spoil: (shared: BackingShared) => void): ExampleBacking {
  const good = exampleBacking();
  return {
    ...good,
    createShared(parameters) {
      const shared = good.createShared(parameters);
      spoil(shared);
      return shared;
    },
  };
}

const brokenTimer = (spoil: (timer: HardwareIsolatedGuestTimer) => void): ExampleBacking => brokenShared(({ guestTimer }) => spoil(guestTimer));

/** The good backing with every VP handed to `spoil` once it is made. */
function brokenVp(spoil: (vp: BackingVp, context: BackingVpContext, shared: BackingShared) => void): ExampleBacking {
  return brokenShared((shared) => {
    const createVp = shared.createVp.bind(shared);
    shared.createVp = (context) => {
      const vp = createVp(context);
      spoil(vp, context, shared);
      return vp;
    };
  });
}

/** The good backing told of exits by handlers of which some are put in place of the real ones. */
function brokenHandlers(spoil: (handlers: ExitHandlers) => Partial<ExitHandlers>): ExampleBacking {
  return brokenShared((shared) => {
    const createVp = shared.createVp.bind(shared);
    shared.createVp = (context) => {
      const handlers: ExitHandlers = Object.create(context.handlers, {});
      for (const name of ['cpuid', 'readMsr', 'writeMsr', 'readPort', 'writePort', 'emulateMmio', 'emulateStringIo', 'hypercall', 'halt', 'fatal'] as const) {
        Object.defineProperty(handlers, name, { value: (context.handlers[name] as (...values: unknown[]) => unknown).bind(context.handlers), writable: true });
      }
      return createVp({ ...context, handlers: Object.assign(handlers, spoil(context.handlers)) });
    };
  });
}

/** The good backing with the machine half of every VP handed to `spoil`. */
function brokenMachine(spoil: (vp: IsolationVp) => void): ExampleBacking {
  const good = exampleBacking();
  return {
    ...good,
    machine: {
      ...good.machine,
      create(context) {
        const machine = good.machine.create(context);
        const createVp = machine.createVp.bind(machine);
        machine.createVp = (parts) => {
          const vp = createVp(parts);
          spoil(vp);
          return vp;
        };
        return machine;
      },
    },
  };
}

const copyOf = (value: ReadonlyU64): U64 => new U64().set(value);

export const brokenBackings: Readonly<Record<string, ExampleBacking>> = {
  'timer-tells-its-kind': brokenTimer((timer) => {
    timer.isHardwareVirtualized = () => true;
  }),
  'begin-and-end-around-each-run': brokenVp((vp, _context, { guestTimer }) => {
    const beforeRun = vp.beforeRun.bind(vp);
    vp.beforeRun = (vtl, halted) => {
      guestTimer.beginLowerVtlRun(vp, vtl);
      beforeRun(vtl, halted);
    };
  }),
  'end-after-cancelled-run': brokenVp((vp) => {
    const afterRun = vp.afterRun.bind(vp);
    vp.afterRun = (vtl, status) => {
      if (status === RunStatus.Finished) afterRun(vtl, status);
    };
  }),
  'clear-before-scans': brokenVp((vp, _context, { guestTimer }) => {
    const beforeRun = vp.beforeRun.bind(vp);
    vp.beforeRun = (vtl, halted) => {
      guestTimer.clearDeadline(vp);
      beforeRun(vtl, halted);
    };
  }),
  'deadline-brings-vtl2-back': brokenTimer((timer) => {
    timer.updateDeadline = () => {};
  }),
  'earliest-deadline-survives': brokenTimer((timer) => {
    const updateDeadline = timer.updateDeadline.bind(timer);
    timer.updateDeadline = (vp, now, next) => {
      timer.clearDeadline(vp);
      updateDeadline(vp, now, next);
    };
  }),
  'past-deadline-fires-at-once': brokenTimer((timer) => {
    const updateDeadline = timer.updateDeadline.bind(timer);
    timer.updateDeadline = (vp, now, next) => {
      if (copyOf(now).isBelow(next)) updateDeadline(vp, now, next);
    };
  }),
  'early-return-is-a-reason-to-look': brokenTimer((timer) => {
    const updateDeadline = timer.updateDeadline.bind(timer);
    const wanted = new U64();
    timer.updateDeadline = (vp, now, next) => {
      if (!wanted.equals(next)) updateDeadline(vp, now, next);
      wanted.set(next);
    };
  }),
  'cleared-deadline-is-forgotten': brokenTimer((timer) => {
    const updateDeadline = timer.updateDeadline.bind(timer);
    let earliest = Infinity;
    timer.updateDeadline = (vp, now, next) => {
      earliest = Math.min(earliest, u64ToNumber(next));
      updateDeadline(vp, now, new U64().setNumber(earliest));
    };
  }),
  'stale-deadline-does-not-storm': brokenTimer((timer) => {
    const updateDeadline = timer.updateDeadline.bind(timer);
    const clearDeadline = timer.clearDeadline.bind(timer);
    const wanted = new U64();
    timer.updateDeadline = (vp, now, next) => {
      wanted.set(next);
      updateDeadline(vp, now, next);
    };
    timer.clearDeadline = (vp) => {
      clearDeadline(vp);
      if (!wanted.isZero()) updateDeadline(vp, wanted, wanted);
    };
  }),
  'cancelled-run-enters-nothing': brokenVp((vp, { hcl }) => {
    const beforeRun = vp.beforeRun.bind(vp);
    const page = viewRunPage(hcl.runPage);
    vp.beforeRun = (vtl, halted) => {
      page.cancel = 0;
      beforeRun(vtl, halted);
    };
  }),
  'cpuid-exits': brokenHandlers((handlers) => ({ cpuid: (vtl, leaf, _subleaf, out) => handlers.cpuid(vtl, leaf, 0, out) })),
  'msr-exits': brokenHandlers((handlers) => ({ writeMsr: (vtl, msr, value) => handlers.writeMsr(vtl, msr, new U64().setParts(value.lo, 0)) })),
  'port-io-exits': brokenHandlers((handlers) => ({ writePort: (port, size, value) => handlers.writePort(port, port === 0x77 ? 4 : size, value) })),
  'string-io-exits': brokenHandlers((handlers) => ({ emulateStringIo: (vtl) => handlers.emulateMmio(vtl, 0) })),
  'halt-exits': brokenHandlers(() => ({ halt: () => {} })),
  'hypercall-exits': brokenHandlers((handlers) => ({
    hypercall(vtl) {
      handlers.hypercall(vtl);
      return false;
    },
  })),
  'mmio-exits': brokenHandlers((handlers) => ({ emulateMmio: (vtl) => handlers.emulateMmio(vtl, 0) })),
  'exits-are-counted': brokenMachine((vp) => {
    vp.userExitReason = () => ExitReason.other;
  }),
  'exceptions-are-injected': brokenVp((vp) => {
    const injectException = vp.injectException.bind(vp);
    vp.injectException = (vtl, vector) => injectException(vtl, vector, -1);
  }),
  'nmi-is-injected': brokenVp((vp) => {
    vp.offerNmi = () => {};
  }),
  'interrupt-is-taken-once': brokenVp((vp) => {
    // Taken for an exception, an interrupt comes whatever RFLAGS.IF.
    vp.offerInterrupt = (vtl, vector) => vp.injectException(vtl, vector, -1);
  }),
  'no-tick-early-or-twice': brokenVp((vp) => {
    const offerInterrupt = vp.offerInterrupt.bind(vp);
    let offers = 0;
    vp.offerInterrupt = (vtl, vector) => {
      offerInterrupt(vtl, vector);
      if (++offers % 10 === 0) vp.injectException(vtl, vector, -1);
    };
  }),
  'halted-guest-gets-its-ticks': brokenVp((vp, { hcl }) => {
    const beforeRun = vp.beforeRun.bind(vp);
    vp.beforeRun = (vtl, halted) => {
      beforeRun(vtl, halted);
      if (halted) hcl.cancelTimer();
    };
  }),
  'initialize-again': brokenVp((vp) => {
    const initialize = vp.initialize.bind(vp);
    let started = false;
    vp.initialize = (vtl, registers) => {
      if (!started) initialize(vtl, registers);
      started = true;
    };
  }),
  'vtl1-is-its-own': brokenVp((vp) => {
    vp.switchVtl = () => {};
  }),
  // An event on its way is forgotten: what an entry was given, or a driver between an entry and its exit.
  'saved-state-goes-on-alike': brokenMachine((vp) => {
    vp.restore = () => {};
  }),
  'start-up-refuses': {
    ...exampleBacking(),
    createShared(parameters) {
      try {
        return exampleBacking().createShared(parameters);
      } catch {
        throw new TypeError('context is undefined');
      }
    },
  },
};
