import { Errno, HvIsolationType } from '@paravisor/hcl-protocol';
import type { Hcl } from '@paravisor/hcl-protocol';
import { StartupError } from '@paravisor/virt-core';
import { describe, expect, it } from 'vitest';
import { ScriptedHclVp } from '../test/scripted-vp.js';
import { snpBacking, snpBackingFactory } from './backing.js';

/** A driver that answers CHECK_EXTENSION with `answer`, and logs what it is asked about pages. */
function scriptedHcl(answer: number, pages: string[] = []): Hcl {
  const vp = Object.assign(new ScriptedHclVp(), {
    pvalidate: (gpa: number, validate: boolean) => (pages.push(`pvalidate ${gpa.toString(16)} ${validate}`), 0),
    rmpadjust: (gpa: number, vmpl: number, permissions: number) => (pages.push(`rmpadjust ${gpa.toString(16)} VMPL${vmpl} ${permissions}`), 0),
  });
  const memory = { ramBytes: 0x2000, read: () => true, write: () => true, readU64: () => true, compareExchange: () => 1 };
  return { vps: [vp], memory, checkExtension: () => answer, hvcall: () => 0 };
}

const start = (hcl: Hcl) => snpBacking().createShared({ hcl, disableLowerVtlTimerVirt: false, tscFrequency: 2e9 });

describe('the SNP backing', () => {
  it('has no hardware timer, also when the kernel claims the capability (facts of PR 4053)', () => {
    expect(snpBacking().capabilities.usesHardwareTimer).toBe(false);
    for (const answer of [-Errno.EOPNOTSUPP, 1]) expect(start(scriptedHcl(answer)).usesHardwareTimer).toBe(false);
  });

  it('another errno than EOPNOTSUPP ends the start-up (PR 4053)', () => {
    expect(() => start(scriptedHcl(-Errno.EIO))).toThrow(StartupError);
  });

  it('accepts guest RAM page by page and opens it to VMPL2', () => {
    const pages: string[] = [];
    start(scriptedHcl(-Errno.EOPNOTSUPP, pages));
    expect(pages).toEqual(['pvalidate 0 true', 'rmpadjust 0 VMPL2 15', 'pvalidate 1000 true', 'rmpadjust 1000 VMPL2 15']);
  });

  it('shows the guest SNP isolation and the recommendations without secure AVIC', () => {
    expect(start(scriptedHcl(-Errno.EOPNOTSUPP)).hypervisorCpuid).toEqual({ isolationType: HvIsolationType.Snp, enlightenments: 0xe2c });
  });

  it('an offered interrupt ends a halt whatever IF', () => {
    expect(start(scriptedHcl(-Errno.EOPNOTSUPP)).interruptEndsHaltWithoutIf).toBe(true);
  });

  it('takes its options as text, and refuses others', () => {
    expect(snpBackingFactory.create({}).options).toEqual({ rearm: 'on', kernelStimer0: 'on' });
    expect(snpBackingFactory.create({ rearm: 'off', kernelStimer0: 'off' }).options).toEqual({ rearm: 'off', kernelStimer0: 'off' });
    expect(snpBackingFactory.create({ kernelStimer0: 'off' }).options).toEqual({ rearm: 'on', kernelStimer0: 'off' });
    expect(() => snpBackingFactory.create({ rearm: 'maybe' })).toThrow("snp.rearm is on or off, not 'maybe'");
    expect(() => snpBackingFactory.create({ stimer: 'on' })).toThrow("the snp backing has no option 'stimer'");
  });
});
