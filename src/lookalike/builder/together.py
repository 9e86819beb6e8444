"""Builds collections of one source with several models at once: each picture is read and decoded once.

The builds run side by side, none more than some pictures ahead of the slowest, and each picture is held until
all have taken it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from lookalike.builder.build import Progress, Report, build
from lookalike.images.decoding import SharedBytes
from lookalike.models.model import Model
from lookalike.parallel import cores
from lookalike.sources.opening import SlowSource, Source
from lookalike.sources.sample import Sample
from lookalike.storage.parts import Failure

# How many pictures a build may be ahead of the slowest; and how far its own threads are from each other, at
# most, with a batch of 128 each.
_AHEAD = 16 * cores()
_APART = 256 * cores()


def build_together(
    source: Source,
    models: Mapping[Path, str | Model],
    *,
    cover_px: int,
    on_progress: Progress | None = None,
    **options: Any,
) -> dict[Path, Report]:
    """Build a collection at each path with the model there; the options are those of `build`.

    Pictures are decoded to a shorter side of at least `cover_px`, which has to suit all models: a small one
    may see sharper pixels than in a build of its own. If one build fails, the others stop, and what they
    committed stays. `on_progress` counts the images of all builds.
    """
    turns, counted = _Turns(len(models), cover_px), _Counted(on_progress)
    shared = _SlowShared if isinstance(source, SlowSource) else _Shared

    def run(number: int, root: Path, model: str | Model) -> Report:
        try:
            mine = shared(source, turns, number)
            return build(mine, root, model=model, on_progress=partial(counted.add, number), **options)
        except BaseException:
            turns.stop()  # before it leaves, or the others would hurry on
            raise
        finally:
            turns.leave(number)

    with ThreadPoolExecutor(len(models)) as pool:
        try:
            running = {
                root: pool.submit(run, number, root, one) for number, (root, one) in enumerate(models.items())
            }
            wait(running.values())
        except BaseException:
            turns.stop()
            raise
    errors = [one.exception() for one in running.values()]
    for error in sorted(filter(None, errors), key=lambda one: isinstance(one, _Stopped)):
        raise error
    return {root: one.result() for root, one in running.items()}


class _Stopped(Exception):
    """Another build has failed."""


@dataclass(eq=False, slots=True)
class _Held:
    """The bytes of a picture, once they are read, and the builds that have taken them."""

    data: SharedBytes | None = None
    taken_by: set[int] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, read: Callable[[], bytes], cover_px: int) -> SharedBytes:
        with self.lock:
            if self.data is None:
                self.data = SharedBytes(read(), cover_px)
            return self.data


class _Turns:
    """Who is where in the list of pictures, and the pictures that not all have taken."""

    def __init__(self, count: int, cover_px: int) -> None:
        self._cover_px = cover_px
        self._places = dict.fromkeys(range(count), 0)
        self._held: dict[int, _Held] = {}
        self._is_stopped = False
        self._changed = threading.Condition()

    def read(self, number: int, place: int, read: Callable[[], bytes]) -> bytes:
        """The picture at a place of the list for one of the builds; waits if that is too far ahead."""
        with self._changed:
            self._places[number] = max(self._places[number], place)
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: self._is_stopped or place <= min(self._places.values(), default=0) + _AHEAD
            )
            if self._is_stopped:
                raise _Stopped
            held = self._held.setdefault(place, _Held())
            held.taken_by.add(number)
            self._forget()
        return held.read(read, self._cover_px)

    def leave(self, number: int) -> None:
        """A build has ended."""
        with self._changed:
            self._places.pop(number, None)
            self._forget()
            self._changed.notify_all()

    def stop(self) -> None:
        """Let every build fail at its next picture."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    def _forget(self) -> None:
        """Drop what all have taken, and what the slowest has passed without taking, as it needs no such."""
        slowest = min(self._places.values(), default=0)
        self._held = {
            place: held
            for place, held in self._held.items()
            if place >= slowest - _APART and not held.taken_by >= self._places.keys()
        }


@dataclass(frozen=True, slots=True)
class _Shared:
    """A source as one of the builds sees it."""

    source: Source
    turns: _Turns
    number: int

    def __str__(self) -> str:
        return str(self.source)

    @property
    def uri(self) -> str:
        return self.source.uri

    @property
    def scope(self) -> tuple[str, ...]:
        return self.source.scope

    @property
    def passed_over(self) -> Mapping[str, int]:
        return getattr(self.source, "passed_over", {})

    def samples(self) -> Iterator[Sample | Failure]:
        for place, one in enumerate(self.source.samples()):
            if isinstance(one, Sample):
                yield replace(one, read=partial(self.turns.read, self.number, place, one.read))
            else:
                yield one


@dataclass(frozen=True, slots=True)
class _SlowShared(_Shared):
    """The same for a source that waits for the network."""

    @property
    def read_ahead(self) -> int:
        return self.source.read_ahead  # type: ignore[attr-defined,no-any-return]

    def close(self) -> None:
        self.turns.stop()
        self.source.close()  # type: ignore[attr-defined]


class _Counted:
    """The progress of several builds as one."""

    def __init__(self, on_progress: Progress | None) -> None:
        self._on_progress = on_progress
        self._counts: dict[int, tuple[int, int]] = {}
        self._lock = threading.Lock()

    def add(self, number: int, done: int, total: int) -> None:
        with self._lock:
            self._counts[number] = done, total
            if self._on_progress:
                self._on_progress(*map(sum, zip(*self._counts.values(), strict=True)))
