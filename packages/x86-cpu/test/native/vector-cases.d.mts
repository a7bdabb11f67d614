/** One form of a vector instruction: a row of the opcode map, its operands in registers or memory. */
export interface VectorForm {
  readonly name: string;
  readonly mnemonic: string;
}

export const STATE_BYTES: number;
export const MEMORY: number;
export function vectorForms(): Generator<VectorForm>;
export function casesOf(form: VectorForm): number;
export function vectorCase(form: VectorForm, number: number): { readonly code: readonly number[]; readonly state: Uint8Array };
