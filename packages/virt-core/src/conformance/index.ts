/** Replays recordings of the reference (`test/recordings`) through the services guests run on. Here, so that a command can use what the tests use. */
export { FlatMemory } from './flat-memory.js';
export { replayLapicTimer } from './lapic-timer.js';
export { replaySynicTimer } from './synic-timer.js';
export { replayVmTime } from './vmtime.js';
/** What a backing's own replays read their rows with. */
export * as recordedRow from './row.js';
