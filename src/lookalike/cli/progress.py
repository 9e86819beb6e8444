"""Progress on stderr: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time

from tqdm import tqdm

from lookalike.cli.output import say

_LINE_EVERY_S = 5.0
# Reports of one batch come together; they tell no pace.
_LEAST_SPAN_S = 0.01


class Progress:
    """Shows how many images, or other units, are done and to do, the rate and the time left.

    The rate is measured from the first report: an earlier run's work and imports don't count.
    """

    def __init__(self, what: str, unit: str = "images") -> None:
        self._what, self._unit = what, unit
        self._bar: tqdm[None] | None = None
        self._started_s = self._said_s = time.monotonic()
        self._first: tuple[float, int] | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, done: int, total: int) -> None:
        if sys.stderr.isatty():
            if self._bar is None:
                unit = f" {self._unit}"
                self._bar = tqdm(total=total, initial=done, desc=self._what, unit=unit, dynamic_ncols=True)
            self._bar.update(done - self._bar.n)
            return
        now_s = time.monotonic()
        self._first = self._first or (now_s, done)
        if now_s - self._said_s > _LINE_EVERY_S or done == total:
            self._said_s = now_s
            # A single report, or one batch, can only be counted from the start.
            since_s, before = self._first
            if done <= before or now_s - since_s < _LEAST_SPAN_S:
                since_s, before = self._started_s, 0
            rate = (done - before) / max(now_s - since_s, 1e-9)
            left = f", {duration((total - done) / max(rate, 1e-9))} left" if done < total else ""
            say(f"{self._what}: {done:,} of {total:,}, {rate:,.{2 * (rate < 10)}f} {self._unit}/s{left}")


def duration(seconds: float) -> str:
    """A time in the largest unit of which it has two: `90 s`, `2 min`, `31 h`."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:.0f} s"
