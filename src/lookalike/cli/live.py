"""The live table of a download: drawn in place on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from lookalike.cli.output import printable, say

if TYPE_CHECKING:
    from lookalike.acquire.report import DownloadReport

_LINE_EVERY_S = 5.0
_ERRORS, _HOSTS = 5, 3


class DownloadTable:
    """Shows the report so far, each time it is called."""

    def __init__(self) -> None:
        self._said_s = time.monotonic()
        self._lines_drawn = 0

    def __enter__(self) -> DownloadTable:
        return self

    def __exit__(self, *_: object) -> None:
        self._erase()

    def __call__(self, report: DownloadReport) -> None:
        if sys.stderr.isatty():
            self._erase()
            lines = table_lines(report)
            print("\n".join(map(printable, lines)), file=sys.stderr, flush=True)
            self._lines_drawn = len(lines)
        elif time.monotonic() - self._said_s > _LINE_EVERY_S:
            self._said_s = time.monotonic()
            say(summary(report))

    def _erase(self) -> None:
        """Move up to the table's first line, and clear the terminal from there (ECMA-48: CPL, ED)."""
        if self._lines_drawn:
            print(f"\x1b[{self._lines_drawn}F\x1b[J", end="", file=sys.stderr, flush=True)
            self._lines_drawn = 0


def summary(report: DownloadReport) -> str:
    """One line: counts, then speed."""
    counts = {"downloaded": report.succeeded, "failed": report.failed, "duplicates": report.duplicates}
    said = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count or name == "downloaded")
    return f"{said}; {report.images_per_s:,.0f} images/s, {report.megabytes_per_s:.1f} MB/s"


def table_lines(report: DownloadReport) -> list[str]:
    """The table: progress, the most frequent errors, the slowest hosts."""
    lines = [f"{summary(report)}, {report.success_rate:.1%} succeeded"]
    lines += [f"  {count:>8,}  {kind}" for kind, count in list(report.errors.items())[:_ERRORS]]
    hosts = list(report.slowest_hosts.items())[:_HOSTS]
    lines += [f"  {each_s:>7.2f}s  {name}" for name, each_s in hosts]
    return lines
