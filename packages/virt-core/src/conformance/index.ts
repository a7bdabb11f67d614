/** Replays recordings of the reference against the real services. */
export declare function replayVmTime(row: unknown): string | null;
export declare function replaySynicTimer(row: unknown): string | null;
export declare function replayLapicTimer(row: unknown): string | null;
