"""lookalike completion: completes commands in a shell."""

from __future__ import annotations

import argparse

from lookalike.cli.completion import SHELLS

SUMMARY = "print a script that completes commands with the tab key"
EXAMPLE = (
    "lookalike completion bash\n\n"
    'in ~/.bashrc:                     eval "$(lookalike completion bash)"\n'
    'in ~/.zshrc:                      eval "$(lookalike completion zsh)"\n'
    "in ~/.config/fish/config.fish:    lookalike completion fish | source"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, help="bash, zsh or fish")


def run(options: argparse.Namespace) -> int:
    from lookalike.cli.completion import completion_script
    from lookalike.cli.parser import command_parsers

    print(completion_script(options.shell, command_parsers()), end="")
    return 0
