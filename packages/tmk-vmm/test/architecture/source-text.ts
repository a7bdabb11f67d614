/** What the import rules look at in a source file: its imports, and its code without comments and text. */

/** A source file cut into what is code and what is not. */
export interface SourceText {
  /** Every module specifier of static, type and dynamic imports and re-exports. */
  readonly imports: readonly string[];
  /** True when some dynamic import's specifier is not a plain string. */
  readonly computedImport: boolean;
  /** The code with comments, regular expressions and the insides of strings blanked out; expressions inside templates stay. */
  readonly bare: string;
}

/** Cuts up TypeScript source. Exact enough for this project's code; a file that confuses it fails the rules rather than passing them unseen. */
export function readSource(text: string): SourceText {
  const bare = strip(text);
  const quoted = `(?:'( *)'|"( *)")`;
  const specifier = new RegExp(`\\b(?:import|export)\\b(?!\\s*\\()[^'"\`;]*?\\bfrom\\s*${quoted}|\\bimport\\s*\\(?\\s*${quoted}`, 'dg');
  const imports = [...bare.matchAll(specifier)].map(({ indices }) => {
    const [start, end] = indices!.slice(1).find((range) => range !== undefined)!;
    return text.slice(start, end);
  });
  return { imports, computedImport: /\bimport\s*\(\s*[^'"\s]/.test(bare), bare };
}

/** The source with comments, regular expressions and the insides of strings and templates blanked, as long as it was. */
function strip(text: string): string {
  const bare = text.split('');
  const blank = (from: number, to: number): void => {
    for (let i = from; i < to; i++) if (bare[i] !== '\n') bare[i] = ' ';
  };
  /** Braces open inside each template expression that we are in. */
  const templates: number[] = [];
  let lastToken = '';
  let at = 0;
  const endOf = (pattern: RegExp): number => {
    pattern.lastIndex = at;
    return pattern.test(text) ? pattern.lastIndex : text.length;
  };
  /** Blanks what matches but for `kept` characters at both ends. */
  const skip = (pattern: RegExp, token: string, kept = 0): void => {
    const end = endOf(pattern);
    blank(at + kept, end - kept);
    at = end;
    if (token !== '') lastToken = token;
  };
  /** From the start of a template's text (a backtick or a closing brace) to its end or its next expression. */
  const skipTemplateText = (): void => {
    skip(/[`}](?:\\[^]|\$(?!\{)|[^\\`$])*(?:`|\$\{)/y, '`');
    if (text.slice(at - 2, at) === '${') {
      templates.push(0);
      lastToken = '(';
    }
  };
  while (at < text.length) {
    const char = text[at]!;
    if (text.startsWith('//', at)) skip(/\/\/.*/y, '');
    else if (text.startsWith('/*', at)) skip(/\/\*[^]*?\*\//y, '');
    else if (char === "'" || char === '"') skip(char === "'" ? /'(?:\\.|[^\\'\n])*'/y : /"(?:\\.|[^\\"\n])*"/y, '"', 1);
    else if (char === '`') skipTemplateText();
    else if (char === '/' && (lastToken === '' || /[([{,;:=!&|?+\-*%<>~^]|\b(?:return|typeof|case)$/.test(lastToken))) {
      skip(/\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n])+\/[a-z]*/y, '/');
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
  return bare.join('');
}
