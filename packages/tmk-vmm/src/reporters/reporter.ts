import type { ReporterName } from '../cli/commands.js';
import type { ResultsReport } from '../report-model.js';
import { toJson } from './json.js';
import { pretty } from './pretty.js';
import type { Style } from './style.js';

/** A run's results as one of the reporters shows them; `chosen` are the options given, by name. XML and YAML are loaded when asked for: their libraries would cost every start. */
export async function render(reporter: ReporterName, report: ResultsReport, style: Style, chosen: ReadonlySet<string>): Promise<string> {
  switch (reporter) {
    case 'pretty':
      return pretty(report, style, chosen);
    case 'json':
      return toJson(report);
    case 'junit':
      return (await import('./junit.js')).junit(report);
    case 'tap':
      return (await import('./tap.js')).tap(report);
  }
}
