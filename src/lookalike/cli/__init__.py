"""The command line: parse, call one function, print.

Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 not done, 2 wrong usage,
130 interrupted.
"""

from __future__ import annotations

import argparse
import datetime  # noqa: F401  (first, since NumPy takes a Ctrl-C while it imports this for a broken install)
import io
import os
import sys
from collections.abc import Sequence

from lookalike.cli.noise import without_noise
from lookalike.cli.parser import COMMANDS, make_parser
from lookalike.errors import LookalikeError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = make_parser().parse_args(_expanded(words))
    if options.run is None:
        make_parser().print_help()
        return 0
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    with without_noise():
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    try:
        code = int(options.run(options))
        sys.stdout.flush()
        return code
    except LookalikeError as error:
        print(f"lookalike: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"  {error.hint}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nlookalike: stopped; what was committed is kept", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe has gone, as with `lookalike search … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _expanded(words: list[str]) -> list[str]:
    """The short form: a first word that is a path and no command means `open`."""
    if words and not words[0].startswith("-") and words[0] not in COMMANDS:
        looks_like_path = os.sep in words[0] or "." in words[0] or os.path.exists(words[0])
        return ["open", *words] if looks_like_path else words
    return words
