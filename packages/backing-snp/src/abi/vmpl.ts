/** VM privilege levels and RMP permissions (APM volume 2, 15.36.7). */

/** The VMPL of each lower VTL: [VTL0, VTL1]. The paravisor itself runs in VMPL0; VMPL3 is unused. */
export const VMPL_OF_VTL = [2, 1] as const;
export const VMPL_COUNT = 4;

/** Permission bits of RMPADJUST for one VMPL. */
export const RmpPermission = { Read: 1, Write: 2, UserExecute: 4, SupervisorExecute: 8, All: 15 } as const;
