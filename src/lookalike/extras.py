"""Tells how to install an optional feature's packages, however Lookalike itself was installed."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from functools import cache

_NAME = "lookalike"


@cache
def install_command(extra: str) -> str:
    """The shell command that installs an extra's packages for this Lookalike.

    It names the packages themselves, because `lookalike[extra]` fetches nothing if Lookalike was installed
    from a folder or a file. Without Lookalike's metadata, as in a bare checkout, it can only name the extra.
    """
    from importlib import metadata  # takes longer to import than everything else that reports errors

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
    """The requirements of an extra, including those of extras that it names."""
    for requirement in requirements:
        package, _, condition = (part.strip() for part in requirement.partition(";"))
        if not re.search(rf"""extra *== *['"]{re.escape(extra)}['"]""", condition):
            continue
        own = re.fullmatch(rf"{_NAME}\[(.+)\]", package)
        if own is None:
            yield package
        for other in own[1].split(",") if own else ():
            yield from _packages(requirements, other.strip())
