/** One form of a BMI or ADX instruction: its operands in registers or memory, 4 or 8 bytes wide. */
export interface BmiForm {
  readonly name: string;
}

export const BMI_CASES: number;
export function bmiForms(): Generator<BmiForm>;
export function bmiCase(form: BmiForm, number: number): { readonly code: readonly number[]; readonly state: Uint8Array };
