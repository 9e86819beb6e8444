"""Compares models on the same images: which finds best, embeds fastest, and has the smallest vectors."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.analysis.evaluation import evaluate
from lookalike.analysis.judgement import Evaluation
from lookalike.builder.build import Report, build
from lookalike.builder.part import make_part
from lookalike.builder.stored import uri_of_collection
from lookalike.builder.together import build_together
from lookalike.checking import checked
from lookalike.errors import LookalikeError
from lookalike.models.model import LoadedModel, Model
from lookalike.models.registry import base_name, learner, load_model, register
from lookalike.parallel import cores
from lookalike.sources.opening import SlowSource, Source, open_source
from lookalike.sources.originals import Originals
from lookalike.sources.sample import Sample
from lookalike.storage.manifest import is_collection, read_manifest
from lookalike.storage.snapshot import Snapshot

Progress = Callable[[int, int], None]
Models = Mapping[Path, tuple[str | Model, LoadedModel]]
Steps = Callable[[str], AbstractContextManager[Progress | None]]

# Each model is timed by itself on so many images, after some more.
_TIMED, _WARMING = 64, 4

# The measure that ranks the models; MAP@R looks at more of the ranking than any single k.
QUALITY = "map@r"


@dataclass(frozen=True, slots=True)
class Contender:
    """One model: its evaluation, its speed, and the bytes of a vector.

    `images_per_s` is the speed of a build with this model alone on all cores; None if nothing was embedded.
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
    source: str | Path | Source,
    models: Sequence[str | Model],
    label: str | None,
    folder: str | Path,
    *,
    column: str = "label",
    progress: Steps = lambda what: nullcontext(),
    **options: Any,
) -> Comparison:
    """Build a collection of the images with each model, and evaluate all of them in the same way.

    Each image is decoded once, for the model that needs most pixels, and embedded once for all heads on one
    model; the vectors of a collection's own model are taken as they are if nothing else is compared than
    these and heads on them. A model is a name, the path of its file
    or folder, or a model of your own, which is then registered. `label` is the rule of `build`, and `column`
    has the labels. The collections are made in `folder` as MODEL.lookalike; existing ones are brought up to
    date. `progress` gives, for the name of a step, a context whose value is called with the numbers of images
    done and to do; `options` are those of `evaluate`.
    """
    # An unknown model is reported before the others have started.
    loaded = [load_model(one) if isinstance(one, str) else register(one) for one in models]
    _check_names(models, loaded)
    models_at = {
        collection_of(folder, one.name): (given, one) for given, one in zip(models, loaded, strict=True)
    }
    if isinstance(source, Originals) and _needs_no_picture(source.snapshot, loaded):
        places = _from_stored(source.snapshot, models_at, progress)
        embedded = set[Path]()
    else:
        places = {root: root for root in models_at}
        reports = _built(source, models_at, label, progress)
        embedded = {root for root, report in reports.items() if report.embedded}
    contenders = []
    for root, (_, model) in models_at.items():
        name, snapshot = model.name, Snapshot.open(places[root])
        images_per_s = _speed(source, snapshot.model) if root in embedded else None
        with progress(f"evaluating {name}") as on_progress:
            judged = evaluate(snapshot, column, on_progress=on_progress, **options)
        width = np.dtype(snapshot.manifest.dtype).itemsize
        contenders.append(Contender(name, judged, images_per_s, judged.dim * width))
    marked = [
        replace(one, on_front=here) for one, here in zip(contenders, pareto_front(contenders), strict=True)
    ]
    return Comparison(str(source), tuple(sorted(marked, key=lambda one: -_quality(one))))


def _check_names(models: Sequence[str | Model], loaded: Sequence[LoadedModel]) -> None:
    """Raise `LookalikeError` if there are no models, or two of the same name."""
    if not models:
        raise LookalikeError("there are no models to compare", "name one in `models`")
    known: dict[str, str | Model] = {}
    for given, model in zip(models, loaded, strict=True):
        if model.name in known:
            raise LookalikeError(
                f"{known[model.name]} and {given} are both the model {model.name}",
                "name each model once in `models`; files of different models need different names",
            )
        known[model.name] = given


def collection_of(folder: str | Path, model: str) -> Path:
    """Where `compare` keeps the collection of a model."""
    return Path(folder) / f"{re.sub(r'[^-.@+0-9A-Za-z]', '_', model)}.lookalike"


def _needs_no_picture(snapshot: Snapshot, models: Sequence[LoadedModel]) -> bool:
    """Whether the stored vectors of a collection give those of all models."""
    own = snapshot.manifest.model
    return all(own in (one.spec, one.base) for one in models)


def _from_stored(snapshot: Snapshot, models: Models, progress: Steps) -> dict[Path, Path]:
    """Where the vectors of each model are: in the collection itself, or made of its vectors by a head."""
    own = snapshot.manifest.model
    places = {root: snapshot.root if one.spec == own else root for root, (_, one) in models.items()}
    for root, place in places.items():
        if place == root:
            _build_head(snapshot.root, root, *models[root], progress)
    return places


def _build_head(base: Path, root: Path, given: str | Model, model: LoadedModel, progress: Steps) -> Report:
    """Build or update the collection of a head from the vectors of its base."""
    is_new = is_collection(root) and uri_of_collection(base) not in read_manifest(root).sources
    with progress(f"embedding, {model.name}") as on_progress:
        return build(base, root, model=given, rebuild=is_new, on_progress=on_progress)


def _shared_bases(models: Models) -> dict[Path, tuple[str, LoadedModel]]:
    """The models that several heads sit on and that are not compared themselves, by their collections."""
    compared = {one.spec for _, one in models.values()}
    heads = [(root, one) for root, (_, one) in models.items() if one.base and one.base not in compared]
    counts = Counter(one.base for _, one in heads)
    found = {}
    for root, one in heads:
        if counts[one.base] > 1 and one.base and one.base.sha256 and learner(one.base.name) is None:
            name = base_name(one)
            found[collection_of(root.parent, one.base.name)] = name, load_model(name)
    return found


def _bases(models: Models) -> dict[Path, Path]:
    """For each head on another of the models, the collection of that."""
    known = {one.spec: root for root, (_, one) in models.items() if one.base is None}
    return {root: known[one.base] for root, (_, one) in models.items() if one.base in known}


def _built(
    source: str | Path | Source, models: Models, label: str | None, progress: Steps
) -> dict[Path, Report]:
    """Build the collections, all that can be in one run; a model that first learns has its own.

    A head on another of the models takes the vectors of that, and so do several heads on any other.
    """
    models = {**models, **_shared_bases(models)}
    bases = _bases(models)
    reports, together = {}, {}
    for root, (given, loaded) in models.items():
        if root in bases:
            continue
        if learner(loaded.name) is None:
            together[root] = given
            continue
        with progress(f"embedding, {loaded.name}") as on_progress:
            reports[root] = build(source, root, model=given, label=label, on_progress=on_progress)
    if together:
        several = [models[root][1] for root in together]
        with progress(f"embedding, {', '.join(one.name for one in several)}") as on_progress:
            reports |= build_together(
                open_source(source),
                together,
                cover_px=max(one.cover_px for one in several),
                label=label,
                on_progress=on_progress,
            )
    for root, base in bases.items():
        reports[root] = _build_head(base, root, *models[root], progress)
    return reports


def _speed(source: str | Path | Source, model: LoadedModel) -> float | None:
    """Images a second from files to rows on all cores; None for a source that waits for the network."""
    opened = open_source(source)
    if isinstance(opened, SlowSource):
        return None
    samples = list(islice((one for one in opened.samples() if isinstance(one, Sample)), _TIMED))
    make_part(samples[:_WARMING], model)
    started = time.perf_counter()
    make_part(samples, model, threads=cores())
    return len(samples) / (time.perf_counter() - started)


def _quality(contender: Contender) -> float:
    return contender.evaluation.overall[QUALITY].value


def pareto_front(contenders: Sequence[Contender]) -> list[bool]:
    """Which are on the Pareto front of quality, speed and size; speed is ignored if one was not measured."""
    timed = all(one.images_per_s is not None for one in contenders)
    merits = np.array(
        [(_quality(one), -one.vector_bytes, (one.images_per_s or 0) if timed else 0) for one in contenders]
    )
    return [not any((other >= own).all() and (other > own).any() for other in merits) for own in merits]
