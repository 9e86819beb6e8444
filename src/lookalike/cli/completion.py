"""Scripts that let a shell complete commands, flags and their choices, made from the parsers."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator, Mapping

from lookalike.cli.parser import actions_of

SHELLS = ("bash", "zsh", "fish")

_BASH = """\
_lookalike() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} choices=""
  COMPREPLY=()
  if (( COMP_CWORD == 1 )); then
    choices="{commands}"
  else
    case "${{COMP_WORDS[1]}} ${{COMP_WORDS[COMP_CWORD-1]}}" in
{choices}
      *) if [[ $current == -* ]]; then case "${{COMP_WORDS[1]}}" in
{flags}
      esac; fi ;;
    esac
  fi
  [[ -n $choices ]] && COMPREPLY=($(compgen -W "$choices" -- "$current"))
}}
complete -o default -F _lookalike lookalike
"""

# zsh runs the completions of bash.
_ZSH = """\
autoload -Uz compinit bashcompinit
(( $+functions[compdef] )) || compinit
bashcompinit
"""


def completion_script(shell: str, commands: Mapping[str, argparse.ArgumentParser]) -> str:
    """The script with which a shell of `SHELLS` completes `lookalike`; if nothing fits, it offers files."""
    if shell == "fish":
        return "".join(f"{line}\n" for line in _fish(commands))
    choices, flags = [], []
    for name, parser in commands.items():
        flags.append(f'        {name}) choices="{" ".join(_flags(parser))}" ;;')
        for action in actions_of(parser):
            if action.choices and action.option_strings:
                given = "|".join(f'"{name} {flag}"' for flag in action.option_strings)
                choices.append(f'      {given}) choices="{" ".join(action.choices)}" ;;')
            elif action.choices:
                choices.append(f'      "{name} {name}") choices="{" ".join(action.choices)}" ;;')
    bash = _BASH.format(commands=" ".join(commands), choices="\n".join(choices), flags="\n".join(flags))
    return _ZSH + bash if shell == "zsh" else bash


def _fish(commands: Mapping[str, argparse.ArgumentParser]) -> Iterator[str]:
    for name, parser in commands.items():
        about = shlex.quote(parser.description or "")
        yield f"complete -c lookalike -n __fish_use_subcommand -a {name} -d {about}"
        for action in actions_of(parser):
            words = ["complete", "-c", "lookalike", "-n", f"__fish_seen_subcommand_from {name}"]
            for flag in action.option_strings:
                words += ["-l", flag[2:]] if flag.startswith("--") else ["-s", flag[1:]]
            words += (
                ["-xa", " ".join(action.choices)] if action.choices else ["-r"] if action.nargs != 0 else []
            )
            if action.option_strings or action.choices:
                yield shlex.join([*words, "-d", action.help or ""])


def _flags(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in actions_of(parser):
        yield from action.option_strings
