/** What the import rules look at in a source file: its imports, and its code without comments and text. */

/** A source file cut into what is code and what is not. */
export interface SourceText {
  /** Every module specifier of static, type and dynamic imports and re-exports. */
  readonly imports: readonly string[];
  /** True when some dynamic import's specifier is not a plain string. */
  readonly computedImport: boolean;
  /** The code with comments, strings and regular expressions blanked out; expressions inside templates stay. */
  readonly bare: string;
}

/** Cuts up TypeScript source. Exact enough for this project's code; a file that confuses it fails the rules rather than passing them unseen. */
export function readSource(text: string): SourceText {
  const { code, bare } = strip(text);
  const imports: string[] = [];
  const statement = /\b(?:import|export)\b(?!\s*\()[^'"`;]*?\bfrom\s*(['"])(.*?)\1|\bimport\s*(['"])(.*?)\3|\bimport\s*\(\s*(['"])(.*?)\5/g;
  for (const match of code.matchAll(statement)) imports.push((match[2] ?? match[4] ?? match[6])!);
  return { imports, computedImport: /\bimport\s*\(\s*[^'"\s]/.test(code.replaceAll(/\bimport\s*\(\s*(['"]).*?\1/g, '')), bare };
}

/** `code`: comments, templates' text and regular expressions blanked. `bare`: strings too. Both as long as the source. */
function strip(text: string): { code: string; bare: string } {
  const code = text.split('');
  const bare = text.split('');
  const blank = (list: string[], from: number, to: number): void => {
    for (let i = from; i < to; i++) if (list[i] !== '\n') list[i] = ' ';
  };
  /** Braces open inside each template expression that we are in. */
  const templates: number[] = [];
  let lastToken = '';
  let at = 0;
  const endOf = (pattern: RegExp): number => {
    pattern.lastIndex = at;
    return pattern.test(text) ? pattern.lastIndex : text.length;
  };
  const skip = (pattern: RegExp, lists: string[][], token: string): void => {
    const end = endOf(pattern);
    for (const list of lists) blank(list, at, end);
    at = end;
    if (token !== '') lastToken = token;
  };
  /** From the start of a template's text (a backtick or a closing brace) to its end or its next expression. */
  const skipTemplateText = (): void => {
    skip(/[`}](?:\\[^]|\$(?!\{)|[^\\`$])*(?:`|\$\{)/y, [code, bare], '`');
    if (text.slice(at - 2, at) === '${') {
      templates.push(0);
      lastToken = '(';
    }
  };
  while (at < text.length) {
    const char = text[at]!;
    if (text.startsWith('//', at)) skip(/\/\/.*/y, [code, bare], '');
    else if (text.startsWith('/*', at)) skip(/\/\*[^]*?\*\//y, [code, bare], '');
    else if (char === "'" || char === '"') skip(char === "'" ? /'(?:\\.|[^\\'\n])*'/y : /"(?:\\.|[^\\"\n])*"/y, [bare], '"');
    else if (char === '`') skipTemplateText();
    else if (char === '/' && (lastToken === '' || /[([{,;:=!&|?+\-*%<>~^]|\b(?:return|typeof|case)$/.test(lastToken))) {
      skip(/\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n])+\/[a-z]*/y, [code, bare], '/');
    } else if (char === '}' && templates.at(-1) === 0) {
      templates.pop();
      skipTemplateText();
    } else {
      if (templates.length > 0 && char === '{') templates[templates.length - 1]! += 1;
      if (templates.length > 0 && char === '}') templates[templates.length - 1]! -= 1;
      const word = /[\w$]+/y;
      word.lastIndex = at;
      const [token] = word.exec(text) ?? [char];
      if (token.trim() !== '') lastToken = token;
      at += token.length;
    }
  }
  return { code: code.join(''), bare: bare.join('') };
}
