/**
 * The few parts of the WebAssembly JavaScript interface used here, spelled out so that neither this package nor those
 * who import its types need the DOM library.
 */
export interface PlatformMemory {
  readonly buffer: ArrayBuffer;
}

/** A table of functions. */
export interface PlatformTable {
  readonly length: number;
  grow(entries: number): number;
  set(index: number, value: unknown): void;
}

/** A compiled module; opaque. */
export interface PlatformModule {
  readonly compiled?: never;
}

interface Platform {
  readonly Memory: new (descriptor: { initial: number; maximum: number }) => PlatformMemory;
  readonly Table: new (descriptor: { element: 'anyfunc'; initial: number }) => PlatformTable;
  readonly Module: new (bytes: Uint8Array) => PlatformModule;
  readonly Instance: new (module: PlatformModule, imports: Record<string, Record<string, unknown>>) => { readonly exports: Record<string, unknown> };
}

declare const WebAssembly: Platform;

/** Bytes of a WebAssembly page. */
export const WASM_PAGE = 65536;

export function createMemory(pages: number): PlatformMemory {
  return new WebAssembly.Memory({ initial: pages, maximum: pages });
}

/** An empty one. */
export function createTable(): PlatformTable {
  return new WebAssembly.Table({ element: 'anyfunc', initial: 0 });
}

export function compileModule(bytes: Uint8Array): PlatformModule {
  return new WebAssembly.Module(bytes);
}

export function instantiate(module: PlatformModule, imports: Record<string, Record<string, unknown>>): Record<string, unknown> {
  return new WebAssembly.Instance(module, imports).exports;
}
