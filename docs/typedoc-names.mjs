/**
 * TypeDoc names a module after its file, and takes no comment at the head of one without a tag. Here a module is named after what one imports,
 * `@paravisor/virt-core/di`, and opens with its file's first comment.
 */
import { Comment, Converter, ReflectionKind } from 'typedoc';

/** Called by TypeDoc. */
export function load(app) {
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, (context) => {
    for (const module of context.project.getReflectionsByKind(ReflectionKind.Module)) {
      const [room, ...inner] = module.name.replace(/^packages\//, '').split('/').filter((part) => part !== 'src');
      module.name = ['@paravisor', room, ...inner].join('/');
      module.comment ??= headComment(context.getSymbolFromReflection(module));
    }
  });
}

function headComment(symbol) {
  const [, text] = /^\/\*\*(.*?)\*\//s.exec(symbol?.declarations[0].getSourceFile().text ?? '') ?? [];
  return text === undefined ? undefined : new Comment([{ kind: 'text', text: text.replaceAll(/^ *\* ?/gm, '').trim() }]);
}
