import { commands, everyOption, generalOptions, offerFor, quoted } from './words.js';
import type { KnownNames, Offer } from './words.js';

/**
 * For bash 3.2 and newer, without the bash-completion package. Words are taken from the line itself, because bash breaks them at `:` and `=`, which
 * test names and settings are full of; for the same reason an answer must leave out what stands before the last of these.
 */
export function bashScript(known: KnownNames): string {
  const valued = everyOption.filter(({ value }) => value !== undefined);
  return `# bash completion for tmk-vmm; made by: tmk-vmm completion bash
_tmk_vmm() {
  local line=\${COMP_LINE:0:COMP_POINT} current='' option='' command='' guest='' word before
  local -a words
  local IFS=$' \\t\\n'
  read -ra words <<< "$line"
  if [[ $line != *[[:space:]] ]]; then
    current=\${words[\${#words[@]}-1]}
    unset "words[\${#words[@]}-1]"
  fi
  for word in "\${words[@]:1}"; do
    if [[ -n $option ]]; then option=''; continue; fi
    case $word in
      ${valued.map(({ name }) => `--${name}`).join('|')}) option=$word ;;
      -*) ;;
      *) if [[ -z $command ]]; then command=$word; elif [[ -z $guest ]]; then guest=$word; fi ;;
    esac
  done
  before=\${current%"\${current##*[:=]}"}
  if [[ -z $option && $current == --*=* ]]; then
    option=\${current%%=*}
    current=\${current#*=}
  fi
  COMPREPLY=()
  if [[ -n $option ]]; then
    case $option in
${valued.map(({ name, kind }) => `      --${name}) ${answer(offerFor(kind, known), kind === 'backing')} ;;`).join('\n')}
    esac
  elif [[ $current == -* ]]; then
    case $command in
${commands.map(({ name, options }) => `      ${name}) _tmk_vmm_words ${quoted(flags(options))} ;;`).join('\n')}
      *) _tmk_vmm_words ${quoted(flags([]))} ;;
    esac
  elif [[ -z $command ]]; then
    _tmk_vmm_words ${quoted(commands.map(({ name }) => name).join(' '))}
  elif [[ -z $guest ]]; then
    case $command in
${commands.flatMap(({ name, arguments: [first] }) => (first ? [`      ${name}) ${answer(offerFor(first.kind, known))} ;;`] : [])).join('\n')}
    esac
  else
    case $command in
${commands.flatMap(({ name, arguments: [, second] }) => (second ? [`      ${name}) ${answer(offerFor(second.kind, known))} ;;`] : [])).join('\n')}
    esac
  fi
  # Only what follows the last break is replaced.
  if [[ -n $before && $COMP_WORDBREAKS == *[:=]* ]]; then
    local index whole=\${line##*[[:space:]]}
    for index in "\${!COMPREPLY[@]}"; do
      if [[ $whole == --*=* ]]; then COMPREPLY[index]=\${whole%%=*}=\${COMPREPLY[index]}; fi
      COMPREPLY[index]=\${COMPREPLY[index]#"$before"}
    done
  fi
}
_tmk_vmm_words() {
  COMPREPLY=($(compgen -W "$1" -- "$current"))
  if [[ \${#COMPREPLY[@]} == 1 && \${COMPREPLY[0]} == *= ]]; then compopt -o nospace 2> /dev/null; fi
}
_tmk_vmm_list() {
  local done=\${current%"\${current##*,}"}
  COMPREPLY=($(compgen -P "$done" -W "$1" -- "\${current##*,}"))
}
_tmk_vmm_files() {
  local IFS=$'\\n'
  compopt -o filenames 2> /dev/null
  COMPREPLY=($(compgen -f -- "$current"))
}
_tmk_vmm_tests() {
  COMPREPLY=($(compgen -W "$(tmk-vmm list "$guest" 2> /dev/null | sed 's/ .*//')" -- "$current"))
}
complete -F _tmk_vmm tmk-vmm
`;
}

function answer(offer: Offer, commaSeparated = false): string {
  switch (offer) {
    case 'nothing':
      return ':';
    case 'files':
      return '_tmk_vmm_files';
    case 'tests':
      return '_tmk_vmm_tests';
    default:
      return `${commaSeparated ? '_tmk_vmm_list' : '_tmk_vmm_words'} ${quoted(offer.words.join(' '))}`;
  }
}

function flags(options: readonly { readonly name: string }[]): string {
  return [...options, ...generalOptions].map(({ name }) => `--${name}`).join(' ');
}
