import type { ReporterName } from '../cli/commands.js';
import type { ResultsReport } from '../report-model.js';
import type { Style } from './style.js';

/** A run's results as one of the reporters shows them. Each is loaded when asked for: the XML and YAML libraries would cost every start. */
export async function render(reporter: ReporterName, report: ResultsReport, style: Style): Promise<string> {
  switch (reporter) {
    case 'pretty':
      return (await import('./pretty.js')).pretty(report, style);
    case 'json':
      return (await import('./json.js')).toJson(report);
    case 'junit':
      return (await import('./junit.js')).junit(report);
    case 'tap':
      return (await import('./tap.js')).tap(report);
  }
}
