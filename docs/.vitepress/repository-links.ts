/**
 * Pages are written for a reader of the repository: they link to each other's files, to packages and to sources. Here such a link becomes one into
 * the site: another page, or a copy of the file as text.
 */
import { existsSync, statSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { MarkdownEnv, MarkdownRenderer } from 'vitepress';

/** The top folder of the repository, with a slash at its end. */
export const top = fileURLToPath(new URL('../../', import.meta.url));

/** Folder of the site in which copies of sources lie. */
const SOURCES = '/source';

/** Pages that include a file from the top. */
const included: Readonly<Record<string, string>> = { 'overview.md': 'README.md', 'contributing.md': 'CONTRIBUTING.md' };

/** Where text of a page comes from, relative to the top. */
function originOf(page: string): string {
  const [, folder, name] = /^(packages|examples)\/([^/]+)\.md$/.exec(page) ?? [];
  if (folder === undefined) return included[page] ?? `docs/${page}`;
  return folder === 'packages' ? `packages/${name}/README.md` : `docs/examples/${name}/README.md`;
}

/** The address in the site of a file or folder of the repository; null when it has no page. */
function pageOf(path: string): string | null {
  const [, room] = /^packages\/([^/]+)(?:\/README\.md)?$/.exec(path) ?? [];
  if (room !== undefined) return `/packages/${room}`;
  const [, example] = /^docs\/examples\/([^/]+)(?:\/README\.md)?$/.exec(path) ?? [];
  if (example !== undefined) return `/examples/${example}`;
  if (['docs', 'docs/README.md'].includes(path)) return '/';
  if (path === 'packages/tmk-vmm/schema') return '/json';
  const including = Object.keys(included).find((page) => included[page] === path);
  const [, page] = /^(?:docs\/)?([^/]+)\.md$/.exec(including ?? (path.startsWith('docs/') ? path : '')) ?? [];
  return page === undefined ? null : `/${page}`;
}

/** Rewrites links of pages into the repository, and notes in `copied` which files they want to be in the site. */
export function repositoryLinks(copied: Set<string>): (markdown: MarkdownRenderer) => void {
  const rewrite = (href: string, page: string): string => {
    if (/^(?:[a-z]+:|#|\/)/.test(href) || page.startsWith('api/')) return href;
    const [target, anchor] = href.split('#', 2);
    const path = posix.join(posix.dirname(originOf(page)), target!).replace(/\/$/, '');
    const address = pageOf(path);
    if (address !== null) return anchor === undefined ? address : `${address}#${anchor}`;
    // What does not exist stays as it is, for the check of links to find.
    if (!existsSync(top + path) || !statSync(top + path).isFile()) return href;
    copied.add(path);
    return `${SOURCES}/${path}.txt`;
  };
  return (markdown) => {
    markdown.core.ruler.push('repository-links', ({ tokens, env }) => {
      for (const token of tokens.flatMap(({ children }) => children ?? [])) {
        const href = token.type === 'link_open' ? token.attrGet('href') : null;
        if (href !== null) token.attrSet('href', rewrite(href, (env as MarkdownEnv).relativePath));
      }
    });
  };
}

/** Where in the site's folder the copy of a file lies. */
export const copyOf = (path: string): string => `${SOURCES.slice(1)}/${path}.txt`;
