"""The sections of a long benchmark: each prints its figures at once, and no failure loses another's."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Figures = dict[str, Any]


class Sections:
    """Runs one section after the other; what one of them found is not lost by the failure of another.

    One is skipped if less is left of the `minutes` than the longest has taken so far.
    """

    def __init__(self, path: Path | None, minutes: float = math.inf) -> None:
        self._path, self._found = path, dict[str, Figures]()
        self._end, self._longest = time.perf_counter() + 60 * minutes, 0.0

    def run(self, name: str, work: Callable[[], Figures]) -> Figures:
        """Print and keep the figures of a section, or its error; returns them."""
        started = time.perf_counter()
        has_time = started + self._longest <= self._end
        found = _figures(work) if has_time else {"error": "skipped: too little time is left"}
        found["seconds"] = time.perf_counter() - started
        self._longest = max(self._longest, found["seconds"])
        self._found[name] = {
            key: float(f"{value:.4g}") if isinstance(value, float) else value for key, value in found.items()
        }
        print(json.dumps({"section": name, **self._found[name]}), flush=True)
        if self._path:
            self._path.write_text(json.dumps(self._found, indent=1))
        return found


def _figures(work: Callable[[], Figures]) -> Figures:
    try:
        return dict(work())
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
