import { Section, Type } from '../wasm/opcodes.js';
import { startModule, writeSection } from '../wasm/writer.js';
import type { WasmWriter } from '../wasm/writer.js';
import { FUNCTION_TYPE } from './write.js';
import type { FunctionBody } from './write.js';

const PARAMETERS = 2;
const HELPER_TYPE = 1;
const IMPORTED_FUNCTIONS = 2;

/** A branch of this kind is hardly ever taken (WebAssembly branch hinting proposal). */
const UNLIKELY = 0;

/** The bytes of a module with several translations; it exports them as `0`, `1` and so on. Imports are the interpreter's, but for the table: V8 keeps a copy of it for every module that has it. */
export function writeModule(bodies: readonly FunctionBody[]): Uint8Array {
  const module = startModule();
  writeSection(module, Section.type, (w) => {
    w.u32(2).op(Type.func).u32(PARAMETERS).op(Type.i32, Type.i32).u32(1).op(Type.i32);
    w.op(Type.func).u32(1).op(Type.i32).u32(1).op(Type.i32);
  });
  writeSection(module, Section.import, (w) => {
    w.u32(3);
    w.name('m').name('memory').op(2, 1).u32(1).u32(65536);
    w.name('m').name('probe').op(0).u32(HELPER_TYPE);
    w.name('m').name('put').op(0).u32(HELPER_TYPE);
  });
  writeSection(module, Section.function, (w) => {
    w.u32(bodies.length);
    for (let i = 0; i < bodies.length; i++) w.u32(FUNCTION_TYPE);
  });
  writeSection(module, Section.export, (w) => {
    w.u32(bodies.length);
    for (let i = 0; i < bodies.length; i++) w.name(String(i)).op(0).u32(IMPORTED_FUNCTIONS + i);
  });
  writeSection(module, Section.custom, (w) => writeHints(w, bodies));
  writeSection(module, Section.code, (w) => {
    w.u32(bodies.length);
    for (const { bytes } of bodies) w.u32(bytes.length).append(bytes);
  });
  return module.bytes.slice();
}

function writeHints(w: WasmWriter, bodies: readonly FunctionBody[]): void {
  w.name('metadata.code.branch_hint').u32(bodies.length);
  bodies.forEach(({ unlikely }, i) => {
    w.u32(IMPORTED_FUNCTIONS + i).u32(unlikely.length);
    for (const offset of [...unlikely].sort((a, b) => a - b)) w.u32(offset).u32(1).op(UNLIKELY);
  });
}

