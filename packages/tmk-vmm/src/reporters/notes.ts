import type { ReportHead } from '../report-model.js';

/** What every report in words ends with: the cost model, and whose latencies these are. */
export function notes(head: ReportHead): string[] {
  return [
    `Costs: ${head.costModel.name}, in virtual time; @paravisor/virt-machine says where each figure comes from.`,
    `Latencies are those of a ${mips(head.ips)} guest (${head.ips} instructions a virtual second, TSC at ${head.tscHz} Hz).`,
  ];
}

function mips(ips: number): string {
  return `${Number((ips / 1e6).toPrecision(3))} MHz`;
}
