import { describe, expect, it } from 'vitest';
import type { Fields, Layout } from './layout.js';
import { mappedPageOffset, MappedPage } from './ioctl.js';
import { RUN_PAGE_CONTEXT_OFFSET, cpuContextLayout, runPageLayout, snpVpContextLayout, tdxExitInfoLayout, tdxRunPageLayout, tdxVpContextLayout, viewTdxRunPage } from './run-page.js';
import { tdcallArgumentLayout } from './tdx.js';
import { hvMessageLayout, hvTimerMessagePayloadLayout } from './tlfs.js';
import { tmkPanicLayout, tmkTestDescriptorLayout } from './tmk.js';
import { U64 } from './u64.js';
import { vmsaLayout } from './vmsa.js';

/** [offset, size] of each field, as the public headers have them. */
function placement(layout: Layout<Fields>, names: readonly string[]): Record<string, [number, number]> {
  return Object.fromEntries(names.map((name) => [name, [layout.fields[name]!.offset, layout.fields[name]!.size]]));
}

function expectPlacement(layout: Layout<Fields>, expected: Record<string, [number, number]>): void {
  expect(placement(layout, Object.keys(expected))).toEqual(expected);
}

describe('the run page (openvmm hcl/src/protocol.rs, `hcl_run`)', () => {
  it('has the header, the message, the context and the trailer where the driver has them', () => {
    expect(runPageLayout.size).toBe(4096);
    expectPlacement(runPageLayout, {
      cancel: [0, 4],
      vtlRetActionSize: [4, 4],
      flags: [8, 4],
      scanProxyIrr: [12, 1],
      offloadFlags: [13, 1],
      enterMode: [15, 1],
      exitMessage: [16, 256],
      context: [272, 1024],
      vtlRetActions: [1296, 256],
      proxyIrr: [1552, 32],
      targetVtl: [1584, 1],
      proxyIrrBlocked: [1588, 32],
      proxyIrrExitMask: [1620, 32],
    });
  });

  it('has the TDX context in the driver\'s order', () => {
    expectPlacement(tdxVpContextLayout, {
      exitInfo: [0, 88],
      vpState: [136, 64],
      entryRcx: [232, 8],
      gprList: [240, 160],
      l2TscDeadline: [400, 16],
      fxState: [496, 512],
    });
    expect(Object.keys(tdxExitInfoLayout.fields)).toEqual(['rax', 'rcx', 'rdx', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13']);
  });

  it('lands the guest state list on page offset 512, as TDG.VP.ENTER wants 256-byte alignment', () => {
    expect(RUN_PAGE_CONTEXT_OFFSET + tdxVpContextLayout.fields.gprList.offset).toBe(512);
    expect(tdxRunPageLayout.fields.context.offset).toBe(RUN_PAGE_CONTEXT_OFFSET);
  });

  it('puts deadline and update flag on page bytes 672 and 680', () => {
    const bytes = new Uint8Array(4096);
    const page = viewTdxRunPage(bytes);
    page.context.l2TscDeadline.deadline.set(U64.of(0x0102030405060708n));
    page.context.l2TscDeadline.updateDeadline = 1;
    expect([...bytes.subarray(672, 681)]).toEqual([8, 7, 6, 5, 4, 3, 2, 1, 1]);
  });

  it('has the SNP context of PR 4224 and the plain one in the same 1024 bytes', () => {
    expect([snpVpContextLayout.size, cpuContextLayout.size]).toEqual([1024, 1024]);
    expectPlacement(snpVpContextLayout, {
      vmsaTweakBitmap: [0, 64],
      stimer0Config: [64, 8],
      stimer0Count: [72, 8],
      stimer0ProgrammedRefTime: [80, 8],
      stimer0Flags: [88, 4],
    });
  });
});

describe('other structures that cross a line', () => {
  it('the VMSA is where the APM has it', () => {
    expectPlacement(vmsaLayout, {
      plSsp: [0xa0, 32],
      uCet: [0xc0, 8],
      vmpl: [0xca, 1],
      cpl: [0xcb, 1],
      efer: [0xd0, 8],
      cr4: [0x148, 8],
      cr3: [0x150, 8],
      cr0: [0x158, 8],
      rflags: [0x170, 8],
      rip: [0x178, 8],
      dr0to3: [0x180, 32],
      rsp: [0x1d8, 8],
      rax: [0x1f8, 8],
      cr2: [0x240, 8],
      pat: [0x268, 8],
      tscAux: [0x2ec, 4],
      registerProtectionNonce: [0x300, 8],
      rcx: [0x308, 8],
      rdx: [0x310, 8],
      rbx: [0x318, 8],
      secureAvicControl: [0x320, 8],
      rbp: [0x328, 8],
      rsi: [0x330, 8],
      rdi: [0x338, 8],
      r8to15: [0x340, 64],
      exitInfo1: [0x390, 8],
      exitInfo2: [0x398, 8],
      exitIntInfo: [0x3a0, 8],
      nextRip: [0x3a8, 8],
      sevFeatures: [0x3b0, 8],
      vIntrCntrl: [0x3b8, 8],
      guestErrorCode: [0x3c0, 8],
      virtualTom: [0x3c8, 8],
      eventInject: [0x3e0, 8],
      xcr0: [0x3e8, 8],
      mxcsr: [0x408, 4],
      x87Registers: [0x420, 80],
      xmm: [0x470, 256],
      ymmHigh: [0x570, 256],
    });
  });

  it('the TDCALL argument is seven packed u64', () => {
    expect(tdcallArgumentLayout.size).toBe(56);
    expect(Object.keys(tdcallArgumentLayout.fields)).toEqual(['rax', 'rcx', 'rdx', 'r8', 'r9', 'r10Out', 'r11Out']);
  });

  it('a Hyper-V message is 256 bytes with its payload at 16 (TLFS)', () => {
    expectPlacement(hvMessageLayout, { type: [0, 4], payloadSize: [4, 1], flags: [5, 1], sender: [8, 8], payload: [16, 240] });
    expectPlacement(hvTimerMessagePayloadLayout, { timerIndex: [0, 4], expirationTime: [8, 8], deliveryTime: [16, 8] });
  });

  it('TMK descriptors and commands are as tmk_protocol has them', () => {
    expectPlacement(tmkTestDescriptorLayout, { nameAddress: [0, 8], nameLength: [8, 8], entryPoint: [16, 8], flags: [24, 8] });
    expectPlacement(tmkPanicLayout, { tag: [0, 4], messageAddress: [8, 8], fileAddress: [24, 8], line: [40, 4] });
    expect(tmkPanicLayout.size).toBe(48);
  });

  it('pages of a VP map at (kind << 16 | cpu)', () => {
    expect(mappedPageOffset(MappedPage.VmsaVtl1, 7)).toBe(0x40007);
  });
});
