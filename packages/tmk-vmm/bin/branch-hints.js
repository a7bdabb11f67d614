import process from 'node:process';
import { setFlagsFromString } from 'node:v8';

/** The first Node whose V8 takes branch hints of WebAssembly without being asked. */
const SINCE = 24;

/** Lets V8 keep what translated guest code hardly ever does out of its way: a tenth to a quarter faster. Before anything is compiled. */
export function hintBranches() {
  if (Number.parseInt(process.versions.node, 10) < SINCE) setFlagsFromString('--experimental-wasm-branch-hinting');
}
