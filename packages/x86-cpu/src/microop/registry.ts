import type { Accessors, FieldKind, MicroOp } from './accessors.js';
import type { Size } from './flags.js';

/** Collects the micro-operations of a family. */
export class Family {
  readonly members: MicroOp[] = [];

  /** `fields` is one letter a field, see `FieldKind`. */
  define(name: string, fields: string, emit: (c: Accessors) => void): void {
    this.#add(name, fields, false, emit);
  }

  /** An operation that transfers control itself. */
  defineTerminal(name: string, fields: string, emit: (c: Accessors) => void): void {
    this.#add(name, fields, true, emit);
  }

  /** Also defines `name#`, whose last slot field is an immediate. */
  defineWithImmediate(name: string, fields: string, size: Size, emit: (c: Accessors) => void, terminal = false): void {
    const operation = this.#add(name, fields, terminal, emit);
    const last = fields.lastIndexOf('r');
    const form = this.#add(`${name}#`, `${fields.slice(0, last)}k${fields.slice(last + 1)}`, terminal, emit);
    operation.immediateForm = form;
    operation.immediateSize = size;
  }

  #add(name: string, fields: string, terminal: boolean, emit: (c: Accessors) => void): MicroOp {
    const operation: MicroOp = {
      name,
      fields: [...fields] as FieldKind[],
      terminal,
      emit,
      code: -1,
      immediateForm: undefined,
      immediateSize: 8,
    };
    this.members.push(operation);
    return operation;
  }
}
