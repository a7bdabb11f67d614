/** The documentation's page that runs guests in the reader's browser, in a headless one. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { expect, it } from 'vitest';
import { tmkVmm } from './tool.js';

const docs = fileURLToPath(new URL('../../../docs', import.meta.url));
const timers = fileURLToPath(new URL('../../tmk-guests/elf/timers.elf', import.meta.url));

const TEST = 'timers::stimer_periodic_busy';
/** The site's server compiles what the page asks for on the way. */
const PATIENCE_MS = 240_000;

/** A Chromium of this machine, or null. */
function installedChromium(): string | null {
  const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
  const candidates = (process.env['PATH'] ?? '').split(delimiter).flatMap((folder) => names.map((name) => join(folder, name)));
  return [chromium.executablePath(), ...candidates].find(isExecutable) ?? null;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Serves the site's pages as they are asked for, while `use` goes on with the server's address. */
async function withSite(use: (address: string) => Promise<void>): Promise<void> {
  const server = spawn(process.execPath, ['node_modules/vitepress/bin/vitepress.js', 'dev', '.', '--host', '127.0.0.1'], {
    cwd: docs,
    // In colours, as CI has them, the address would come in pieces.
    env: { ...process.env, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(server, 'exit');
  let printed = '';
  const address = new Promise<string>((resolve, reject) => {
    for (const stream of [server.stdout, server.stderr]) {
      stream.on('data', (text) => {
        printed += String(text);
        const [found] = /http:\/\/127\.0\.0\.1:\d+/.exec(printed) ?? [];
        if (found !== undefined) resolve(found);
      });
    }
    server.on('exit', () => reject(new Error(`the site's server ended: ${printed}`)));
  });
  try {
    await use(await address);
  } finally {
    // At once: asked kindly, it waits for connections that a browser keeps open.
    server.kill('SIGKILL');
    await ended;
  }
}

/** The page's table after a run of `test`: a row for each backing and timer. */
async function runInBrowser(executablePath: string, address: string, test: string): Promise<string[][]> {
  // Chromium's sandbox does not start for root.
  const browser = await chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] });
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    await page.goto(`${address}/in-the-browser.html`);
    await page.locator('.guest-runner[data-state=ready]').waitFor();
    await page.locator('.guest-runner select').selectOption(test);
    await page.locator('.guest-runner button').click();
    await page.locator('.guest-runner[data-state=done], .guest-runner[data-state=failed]').waitFor();
    const rows = await page.locator('.guest-runner tbody tr').all();
    return await Promise.all(rows.map((row) => row.locator('td').allInnerTexts()));
  } finally {
    await browser.close();
  }
}

it('a TMK runs in a browser under every backing and timer, with the instructions and exits that it has in Node', async ({ skip }) => {
  const executable = installedChromium();
  if (executable === null) return skip('no Chromium on this machine');
  const { stdout } = await tmkVmm(['run', timers, TEST, '--backing', 'tdx,snp', '--reporter', 'json']);
  const vmtime = await tmkVmm(['run', timers, TEST, '--backing', 'tdx', '--guest-timer', 'vmtime', '--reporter', 'json']);
  const [hardware, snp] = JSON.parse(stdout).runs;
  const expected = [hardware, JSON.parse(vmtime.stdout).runs[0], snp].map(({ backing, guestTimer, tests: [{ outcome, guest, timers: { expired }, exits }] }) => {
    const { timer_arm: armed = 0, timer_expiry: fired = 0 } = exits.byReason.hypervisor;
    return [backing, guestTimer, outcome, ...[guest.instructions, expired, exits.paravisor, armed, fired].map((count: number) => count.toLocaleString('en'))];
  });
  await withSite(async (address) => {
    const rows = await runInBrowser(executable, address, TEST);
    expect(rows.map((cells) => cells.slice(0, expected[0]!.length))).toEqual(expected);
  });
}, 2 * PATIENCE_MS);
