/** Links of a built site: pages, files and anchors within them. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Links of pages below the folder `site` that lead nowhere, by the page they stand on. Other hosts are not asked. */
export function brokenLinks(site) {
  const pages = readdirSync(site, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.html') && path !== '404.html').map((path) => path.replaceAll('\\', '/'));
  const texts = new Map(pages.map((page) => [page, readFileSync(join(site, page), 'utf8')]));
  const anchors = new Map([...texts].map(([page, text]) => [page, new Set([...text.matchAll(/\sid="([^"]*)"/g)].map(([, id]) => id))]));
  const leads = ({ path, anchor }) => {
    const file = path === '' || path.endsWith('/') ? `${path}index.html` : path;
    if (!anchors.has(file)) return existsSync(join(site, file)) && anchor === '';
    return anchor === '' || anchors.get(file).has(anchor);
  };
  return [...texts].flatMap(([page, text]) =>
    hrefsOf(text).filter((href) => !leads(targetOf(href, page))).map((href) => ({ page, href })),
  );
}

/** What a page links to within the site, each once. */
function hrefsOf(text) {
  const hrefs = [...text.matchAll(/<a\s[^>]*?href="([^"]*)"/g)].map(([, href]) => href.replaceAll('&amp;', '&'));
  return [...new Set(hrefs)].filter((href) => !/^[a-z]+:/.test(href));
}

function targetOf(href, page) {
  const { pathname, hash } = new URL(href, new URL(page, 'site:///'));
  return { path: decodeURIComponent(pathname.slice(1)), anchor: decodeURIComponent(hash.slice(1)) };
}
