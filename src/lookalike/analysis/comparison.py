"""Compares models on the same images: which finds best, embeds fastest, and has the smallest vectors."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.analysis.evaluation import Evaluation, evaluate
from lookalike.builder.build import build
from lookalike.checking import checked
from lookalike.errors import LookalikeError
from lookalike.models.model import Model
from lookalike.models.registry import load_model, register
from lookalike.storage.snapshot import Snapshot

Progress = Callable[[int, int], None]
Steps = Callable[[str], AbstractContextManager[Progress | None]]

# The measure that ranks the models; MAP@R looks at more of the ranking than any single k.
QUALITY = "map@r"


@dataclass(frozen=True, slots=True)
class Contender:
    """One model: its evaluation, its speed, and the bytes of a vector.

    `images_per_s` is the speed of the whole build on all cores; None if the collection already existed.
    `on_front` is true if no other model is at least as good in everything and better in something.
    """

    model: str
    evaluation: Evaluation
    images_per_s: float | None
    vector_bytes: int
    on_front: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """The models by quality, the best first."""

    source: str
    contenders: tuple[Contender, ...]

    def __len__(self) -> int:
        return len(self.contenders)

    def __repr__(self) -> str:
        return f"Comparison({self.source!r}: {', '.join(one.model for one in self.contenders)})"


@checked
def compare(
    source: str | Path,
    models: Sequence[str | Model],
    label: str,
    folder: str | Path,
    *,
    progress: Steps = lambda what: nullcontext(),
    **options: Any,
) -> Comparison:
    """Build a collection of the images with each model, and evaluate all of them in the same way.

    A model is a name, the path of its file or folder, or a model of your own, which is then registered.
    `label` is the rule of `build`. The collections are made in `folder` as MODEL.lookalike; existing ones
    are brought up to date. `progress` gives, for the name of a step, a context whose value is called
    with the numbers of images done and to do; `options` are those of `evaluate`.
    """
    # An unknown model is reported before the others have started.
    known = {load_model(one).name if isinstance(one, str) else register(one).name: one for one in models}
    if len(known) < len(models) or not known:
        raise LookalikeError(
            "there are no models to compare, or one is named twice", "name each model once in `models`"
        )
    contenders = []
    for model, given in known.items():
        root = Path(folder) / f"{model}.lookalike"
        with progress(f"embedding, {model}") as on_progress:
            snapshot, images_per_s = _built(source, root, given, label, on_progress)
        with progress(f"evaluating {model}") as on_progress:
            judged = evaluate(snapshot, on_progress=on_progress, **options)
        width = np.dtype(snapshot.manifest.dtype).itemsize
        contenders.append(Contender(model, judged, images_per_s, judged.dim * width))
    marked = [
        replace(one, on_front=here) for one, here in zip(contenders, pareto_front(contenders), strict=True)
    ]
    return Comparison(str(source), tuple(sorted(marked, key=lambda one: -_quality(one))))


def _built(
    source: str | Path,
    root: Path,
    model: str | Model,
    label: str,
    on_progress: Progress | None,
) -> tuple[Snapshot, float | None]:
    """The collection and the images per second, or None if none had to be embedded."""
    started = time.perf_counter()
    report = build(source, root, model=model, label=label, on_progress=on_progress)
    seconds = time.perf_counter() - started
    return Snapshot.open(root), report.embedded / seconds if report.embedded else None


def _quality(contender: Contender) -> float:
    return contender.evaluation.overall[QUALITY].value


def pareto_front(contenders: Sequence[Contender]) -> list[bool]:
    """Which are on the Pareto front of quality, speed and size; speed is ignored if one was not measured."""
    timed = all(one.images_per_s is not None for one in contenders)
    merits = np.array(
        [(_quality(one), -one.vector_bytes, (one.images_per_s or 0) if timed else 0) for one in contenders]
    )
    return [not any((other >= own).all() and (other > own).any() for other in merits) for own in merits]
