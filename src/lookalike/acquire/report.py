"""Report on a download so far: counts, speed, the most frequent errors, the slowest hosts."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lookalike.acquire.status import DUPLICATE, FAILED, SUCCESS

_ERRORS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class DownloadReport:
    """The figures of a download; `bytes` are those received, `slowest_hosts` maps to seconds per request."""

    succeeded: int
    failed: int
    duplicates: int
    seconds: float
    bytes: int
    images_per_s: float
    megabytes_per_s: float
    success_rate: float
    errors: Mapping[str, int]
    slowest_hosts: Mapping[str, float]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Tally:
    """Counts as the rows come in."""

    def __init__(self) -> None:
        self._started_s = time.monotonic()
        self._counts: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._bytes = 0

    def add(self, row: Mapping[str, Any], received: int) -> None:
        """Count a row of the status table, of which `received` bytes came over the network."""
        self._counts[row["status"]] += 1
        self._bytes += received
        if row.get("error"):
            self._errors[row["error"]] += 1

    def report(self, slowest_hosts: Sequence[tuple[str, float]]) -> DownloadReport:
        seconds = time.monotonic() - self._started_s
        succeeded, failed = self._counts[SUCCESS], self._counts[FAILED]
        return DownloadReport(
            succeeded=succeeded,
            failed=failed,
            duplicates=self._counts[DUPLICATE],
            seconds=round(seconds, 2),
            bytes=self._bytes,
            images_per_s=round(succeeded / max(seconds, 1e-9), 1),
            megabytes_per_s=round(self._bytes / 1e6 / max(seconds, 1e-9), 2),
            success_rate=round(succeeded / max(succeeded + failed, 1), 4),
            errors=dict(self._errors.most_common(_ERRORS_SHOWN)),
            slowest_hosts={host: round(each_s, 3) for host, each_s in slowest_hosts},
        )
