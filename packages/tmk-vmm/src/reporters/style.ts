import pc from 'picocolors';

/** Colours, or none: picocolors' formatters. */
export type Style = Pick<typeof pc, 'bold' | 'dim' | 'green' | 'red'>;

/** Colours on a terminal that wants them (NO_COLOR and FORCE_COLOR are heard), none in files. */
export function styleFor(toFile: boolean): Style {
  return pc.createColors(!toFile && pc.isColorSupported);
}
