/**
 * A rolldown plugin: private members of classes become plain properties, named after their class. A private field is made `undefined` before a constructor
 * gives it its value, which V8 takes for a second value of another kind: it then neither knows what the field holds nor leaves out what it would know. Hot code
 * runs a tenth to a quarter faster without.
 */
import { parseAst } from 'rolldown/parseAst';

export const plainFields = {
  name: 'plain-fields',
  transform: {
    filter: { id: /\/packages\/[^/]+\/dist\//, code: '#' },
    handler: (code) => replaceAll(code, editsOf(parseAst(code))),
  },
};

/** What to put in place of which characters, in no order. */
function editsOf(program) {
  const edits = [];
  /** The private names of the classes around a node, the innermost first. */
  const visit = (node, scopes) => {
    if (node.type === 'PrivateIdentifier') {
      const scope = scopes.find(({ names }) => names.has(node.name));
      edits.push({ ...node, text: `_${scope.className}_${node.name}` });
      return;
    }
    if (node.type === 'BinaryExpression' && node.left.type === 'PrivateIdentifier') throw new Error(`plain-fields: "#${node.left.name} in" is not understood`);
    const inner = node.type === 'ClassDeclaration' || node.type === 'ClassExpression' ? [scopeOf(node), ...scopes] : scopes;
    // Without a value it is the constructor that makes it.
    if (node.type === 'PropertyDefinition' && node.key.type === 'PrivateIdentifier' && node.value === null && !node.static) edits.push({ ...node, text: '' });
    else for (const child of childrenOf(node)) visit(child, inner);
  };
  visit(program, []);
  return edits;
}

function scopeOf({ id, body }) {
  const names = body.body.flatMap(({ key }) => (key?.type === 'PrivateIdentifier' ? [key.name] : []));
  return { className: id?.name ?? 'anonymous', names: new Set(names) };
}

function childrenOf(node) {
  return Object.values(node).flat().filter((child) => typeof child?.type === 'string');
}

function replaceAll(code, edits) {
  let at = 0;
  let replaced = '';
  for (const { start, end, text } of edits.sort((a, b) => a.start - b.start)) {
    replaced += code.slice(at, start) + text;
    at = end;
  }
  return replaced + code.slice(at);
}
