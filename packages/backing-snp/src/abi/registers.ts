/** Register bits and selector attributes that both halves read (APM volume 2). */

export const Efer = { Svme: 1 << 12 } as const;
export const Cr4 = { Pce: 1 << 8, Osxsave: 1 << 18 } as const;
/** XCR0: x87 state, which is always on, and all the state the guest's processor has, with SSE. */
export const XCR0_X87 = 1;
export const XCR0_ALL = 3;
/** Reset values of debug registers (APM table 14-1). */
export const DR6_RESET = 0xffff0ff0 | 0;
export const DR7_RESET = 0x400;

/** P of a segment's attributes, in either order. */
const PRESENT = 1 << 7;
/** "Unusable" of VMX access rights (SDM 25.4.1). SVM has no such bit: a segment that is not present is not usable. */
const UNUSABLE = 1 << 16;

/** VMSA attributes (the descriptor's bits 47:40 and 55:52 side by side, APM 15.5.1) → VMX access-rights order. */
export const accessRightsOf = (attributes: number): number => (attributes & 0xff) | ((attributes & 0xf00) << 4) | ((attributes & PRESENT) === 0 ? UNUSABLE : 0);

/** VMX access-rights order → VMSA attributes. */
export const vmsaAttributesOf = (accessRights: number): number =>
  (accessRights & UNUSABLE) === 0 ? (accessRights & 0xff) | ((accessRights >>> 4) & 0xf00) : 0;

/** DPL of either order. SS's is the current privilege level. */
export const dplOf = (attributes: number): number => (attributes >>> 5) & 3;
