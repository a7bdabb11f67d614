/** Exception vectors (APM volume 2, table 8-1). */
export const Vector = { Nmi: 2, Breakpoint: 3, Overflow: 4, GeneralProtection: 13, /** #VC. */ VmmCommunication: 29 } as const;
