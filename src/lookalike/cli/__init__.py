"""The command line: parse, call one function, print.

Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 not done, 2 wrong usage,
130 interrupted.
"""

from __future__ import annotations

import argparse
import atexit
import datetime  # noqa: F401  (first, since NumPy takes a Ctrl-C while it imports this for a broken install)
import io
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from lookalike.cli.fetching import said_what_is_fetched
from lookalike.cli.noise import without_noise
from lookalike.cli.output import say
from lookalike.cli.parser import make_parser, parse
from lookalike.errors import LookalikeError


def entry() -> NoReturn:
    """Run the command of this process and end it.

    Python's own way out tears libraries down while threads of theirs still run, which aborted one search in
    fifty: "terminate called without an active exception".
    """
    code = main()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    if options.run is None:
        make_parser().print_help()
        return 0
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    with without_noise(), said_what_is_fetched():
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    try:
        code = int(options.run(options))
        sys.stdout.flush()
        return code
    except LookalikeError as error:
        from lookalike.cli.remedies import in_flags

        say(f"lookalike: {error.message}")
        if error.hint:
            say(f"  {in_flags(error.hint, options.command)}")
        return 1
    except KeyboardInterrupt:
        print("\nlookalike: stopped; what was committed is kept", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe has gone, as with `lookalike search … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
