import type { CommandSpec, OptionSpec } from '../cli/commands.js';
import { commands, generalOptions, offerFor, quoted } from './words.js';
import type { KnownNames, Offer } from './words.js';

/** For zsh's completion system: one call of `_arguments` for every command. */
export function zshScript(known: KnownNames): string {
  return `#compdef tmk-vmm
# zsh completion for tmk-vmm; made by: tmk-vmm completion zsh
_tmk_vmm() {
  local -a commands line state tests
  local curcontext=$curcontext
  commands=(
${commands.map(({ name, description }) => `    ${quoted(`${name}:${description}`)}`).join('\n')}
  )
  if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then
    _describe -t commands command commands
    return
  fi
  shift words
  (( CURRENT-- ))
  case $words[1] in
${commands.map((spec) => `    ${spec.name}) _arguments -C ${specsOf(spec, known).map(quoted).join(' ')} ;;`).join('\n')}
    *) _arguments ${generalOptions.map(flag).map(quoted).join(' ')} ;;
  esac
  if [[ $state == tests ]]; then
    tests=(\${\${(f)"$(_call_program tests tmk-vmm list \${(q)\${(Q)line[1]}})"}%% *})
    compadd -a tests
  fi
}
if [[ $funcstack[1] == _tmk_vmm ]]; then _tmk_vmm "$@"; else compdef _tmk_vmm tmk-vmm; fi
`;
}

function specsOf({ options, arguments: positionals }: CommandSpec, known: KnownNames): string[] {
  return [
    ...options.map((option) => optionSpec(option, known)),
    ...generalOptions.map(flag),
    ...positionals.map(({ name, kind }, index) => `${name.includes('...') ? '*' : index + 1}:${name.replaceAll(/[^a-z]/g, '')}:${action(offerFor(kind, known))}`),
  ];
}

/** Brackets and colons have a meaning in a specification. */
const escaped = (text: string): string => text.replaceAll(/[[\]:]/g, String.raw`\$&`);

const flag = ({ name, description }: { readonly name: string; readonly description: string }): string => `--${name}[${escaped(description)}]`;

function optionSpec({ name, description, value, kind, repeatable }: OptionSpec, known: KnownNames): string {
  const star = repeatable ? '*' : '';
  if (value === undefined) return star + flag({ name, description });
  const offer = offerFor(kind, known);
  const words = typeof offer === 'object' ? offer.words.join(' ') : '';
  const act = kind === 'backing' ? `_values -s , backing ${words}` : action(offer);
  return `${star}--${name}=[${escaped(description)}]:${escaped(value)}:${act}`;
}

function action(offer: Offer): string {
  switch (offer) {
    case 'nothing':
      return ' ';
    case 'files':
      return '_files';
    case 'tests':
      return '->tests';
    default:
      // With -S '' no space follows, so that a cost's figure can be typed after its name.
      return offer.words.every((word) => word.endsWith('=')) ? `compadd -S '' - ${offer.words.join(' ')}` : `(${offer.words.join(' ')})`;
  }
}
