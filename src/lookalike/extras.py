"""How to install what an optional part needs, however Lookalike itself was installed."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from functools import cache

_NAME = "lookalike"


@cache
def install_command(extra: str) -> str:
    """The shell command that installs the packages of an extra beside this Lookalike.

    It names the packages themselves: `lookalike[extra]` fetches nothing where Lookalike came from a folder or
    a file. Where its own metadata is missing, as in a bare checkout, the extra is all that can be named.
    """
    from importlib import metadata  # which takes longer to import than all that reports errors

    try:
        own = metadata.distribution(_NAME)
        packages = sorted(set(_packages(own.requires or (), extra)))
        installer = (own.read_text("INSTALLER") or "").strip()
    except metadata.PackageNotFoundError:
        packages, installer = [], ""
    by_uv = ["uv", "pip", "install", "--python", sys.executable]
    pip = by_uv if installer == "uv" else [sys.executable, "-m", "pip", "install"]
    return shlex.join([*pip, *(packages or [f"{_NAME}[{extra}]"])])


def _packages(requirements: list[str] | tuple[str, ...], extra: str) -> Iterator[str]:
    """The requirements of an extra, and of those extras that it stands for."""
    for requirement in requirements:
        package, _, condition = (part.strip() for part in requirement.partition(";"))
        if not re.search(rf"""extra *== *['"]{re.escape(extra)}['"]""", condition):
            continue
        own = re.fullmatch(rf"{_NAME}\[(.+)\]", package)
        if own is None:
            yield package
        for other in own[1].split(",") if own else ():
            yield from _packages(requirements, other.strip())
