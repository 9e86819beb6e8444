"""The parser of the command line: each command's module says what it is for and what it takes."""

from __future__ import annotations

import argparse
from importlib import import_module

from lookalike import __version__

_INTRODUCTION = """Turn any pile of images into a visual search engine.

  lookalike photos/                     build what is new, then open the page
  lookalike demo                        the same with drawn flowers, to see what it does
"""

# In the order of the help. The module of a command has its name; `import` is taken by Python.
COMMANDS = {
    "build": "build",
    "search": "search",
    "recommend": "recommend",
    "serve": "serve",
    "open": "open",
    "demo": "demo",
    "download": "download",
    "index": "index",
    "evaluate": "evaluate",
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
}


def make_parser() -> argparse.ArgumentParser:
    """The parser of the command line; `options.run` is the function of the command, if there is one."""
    parser = argparse.ArgumentParser(
        prog="lookalike", description=_INTRODUCTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"lookalike {__version__}")
    parser.set_defaults(run=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, module_name in COMMANDS.items():
        module = import_module(f"lookalike.cli.commands.{module_name}")
        command = commands.add_parser(
            name,
            help=module.SUMMARY,
            description=module.SUMMARY,
            epilog=f"example:\n  {module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser
