#!/usr/bin/env node
import { bundleIsFresh, loadBundle } from './bundle.js';
import { setV8Flags } from './v8-flags.js';

setV8Flags();

const args = process.argv.slice(2);
// A plugin imports the packages by name: it has to meet the very modules that the tool runs on, not a bundled copy.
const hasPlugin = args.some((arg) => arg === '--plugin' || arg.startsWith('--plugin='));
const { main } = !hasPlugin && bundleIsFresh() ? loadBundle() : await import('../dist/index.js');

const status = await main(args);

// Once all is written, at once: left alone, Node first waits for V8 to have optimised the guest processor in the background.
process.stdout.write('', () => process.exit(status));
