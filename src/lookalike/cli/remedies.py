"""Translates hints to the command line: arguments become flags, calls become commands.

The library's hints are for Python, with code in backticks. Flags are named after arguments and commands
after functions, so both are found rather than listed.
"""

from __future__ import annotations

import argparse
import ast
import math
import re
import shlex
from collections.abc import Iterator
from typing import Any

from lookalike.cli.parser import actions_of, command_parsers

# Functions whose command has another name.
_COMMANDS = {
    "undo_moves": ["duplicates", "--undo"],
    "add_model": ["model", "add"],
    "identify_missing": ["identify", "--fill"],
    "export_model": ["model", "export"],
}
_NO_FLAGS = {"write"}  # the command always does it


def in_flags(hint: str, command: str = "") -> str:
    """A hint for the user of `command`; code that is neither a flag nor a command stays unchanged."""

    def said(code: re.Match[str]) -> str:
        return _said(code[1], command) or code[0]

    return re.sub(r"`([^`]+)`", said, hint)


def _said(code: str, command: str) -> str | None:
    try:
        found = ast.parse(f"_({code})", mode="eval").body
    except SyntaxError:
        return None
    match found:
        case ast.Call(args=[ast.Name(id=name)], keywords=[]):
            flag = _option(command, name)
            return flag.option_strings[-1] if flag else None
        case ast.Call(args=[ast.Call(func=ast.Attribute(value=ast.Name(id=module)))]) if (
            module != "lookalike"
        ):
            return None  # of another library
        case ast.Call(args=[ast.Call() as call], keywords=[]):
            return _query(call) or " ".join(["lookalike", *_command(call)])
        case ast.Call(args=[], keywords=[_, *_] as keywords):
            return " ".join(word for keyword in keywords for word in _flag(command, keyword))
    return None


def _query(call: ast.Call) -> str:
    """`Id('a.jpg')` as a word of a query; empty for another call."""
    match call:
        case ast.Call(func=ast.Name(id="Id" | "Text" as kind), args=[value]):
            return f"{kind.lower()}:{_value(value)}"
    return ""


def _command(call: ast.Call) -> Iterator[str]:
    """The words of a call such as `lookalike.open('photos.lookalike').index(kind='flat')`."""
    match call.func:
        case ast.Attribute(value=ast.Call(args=opened), attr=name):
            words = _COMMANDS.get(name, [name])
        case ast.Attribute(attr=name):
            words, opened = _COMMANDS.get(name, [name]), []
        case _:
            return
    yield from words
    for argument in (*opened, *call.args):
        yield shlex.quote(_value(argument))
    for keyword in call.keywords:
        yield from _flag(words[0], keyword)


def _flag(command: str, keyword: ast.keyword) -> Iterator[str]:
    option = _option(command, str(keyword.arg))
    if option is None or keyword.arg in _NO_FLAGS:
        return
    yield option.option_strings[0]
    if option.nargs != 0:
        yield shlex.quote(_value(keyword.value, in_bytes=str(keyword.arg).endswith("memory_bytes")))


def _value(node: ast.expr, in_bytes: bool = False) -> str:
    if isinstance(node, ast.Name):  # for the user to fill in
        return node.id.upper()
    value: Any = ast.literal_eval(node)
    if value is ...:
        return "…"
    return f"{math.ceil(value / 1e6)}MB" if in_bytes else str(value)


def _option(command: str, name: str) -> argparse.Action | None:
    """The flag of an argument: the command's own, else that of the first command that has one."""
    parsers = command_parsers()
    chosen = [parsers[command]] if command in parsers else []
    for parser in (*chosen, *parsers.values()):
        for action in actions_of(parser):
            if action.dest == name and action.option_strings:
                return action
    return None
