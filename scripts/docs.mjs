/**
 * `npm run docs`: builds the documentation's site into docs/.vitepress/dist and checks its links. With `--update`, brings the parts of pages that are
 * made from code up to date instead; a test says when they are not.
 */
import { existsSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { brokenLinks } from '../docs/generate/links.mjs';
import { prepare, root, run } from './workspace.mjs';

const docs = join(root, 'docs');
const site = join(docs, '.vitepress', 'dist');

prepare();
if (process.argv.includes('--update')) {
  run(process.execPath, { args: ['docs/generate/sections.mjs'] });
} else {
  build();
}

function build() {
  rmSync(join(docs, 'api'), { recursive: true, force: true });
  run(process.execPath, { args: ['docs/node_modules/typedoc/bin/typedoc', '--options', 'docs/typedoc.json'], quiet: true });
  run(process.execPath, { args: ['docs/node_modules/vitepress/bin/vitepress.js', 'build', 'docs'], quiet: true });
  // VitePress looks for pages that are not there; anchors and files it leaves alone.
  const broken = brokenLinks(site);
  for (const { page, href } of broken) console.error(`${page}: ${href} leads nowhere`);
  if (broken.length > 0 || !existsSync(join(site, 'index.html'))) process.exit(1);
  console.log(`The site is in ${relative(process.cwd(), site)}; npx vitepress preview, in the folder docs, shows it.`);
}
