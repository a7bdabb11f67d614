/** One form of an x87 instruction: an opcode with a row of memory forms, or a whole ModRM byte. */
export interface X87Form {
  readonly name: string;
}

export const X87_CASES: number;
export function x87Forms(): Generator<X87Form>;
export function x87Case(form: X87Form, number: number): { readonly code: readonly number[]; readonly state: Uint8Array };
