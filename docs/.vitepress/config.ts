/** The site: its pages, in the order one reads them. */
import { copyFileSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { defineConfig } from 'vitepress';
import type { DefaultTheme } from 'vitepress';
import { copyOf, repositoryLinks, top } from './repository-links.js';

/** From the ground up: who may import whom. */
const rooms = ['hcl-protocol', 'x86-cpu', 'virt-machine', 'virt-core', 'backing-tdx', 'backing-snp', 'partition', 'tmk-vmm', 'tmk-guests'];

/** Modules of the reference, as TypeDoc wrote them; none before it has. */
const api = join(top, 'docs/api/@paravisor');
const modules = (existsSync(api) ? readdirSync(api, { recursive: true, encoding: 'utf8' }) : [])
  .filter((path) => path.endsWith('.md') && !path.includes('namespaces'))
  .map((path) => path.replaceAll('\\', '/').replace(/\.md$/, ''))
  .toSorted();

const sidebar: DefaultTheme.SidebarItem[] = [
  {
    text: 'What it is',
    items: [
      { text: 'Guides', link: '/' },
      { text: 'Overview and start', link: '/overview' },
      { text: 'What is modelled', link: '/what-is-modelled' },
      { text: 'The life of a timer', link: '/life-of-a-timer' },
      { text: 'Reading the exit table', link: '/timer-exits' },
      { text: 'What each timer policy saves', link: '/timer-policies' },
      { text: 'An untrusted host', link: '/untrusted-host' },
      { text: 'The cost model', link: '/cost-model' },
      { text: 'Speed', link: '/speed' },
      { text: 'In the browser', link: '/in-the-browser' },
      { text: 'Conformance', link: '/conformance' },
    ],
  },
  {
    text: 'The tool',
    items: [
      { text: 'The command line', link: '/command-line' },
      { text: 'JSON output', link: '/json' },
      { text: 'Save and restore', link: '/save-and-restore' },
      { text: 'Swapping backings in tests', link: '/examples/swap-backings' },
      { text: 'Write a backing', link: '/write-a-backing' },
      { text: 'The example backing', link: '/examples/example-backing' },
    ],
  },
  { text: 'Packages', items: rooms.map((room) => ({ text: room, link: `/packages/${room}` })) },
  { text: 'API reference', collapsed: true, items: modules.map((name) => ({ text: name.replace(/\/index$/, ''), link: `/api/@paravisor/${name}` })) },
  {
    text: 'Working on it',
    items: [
      { text: 'Contributing', link: '/contributing' },
      { text: 'Releases and backports', link: '/releasing' },
    ],
  },
];

const copied = new Set<string>();

export default defineConfig({
  title: 'Paravisor',
  description: "An executable model of a confidential VM's paravisor and its guest timers",
  lang: 'en',
  srcExclude: ['examples/*/node_modules/**'],
  rewrites: { 'README.md': 'index.md', 'examples/:name/README.md': 'examples/:name.md' },
  cleanUrls: false,
  // Diagrams of 100 columns fit without scrolling.
  head: [['style', {}, '.VPDoc.has-aside .content-container { max-width: 820px !important } .vp-doc [class*=language-] code { font-size: 12px }']],
  markdown: { config: repositoryLinks(copied), lineNumbers: false },
  themeConfig: {
    sidebar,
    outline: [2, 3],
    search: { provider: 'local' },
    docFooter: { prev: false, next: false },
  },
  // The index of the search alone is larger than Vite likes; it is fetched when one searches.
  vite: { build: { chunkSizeWarningLimit: 4000 } },
  buildEnd({ outDir }) {
    for (const path of copied) {
      const copy = join(outDir, copyOf(path));
      mkdirSync(dirname(copy), { recursive: true });
      copyFileSync(join(top, path), copy);
    }
  },
});
