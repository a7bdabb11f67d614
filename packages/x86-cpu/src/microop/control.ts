import { I64 } from '../wasm/opcodes.js';
import { Leave } from './accessors.js';
import type { Accessors } from './accessors.js';
import { computeAlu, fetchOperands, leaveAluFlags } from './alu.js';
import { effectiveAddress } from './address.js';
import {
  fetchLazyOperands, fetchLazyResult, LOGIC_CONDITIONS, pushLogicCondition, pushReadyCondition, pushSubCondition, SUB_CONDITIONS,
} from './condition.js';
import { CONDITION_NAMES, FlagKind, SIZES } from './flags.js';
import { Family } from './registry.js';

/** Jumps, calls, conditions as values, and the ways out of the interpreter. */
export const control = new Family();

control.defineTerminal('goto', 't', (c) => c.goto(0));

/** Sets a to the jump's target on the stack, which must be canonical before anything changes (SDM volume 2, RET, JMP, CALL). */
function takeTarget(c: Accessors): void {
  const { w, t } = c;
  w.tee(t.a).i64(16).op(I64.shl).i64(16).op(I64.shrS).get(t.a).op(I64.ne).if();
  c.fault(Leave.Protection);
  w.end();
}
control.defineTerminal('jump', 'r', (c) => {
  c.get(0, 8);
  takeTarget(c);
  c.w.get(c.t.a);
  c.gotoAddress();
});
control.defineTerminal('jump.load', effectiveAddress.base.fields, (c) => {
  c.load(8, () => effectiveAddress.base.push(c, 0));
  takeTarget(c);
  c.w.get(c.t.a);
  c.gotoAddress();
});

/** Pushes a return address: fields stack pointer and value. */
function pushReturn(c: Accessors, stack: number, value: number): void {
  const below = (): void => {
    c.get(stack, 8);
    c.w.i64(8).op(I64.sub);
  };
  c.store(8, below, () => c.get(value, 8));
  c.set(stack, 8, below);
}
control.defineTerminal('call', 'rrt', (c) => {
  pushReturn(c, 0, 1);
  c.goto(2);
});
control.defineTerminal('call.jump', 'rrr', (c) => {
  c.get(2, 8);
  takeTarget(c);
  pushReturn(c, 0, 1);
  c.w.get(c.t.a);
  c.gotoAddress();
});
// Fields: stack pointer, bytes to release besides the return address.
control.defineTerminal('return', 'ri', (c) => {
  const { w, t } = c;
  c.load(8, () => c.get(0, 8));
  takeTarget(c);
  c.set(0, 8, () => {
    c.get(0, 8);
    w.i64(8).op(I64.add);
    c.immediate(1);
    w.op(I64.add);
  });
  w.get(t.a);
  c.gotoAddress();
});

for (const size of SIZES) {
  for (const name of SUB_CONDITIONS) {
    control.defineTerminal(`if.sub${size}.${name}`, 'tt', (c) => {
      fetchLazyOperands(c, size);
      pushSubCondition(c, name, size, c.t.a, c.t.b);
      c.branch(0, 1);
    });
    control.define(`is.sub${size}.${name}`, 'r', (c) => {
      fetchLazyOperands(c, size);
      c.set(0, 8, () => {
        pushSubCondition(c, name, size, c.t.a, c.t.b);
        c.w.extend();
      });
    });
    control.defineWithImmediate(
      `cmp${size}.if.${name}`,
      'rrtt',
      size,
      (c) => {
        fetchOperands(c, 0, 1, size);
        c.flags(FlagKind.Sub, size, c.t.a, c.t.b);
        pushSubCondition(c, name, size, c.t.a, c.t.b);
        c.branch(2, 3);
      },
      true,
    );
  }
  for (const name of LOGIC_CONDITIONS) {
    control.defineTerminal(`if.logic${size}.${name}`, 'tt', (c) => {
      fetchLazyResult(c, size);
      pushLogicCondition(c, name, size, c.t.r);
      c.branch(0, 1);
    });
    control.define(`is.logic${size}.${name}`, 'r', (c) => {
      fetchLazyResult(c, size);
      c.set(0, 8, () => {
        pushLogicCondition(c, name, size, c.t.r);
        c.w.extend();
      });
    });
    control.defineWithImmediate(
      `test${size}.if.${name}`,
      'rrtt',
      size,
      (c) => {
        fetchOperands(c, 0, 1, size);
        computeAlu(c, 'and', size);
        c.flags(FlagKind.Logic, size, c.t.r);
        pushLogicCondition(c, name, size, c.t.r);
        c.branch(2, 3);
      },
      true,
    );
  }
  // Counting loops: the operation, its flags and the branch on its result.
  for (const operation of ['add', 'sub'] as const) {
    for (const name of ['e', 'ne'] as const) {
      control.defineWithImmediate(
        `${operation}${size}.if.${name}`,
        'rrrtt',
        size,
        (c) => {
          fetchOperands(c, 1, 2, size);
          computeAlu(c, operation, size);
          leaveAluFlags(c, operation, size);
          c.set(0, size, () => c.w.get(c.t.r));
          pushLogicCondition(c, name, size, c.t.r);
          c.branch(3, 4);
        },
        true,
      );
    }
  }
}
for (const name of CONDITION_NAMES) {
  control.defineTerminal(`if.ready.${name}`, 'tt', (c) => {
    pushReadyCondition(c, name);
    c.branch(0, 1);
  });
  control.define(`is.ready.${name}`, 'r', (c) => {
    c.set(0, 8, () => {
      pushReadyCondition(c, name);
      c.w.extend();
    });
  });
}
control.defineTerminal('if.slot', 'rtt', (c) => {
  c.get(0, 8);
  c.w.wrap();
  c.branch(1, 2);
});

// The first record of a block that may be translated; the second stands in its place when it has been.
control.define('count', '', (c) => c.count());
control.defineTerminal('translated', '', (c) => c.enterTranslation());

// Ways out. The position left behind names the record.
control.defineTerminal('unlinked', 'ii', (c) => c.leave(Leave.Unlinked));
control.defineTerminal('system', '', (c) => c.leave(Leave.System));
control.defineTerminal('short', '', (c) => c.leave(Leave.Short));
