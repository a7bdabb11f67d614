import type { CompareReport, ResultsReport } from '../report-model.js';

/** One object, keys in the schema's order. */
export function toJson(report: ResultsReport | CompareReport | object): string {
  return `${JSON.stringify(report, null, 2)}\n`;
}
