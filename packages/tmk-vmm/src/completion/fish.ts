import type { CommandSpec, OptionSpec } from '../cli/commands.js';
import { commands, generalOptions, offerFor } from './words.js';
import type { KnownNames, Offer } from './words.js';

/** For fish: one `complete` line for every command, argument and option. */
export function fishScript(known: KnownNames): string {
  const lines = [
    ...commands.map(({ name, description }) => `complete -c tmk-vmm -n __fish_use_subcommand -a ${name} -d ${quoted(description)}`),
    ...generalOptions.map(({ name, description }) => `complete -c tmk-vmm -l ${name} -d ${quoted(description)}`),
    ...commands.flatMap((spec) => [...argumentLines(spec, known), ...(spec.options).map((option) => optionLine(spec, option, known))]),
  ];
  return `# fish completion for tmk-vmm; made by: tmk-vmm completion fish
function __tmk_vmm_guest --description 'The guest on the line, if there is one'
    for word in (commandline -opc)[3..]
        if test -f $word
            echo $word
            return 0
        end
    end
    return 1
end
function __tmk_vmm_tests --description 'The tests of the guest on the line'
    tmk-vmm list (__tmk_vmm_guest) 2>/dev/null | string replace -r ' .*' ''
end
complete -c tmk-vmm -f
${lines.join('\n')}
`;
}

/** In single quotes fish knows two escapes. */
const quoted = (text: string): string => `'${text.replaceAll(/[\\']/g, String.raw`\$&`)}'`;

function argumentLines({ name, arguments: [first, second] }: CommandSpec, known: KnownNames): string[] {
  if (!first) return [];
  const seen = `__fish_seen_subcommand_from ${name}`;
  if (!second) return [`complete -c tmk-vmm -n ${quoted(seen)} ${offered(offerFor(first.kind, known))}`];
  return [
    `complete -c tmk-vmm -n ${quoted(`${seen}; and not __tmk_vmm_guest >/dev/null`)} ${offered(offerFor(first.kind, known))}`,
    `complete -c tmk-vmm -n ${quoted(`${seen}; and __tmk_vmm_guest >/dev/null`)} ${offered(offerFor(second.kind, known))}`,
  ];
}

function optionLine({ name }: CommandSpec, option: OptionSpec, known: KnownNames): string {
  const value = option.value === undefined ? '' : ` -r ${offered(offerFor(option.kind, known))}`;
  return `complete -c tmk-vmm -n ${quoted(`__fish_seen_subcommand_from ${name}`)} -l ${option.name}${value} -d ${quoted(option.description)}`;
}

function offered(offer: Offer): string {
  switch (offer) {
    case 'nothing':
      return '-f';
    case 'files':
      return '-F';
    case 'tests':
      return `-f -a ${quoted('(__tmk_vmm_tests)')}`;
    default:
      return `-f -a ${quoted(offer.words.join(' '))}`;
  }
}
