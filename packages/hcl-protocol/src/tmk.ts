/** The test microkernel protocol (openvmm `tmk_protocol`, `tmk_vmm`). */
import { bytesAt, defineLayout, u32At, u64At, u8At } from './layout.js';

/** Where a TMK's commands go: an MMIO write of a command's guest physical address. */
export const TMK_COMMAND_ADDRESS = 0xffff0000;
export const TMK_LOAD_ADDRESS = 0x200000;
export const TMK_DEFAULT_MEMORY_MIB = 4;
/** Section of a TMK's ELF file that holds the descriptors. */
export const TMK_TESTS_SECTION = 'tmk_tests';

/** One entry of the `tmk_tests` section. */
export const tmkTestDescriptorLayout = defineLayout({
  name: 'tmk_test_descriptor_64',
  size: 32,
  fields: { nameAddress: u64At(0), nameLength: u64At(8), entryPoint: u64At(16), flags: u64At(24) },
});
export const TmkTestFlag = { ExpectedFailure: 1, LinuxHostOnly: 2 } as const;

/** What RSI points at when the guest starts. */
export const tmkStartInputLayout = defineLayout({ name: 'tmk_start_input', size: 16, fields: { command: u64At(0), testIndex: u64At(8) } });

export const TMK_COMMAND_SIZE = 48;
export const TmkCommandTag = { Log: 0, Panic: 1, Complete: 2 } as const;
export const tmkLogLayout = defineLayout({
  name: 'tmk_command (log)',
  size: TMK_COMMAND_SIZE,
  fields: { tag: u32At(0), pad: u32At(4), address: u64At(8), length: u64At(16), unused: bytesAt(24, 24) },
});
export const tmkPanicLayout = defineLayout({
  name: 'tmk_command (panic)',
  size: TMK_COMMAND_SIZE,
  fields: {
    tag: u32At(0),
    pad: u32At(4),
    messageAddress: u64At(8),
    messageLength: u64At(16),
    fileAddress: u64At(24),
    fileLength: u64At(32),
    line: u32At(40),
    pad2: u32At(44),
  },
});
export const tmkCompleteLayout = defineLayout({
  name: 'tmk_command (complete)',
  size: TMK_COMMAND_SIZE,
  fields: { tag: u32At(0), success: u8At(4), pad: bytesAt(5, 3), unused: bytesAt(8, 40) },
});

/** The state a TMK's VP starts in (§ "start" of the protocol): selectors of the loader's GDT. */
export const TmkSelector = { Code: 8, Data: 0x10 } as const;
