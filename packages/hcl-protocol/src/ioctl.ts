/** The mshv_vtl driver's ioctls, capabilities and mapped pages by number (openvmm `hcl/src/ioctl.rs`). */

export const MSHV_IOCTL_TYPE = 0xb8;

/** Ioctl numbers. */
export const MshvIoctl = {
  CheckExtension: 0x00,
  GetVpRegisters: 0x05,
  SetVpRegisters: 0x06,
  CreateVtl: 0x1d,
  HvcallSetup: 0x1e,
  Hvcall: 0x1f,
  SetPollFile: 0x25,
  ReturnToLowerVtl: 0x27,
  Pvalidate: 0x28,
  Rmpadjust: 0x29,
  Tdcall: 0x32,
} as const;

/** Capabilities asked with CHECK_EXTENSION. */
export const MshvCapability = { RegisterPage: 1, VtlReturnAction: 2, Dr6Shared: 3, LowerVtlTimerVirt: 4 } as const;

/** Linux errno values that cross the line, as positive numbers. */
export const Errno = { EINTR: 4, EIO: 5, EFAULT: 14, EINVAL: 22, ENOTTY: 25, EOPNOTSUPP: 95 } as const;

/** Kinds of page a VP maps, at page offset (kind << 16 | cpu). */
export const MappedPage = { Run: 0, Register: 1, Vmsa: 2, Apic: 3, VmsaVtl1: 4 } as const;
export const mappedPageOffset = (kind: number, cpu: number): number => kind * 0x10000 + cpu;
