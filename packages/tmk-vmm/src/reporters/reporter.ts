import type { ReporterName } from '../cli/commands.js';
import type { ResultsReport } from '../report-model.js';
import { toJson } from './json.js';
import { pretty } from './pretty.js';
import type { Style } from './style.js';

/** A run's results as one of the reporters shows them. XML and YAML are loaded when asked for: their libraries would cost every start. */
export async function render(reporter: ReporterName, report: ResultsReport, style: Style): Promise<string> {
  switch (reporter) {
    case 'pretty':
      return pretty(report, style);
    case 'json':
      return toJson(report);
    case 'junit':
      return (await import('./junit.js')).junit(report);
    case 'tap':
      return (await import('./tap.js')).tap(report);
  }
}
