"""The machine that a benchmark ran on: processor, cores, memory, load, and versions of what was measured."""

from __future__ import annotations

import os
import platform
import re
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import lookalike
from lookalike.parallel import cores

LIBRARIES = ("numpy", "pyarrow", "faiss-cpu", "sqlglot", "onnxruntime", "starlette", "uvicorn")


def machine() -> dict[str, str]:
    """The facts in the order in which they are printed."""
    versions = {"python": platform.python_version(), **{name: _version(name) for name in LIBRARIES}}
    return {
        "processor": _first(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo")) or platform.processor(),
        "cores": str(cores()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB",
        "load": f"{os.getloadavg()[0]:.1f} at the start",
        "system": platform.platform(),
        "versions": ", ".join(f"{name} {number}" for name, number in versions.items()),
        "lookalike": f"{lookalike.__version__} in {Path(lookalike.__file__).parent}",
    }


def memory_mb() -> float:
    """The memory of this process and all that it started, in megabytes; what several share counts once.

    Linux alone tells; elsewhere it is 0.
    """
    own = os.getpid()
    return sum(_pss_kb(pid) for pid in (own, *_children(own))) / 1e3


def _pss_kb(pid: int) -> int:
    return int(_first(r"(?m)^Pss:\s*(\d+)", Path(f"/proc/{pid}/smaps_rollup")) or 0)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    return [*found, *(below for child in found for below in _children(child))]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def _first(pattern: str, path: Path) -> str:
    with suppress(OSError):
        if found := re.search(pattern, path.read_text()):
            return found[1]
    return ""
