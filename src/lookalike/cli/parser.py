"""The parser of the command line, built from the commands' modules."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any, NoReturn

from lookalike import __version__
from lookalike.cli.output import printable

_INTRODUCTION = """Turn any pile of images into a visual search engine.

  lookalike demo                        try it at once, on flowers that it draws itself
  lookalike photos/                     the same with your pictures: build what is new, open the page
  lookalike search photos.lookalike a.jpg    the pictures most like one
"""

# In the order of the help. The module of a command has its name; `import` is taken by Python.
COMMANDS = {
    "build": "build",
    "search": "search",
    "recommend": "recommend",
    "identify": "identify",
    "teach": "teach",
    "serve": "serve",
    "open": "open",
    "demo": "demo",
    "download": "download",
    "index": "index",
    "models": "models",
    "model": "model",
    "evaluate": "evaluate",
    "train": "train",
    "cluster": "cluster",
    "duplicates": "duplicates",
    "outliers": "outliers",
    "map": "map",
    "import": "import_",
    "export": "export",
    "pack": "pack",
    "info": "info",
    "failures": "failures",
    "verify": "verify",
    "completion": "completion",
}


def make_parser() -> argparse.ArgumentParser:
    """The parser of the command line; `options.run` is the function of the command, if there is one."""
    return _parsers()[0]


def command_parsers() -> Mapping[str, argparse.ArgumentParser]:
    """The parser of each command, by its name."""
    commands = _parsers()[1]
    for command in commands.values():
        command.fill()
    return commands


def actions_of(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """The arguments and flags of a parser."""
    return parser._actions  # argparse has no public list of them


class _Parser(argparse.ArgumentParser):
    """One whose errors show what was typed as it is, names of files with control characters among it."""

    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


class _Command(_Parser):
    """The parser of a command, whose arguments are added when it is used: each run uses one of them."""

    add_all: Callable[[argparse.ArgumentParser], None] | None = None

    def fill(self) -> None:
        """Add the arguments, once."""
        add, self.add_all = self.add_all, None
        if add is not None:
            add(self)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self.fill()
        return super().parse_known_args(args, namespace)


@cache
def _parsers() -> tuple[argparse.ArgumentParser, Mapping[str, _Command]]:
    parser = _Parser(
        prog="lookalike", description=_INTRODUCTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"lookalike {__version__}")
    parser.set_defaults(run=None, command="")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Command)
    for name, module_name in COMMANDS.items():
        module = import_module(f"lookalike.cli.commands.{module_name}")
        command = commands.add_parser(
            name,
            help=module.SUMMARY,
            description=module.SUMMARY,
            epilog=f"example:\n  {module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_all = module.add_arguments
        command.set_defaults(run=module.run, command=name)
    return parser, commands.choices


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Parse the words of a command line to options; ends the program with code 2 if they are invalid."""
    words = list(words)
    first = words[0] if words else "-"
    if not first.startswith("-") and first not in COMMANDS:
        if not (os.sep in first or "." in first or os.path.exists(first)):
            make_parser().error(f"there is no command {first}{_near(first, COMMANDS)}")
        words.insert(0, "open")  # a path alone
    options, unknown = make_parser().parse_known_args(words)
    if hasattr(options, "pictures") and not any(word.startswith("-") for word in unknown):
        # Before Python 3.12 argparse ends a list that may be empty at the first flag.
        options.pictures, unknown = [*options.pictures, *unknown], []
    if unknown:
        parser = command_parsers().get(options.command, make_parser())
        flags = [flag for action in actions_of(parser) for flag in action.option_strings]
        parser.error(f"unknown argument {unknown[0]}{_near(unknown[0], flags)}")
    return options


def _near(word: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(word.partition("=")[0], known, n=1)
    return f"; did you mean {near[0]}?" if near else ""
