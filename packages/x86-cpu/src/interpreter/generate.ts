import { StateOffset } from '../memory/layout.js';
import { Leave } from '../microop/accessors.js';
import type { MicroOp } from '../microop/accessors.js';
import { HOT_COUNT, microOp, microOps } from '../microop/catalog.js';
import { Ctl, I32, Section, Type } from '../wasm/opcodes.js';
import { startModule, WasmWriter, writeSection } from '../wasm/writer.js';
import { endFunction, I32_LOCALS_END, I64_LOCAL_COUNT, InterpreterAccessors, LOCALS, TRANSLATION_TYPE } from './accessors.js';
import type { Continuation } from './accessors.js';

/** Function types of the module, by index. */
const TYPE = { helper: 0, run: TRANSLATION_TYPE, rare: 2 } as const;
const PARAMETERS = { [TYPE.helper]: 1, [TYPE.run]: 2, [TYPE.rare]: 3 } as const;

const IMPORT_COUNT = 2;
/** The table of the small functions, behind the imported one. */
const RARE_TABLE = 1;
const RARE: readonly MicroOp[] = microOps.slice(HOT_COUNT);
const SWITCH_INDEX = IMPORT_COUNT;
const FIRST_RARE_INDEX = SWITCH_INDEX + 1;
const RUN_INDEX = FIRST_RARE_INDEX + RARE.length;
const READY_INDEX = RUN_INDEX + 1;

/** Declares the locals after a function's parameters, so that they have the numbers of `LOCALS`. */
function declareLocals(w: WasmWriter, parameters: number): void {
  w.u32(2).u32(I32_LOCALS_END - parameters).op(Type.i32).u32(I64_LOCAL_COUNT).op(Type.i64);
}

/** In the small functions: the next record is the result, or 0 after the reason was left in the state. */
const returning: Continuation = {
  next: (w) => void w.get(LOCALS.position).op(Ctl.return),
  leave: (w, reason) => void w.get(LOCALS.context).i32(reason).memory(I32.store, StateOffset.exitCode).i32(0).op(Ctl.return),
};

/** (context, tlb) → reason: one loop around one `br_table`, a case a hot operation. */
function writeSwitch(w: WasmWriter): void {
  declareLocals(w, PARAMETERS[TYPE.run]);
  w.get(LOCALS.context).memory(I32.load, StateOffset.position).set(LOCALS.position);
  w.loop();
  const loopDepth = w.depth;
  for (let i = 0; i <= HOT_COUNT; i++) w.block();
  w.get(LOCALS.position).memory(I32.load16U, 0).op(Ctl.brTable).u32(HOT_COUNT);
  for (let i = 0; i <= HOT_COUNT; i++) w.u32(i);
  const accessors = new InterpreterAccessors(w, {
    next: (writer) => void writer.br(writer.depth - loopDepth),
    leave: (writer, reason) => void writer.i32(reason).op(Ctl.return),
  });
  for (let i = 0; i < HOT_COUNT; i++) {
    w.end();
    accessors.emit(microOps[i]!);
  }
  w.end();
  accessors.leave(Leave.Rare);
  w.end();
  endFunction(w);
}

/** (context, tlb) → reason: runs the switch, and between its runs the rare operations it stops at. */
function writeRun(w: WasmWriter): void {
  declareLocals(w, PARAMETERS[TYPE.run]);
  w.loop();
  w.get(LOCALS.context).get(LOCALS.tlb).call(SWITCH_INDEX).tee(LOCALS.n).i32(Leave.Rare).op(I32.ne).if();
  w.get(LOCALS.n).op(Ctl.return).end();
  w.get(LOCALS.context).get(LOCALS.tlb).get(LOCALS.context).memory(I32.load, StateOffset.position).tee(LOCALS.position);
  w.get(LOCALS.position).memory(I32.load16U, 0).i32(HOT_COUNT).op(I32.sub).op(Ctl.callIndirect).u32(TYPE.rare).u32(RARE_TABLE);
  w.tee(LOCALS.position).if();
  w.get(LOCALS.context).get(LOCALS.position).memory(I32.store, StateOffset.position).br(1).end();
  w.get(LOCALS.context).memory(I32.load, StateOffset.exitCode).op(Ctl.return).end();
  endFunction(w);
}

/** The bytes of the interpreter's module: imports memory, the table of translations, `probe` and `put`, exports `run` and `ready`. */
export function generateInterpreter(): Uint8Array {
  const module = startModule();
  writeSection(module, Section.type, (w) => {
    w.u32(3);
    for (const parameters of Object.values(PARAMETERS)) {
      w.op(Type.func).u32(parameters);
      for (let i = 0; i < parameters; i++) w.op(Type.i32);
      w.u32(1).op(Type.i32);
    }
  });
  writeSection(module, Section.import, (w) => {
    w.u32(2 + IMPORT_COUNT);
    w.name('m').name('memory').op(2, 1).u32(1).u32(65536);
    w.name('m').name('translations').op(1, Type.funcref, 0).u32(0);
    w.name('m').name('probe').op(0).u32(TYPE.helper);
    w.name('m').name('put').op(0).u32(TYPE.helper);
  });
  writeSection(module, Section.function, (w) => {
    w.u32(RARE.length + 3).u32(TYPE.run);
    for (let i = 0; i < RARE.length; i++) w.u32(TYPE.rare);
    w.u32(TYPE.run).u32(TYPE.helper);
  });
  writeSection(module, Section.table, (w) => w.u32(1).op(Type.funcref, 0).u32(RARE.length));
  writeSection(module, Section.export, (w) => {
    w.u32(2).name('run').op(0).u32(RUN_INDEX).name('ready').op(0).u32(READY_INDEX);
  });
  writeSection(module, Section.element, (w) => {
    w.u32(1).op(2).u32(RARE_TABLE).i32(0).op(Ctl.end, 0).u32(RARE.length);
    for (let i = 0; i < RARE.length; i++) w.u32(FIRST_RARE_INDEX + i);
  });
  writeSection(module, Section.code, (w) => {
    w.u32(RARE.length + 3);
    const code = new WasmWriter(1 << 16);
    const body = (write: (code: WasmWriter) => void): void => {
      code.clear();
      write(code);
      w.u32(code.length).append(code.bytes);
    };
    const rare = new InterpreterAccessors(code, returning);
    body(writeSwitch);
    for (const operation of RARE) {
      body(() => {
        declareLocals(code, PARAMETERS[TYPE.rare]);
        rare.emit(operation);
        endFunction(code);
      });
    }
    body(writeRun);
    // (context) → 0: makes the lazy flags into bits, for those who read RFLAGS from outside.
    body(() => {
      declareLocals(code, PARAMETERS[TYPE.helper]);
      microOp('ready').emit(rare);
      code.i32(0).op(Ctl.end);
    });
  });
  return module.bytes.slice();
}
