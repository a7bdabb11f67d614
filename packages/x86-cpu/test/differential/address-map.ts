import { RECORDED_CODE, RECORDED_DATA } from '../native/recording.js';

/** The linear addresses that processor and model share. They are the recording's, so that its cases run here too. */
export const CODE = RECORDED_CODE;
export const DATA = RECORDED_DATA;

export const PAGE = 4096;

/** One page of code, of which the front is rewritten for each instruction; it can be read but not written. */
export const CODE_WINDOW = 64;

/** Two writable pages of data, then one that can only be read; nothing behind it. */
export const WRITABLE_SIZE = 2 * PAGE;
export const DATA_SIZE = 3 * PAGE;

export const FS_BASE = 0x40n;
export const GS_BASE = 0x80n;
