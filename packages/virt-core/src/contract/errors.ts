/** Why a backing cannot start on this machine: loud, before any guest instruction. `code` is stable; `message` says what to do. */
export class StartupError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = 'StartupError';
    this.code = code;
  }
}

/** How a VP ended by its own fault (or the VMM's inability): a result, not an exception of the model. */
export interface VpFault {
  readonly vp: number;
  readonly vtl: number;
  readonly reason: string;
}
