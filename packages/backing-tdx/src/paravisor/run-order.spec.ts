import { RunStatus } from '@paravisor/hcl-protocol';
import { VmTimeGuestTimer } from '@paravisor/virt-core';
import { expect, it } from 'vitest';
import { ScriptedTdxVp, START } from '../../test/scripted-vp.js';

const ELSEWHERE = 0x30_0000;

it.each([['finished', RunStatus.Finished], ['cancelled', RunStatus.Cancelled]])('around a run that is %s: begin, private registers out, run, private registers in, end (PR 4224)', (_name, status) => {
  const log: string[] = [];
  const timer = new VmTimeGuestTimer();
  const scripted: ScriptedTdxVp = new ScriptedTdxVp(
    ScriptedTdxVp.settings,
    Object.assign(timer, {
      beginLowerVtlRun: () => void log.push(`begin, page at ${scripted.page.context.gprList.rip.lo - START}`),
      endLowerVtlRun: () => void log.push(`end, VP at ${scripted.advanced}`),
    }),
  );
  scripted.page.context.gprList.rip.setParts(START + 7, 0);
  scripted.round(() => {
    log.push(`run, page at ${scripted.page.context.gprList.rip.lo - START}`);
    scripted.page.context.gprList.rip.setParts(ELSEWHERE, 0);
    scripted.page.context.exitInfo.rax.setParts(1, 0);
  }, status);
  expect(log).toEqual(['begin, page at 7', 'run, page at 0', `end, VP at ${ELSEWHERE - START}`]);
});
