/** A stream that takes text, or bytes as they are, and says whether a person is looking at it. */
export interface TextStream {
  write(text: string | Uint8Array): void;
  readonly isTTY?: boolean;
  /** Width in characters, where there is one. */
  readonly columns?: number;
}

/** Environment variables. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What the command says, and what it hears besides its arguments. */
export interface Terminal {
  readonly stdout: TextStream;
  readonly stderr: TextStream;
  readonly env: Environment;
}

/** True when a person looks at the stream on a terminal that can move its cursor. */
export function isLive(stream: TextStream, env: Environment): boolean {
  return stream.isTTY === true && env['TERM'] !== 'dumb';
}
