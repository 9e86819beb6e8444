"""Samples in, committed parts out: reads, decodes and embeds images on all cores.

A build makes the collection mirror its source. It embeds what is new or changed, drops what is gone,
and leaves the rest as it is; after a kill, the next build goes on from the last committed part.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lookalike.builder.learned import learn
from lookalike.builder.listing import Options, list_source
from lookalike.builder.reconcile import reconcile
from lookalike.collection import (
    Collection,
    Manifest,
    check_dtype,
    check_target,
    create_collection,
    is_collection,
    open_collection,
    writing,
)
from lookalike.errors import CollectionError, ImageError, LookalikeError, ModelError
from lookalike.images.decoding import MAX_MEGAPIXELS, Pixels, decode, fit, thumbnail
from lookalike.models.model import LoadedModel, unit
from lookalike.models.registry import DEFAULT_MODEL, load_model
from lookalike.search.confidence import write_background
from lookalike.sources.fetch import FetchOptions
from lookalike.sources.opening import closing_source, open_source, reading_ahead
from lookalike.storage.parts import ITEM_FIELDS, TAG_FIELDS, Part, embedding_column, failure_table, list_parts
from lookalike.storage.samples import Failure, Sample
from lookalike.storage.stores import place

PART_SIZE = 1024

# A thread embeds this many images a call: on a CPU the calls run side by side, a GPU wants them together.
_BATCH_SIZE = {"cpu": 4, "cuda": 64}

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Report:
    """What a build did, in numbers of images."""

    embedded: int
    failed: int
    unchanged: int
    removed: int


@dataclass(frozen=True, slots=True)
class Embedded:
    """One image on its way into a part: its row, its thumbnail, and the model's features float32 (D,)."""

    row: Mapping[str, Any]
    thumbnail: bytes
    features: NDArray[np.float32]


Outcome = Embedded | Failure


def build(
    source: str | Path,
    collection: str | Path,
    *,
    model: str | None = None,
    label: str | None = None,
    metadata: str | Path | None = None,
    image_column: str | None = None,
    name_column: str | None = None,
    fetch: FetchOptions = FetchOptions(),
    device: str = "cpu",
    dtype: str | None = None,
    threads: int | None = None,
    part_size: int = PART_SIZE,
    max_megapixels: float = MAX_MEGAPIXELS,
    rebuild: bool = False,
    on_progress: Progress | None = None,
    on_done: Callable[[Report], None] | None = None,
) -> Collection:
    """Make the collection of a source, or bring it up to date.

    `label` is `folder` or `regex:PATTERN`; `metadata` a CSV or Parquet file whose columns are joined by
    id; both are remembered, and `none` forgets. `image_column` and `name_column` are the columns of TFRecord
    and Parquet that hold an image (or its URL) and its name, where these cannot be told; `fetch` says how
    URLs are fetched. `dtype` is `float32` or `float16`. `rebuild` starts from nothing. `on_progress` is
    called with the numbers of images done and to do, `on_done` with the report.
    Raises `LookalikeError`; an image that fails is a row of the failures instead.
    """
    _check_numbers(threads=threads, part_size=part_size, max_megapixels=max_megapixels)
    root, images = place(collection), open_source(source, image_column, name_column, fetch)
    check_target(root)
    before = open_collection(root).manifest if is_collection(root) else None
    if before and not rebuild:
        _check_goes_on(root, before, images.uri, model, dtype)
    listing = list_source(images, _remembered(before, images.uri, label, metadata))
    asked = load_model(model or (before.model.name if before else DEFAULT_MODEL), device=device)
    fresh = Manifest(
        asked.spec,
        check_dtype(dtype or (before.dtype if before else "float32")),
        {listing.source_uri: listing.options},
    )
    with writing(root) as still_ours, closing_source(images):
        if is_collection(root) and not rebuild:
            target = open_collection(root)
        else:
            target = create_collection(root, fresh, learn(asked, listing, images, max_megapixels))
        embed = _Embedding(target.load_model(device), max_megapixels)
        target = target.with_source(listing.source_uri, listing.options)
        plan = reconcile(target, listing)
        samples = reading_ahead(plan.pending, images)
        outcomes = _in_order(embed, samples, _BATCH_SIZE[device], threads or os.cpu_count() or 1)
        counted = _counted(outcomes, len(plan.pending), on_progress)
        embedded = _commit(
            target,
            chain(plan.failures, counted),
            listing.types,
            embed.model,
            part_size=part_size,
            still_ours=still_ours,
        )
        write_background(target)
    if on_done:
        failed = len(plan.failures) + len(plan.pending) - embedded
        on_done(Report(embedded, failed, plan.unchanged, plan.removed))
    return target


@dataclass(frozen=True, slots=True)
class _Embedding:
    """The work of one thread: a batch of samples from bytes to vectors."""

    model: LoadedModel
    max_megapixels: float

    def __call__(self, batch: Sequence[Sample]) -> list[Outcome]:
        prepared = [self._prepare(sample) for sample in batch]
        pixels = [one[2] for one in prepared if not isinstance(one, Failure)]
        features = iter(self.model.features(np.stack(pixels)) if pixels else ())
        return [
            one if isinstance(one, Failure) else Embedded(one[0], one[1], next(features)) for one in prepared
        ]

    def _prepare(self, sample: Sample) -> Failure | tuple[dict[str, Any], bytes, Pixels]:
        """Read, hash and decode one image: its row, its thumbnail and the pixels the model sees."""
        try:
            data = sample.read()
        except OSError as error:
            return Failure(sample.id, sample.uri, "read", error.strerror or str(error))
        try:
            picture = decode(data, self.model.cover_px, self.max_megapixels)
            pixels = fit(picture.pixels, self.model.size_px, self.model.crop, picture.box)
            small = thumbnail(picture)
        except ImageError as error:
            return Failure(sample.id, sample.uri, "decode", str(error))
        except MemoryError:
            return Failure(sample.id, sample.uri, "decode", "too large for the memory of this machine")
        row = {
            "id": sample.id,
            "uri": sample.uri,
            "size_bytes": len(data) if sample.size_bytes is None else sample.size_bytes,
            "mtime_ns": sample.mtime_ns,
            "sha256": hashlib.sha256(data).hexdigest(),
            "width": picture.width,
            "height": picture.height,
            **sample.metadata,
        }
        return row, small, pixels


def _in_order(
    work: Callable[[Sequence[Sample]], list[Outcome]],
    samples: Generator[Sample, None, None],
    batch_size: int,
    threads: int,
) -> Iterator[Outcome]:
    """The outcomes of all samples in their order, computed by threads a few batches ahead.

    Threads suffice, since the decoders and the network leave the interpreter lock alone.
    """
    waiting: deque[Future[list[Outcome]]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        while batch := list(islice(samples, batch_size)):
            waiting.append(pool.submit(work, batch))
            if len(waiting) > 8 * threads:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        samples.close()  # first: the threads may be waiting for what is read ahead
        pool.shutdown(cancel_futures=True)


def _commit(
    target: Collection,
    outcomes: Iterator[Outcome],
    types: Mapping[str, pa.DataType],
    model: LoadedModel,
    *,
    part_size: int,
    still_ours: Callable[[], None],
) -> int:
    """Write a part after every `part_size` outcomes; returns how many images were embedded."""
    numbers = [part.number for kind in ("items", "failures") for part in list_parts(target.path, kind)]
    total = 0
    for number in count(max(numbers, default=-1) + 1):
        chunk = list(islice(outcomes, part_size))
        if not chunk:
            return total
        still_ours()
        embedded = [one for one in chunk if isinstance(one, Embedded)]
        part = Part(target.path, number)
        part.write_failures(failure_table([one for one in chunk if isinstance(one, Failure)]))
        if embedded:
            rows = _table(embedded, types, model, target.manifest.dtype)
            part.write(rows, [one.thumbnail for one in embedded])
        total += len(embedded)
    return total


def _counted(outcomes: Iterator[Outcome], total: int, on_progress: Progress | None) -> Iterator[Outcome]:
    for done, outcome in enumerate(outcomes, 1):
        if on_progress:
            on_progress(done, total)
        yield outcome


def _table(
    embedded: Sequence[Embedded], types: Mapping[str, pa.DataType], model: LoadedModel, dtype: str
) -> pa.Table:
    """The rows of a part, without the thumbnails' byte ranges."""
    fields = [field for field in ITEM_FIELDS if not field.name.startswith("thumb_")]
    known = {field.name for field in fields}
    fields += [pa.field(name, type_) for name, type_ in types.items() if name not in known]
    columns = [pa.array([one.row.get(field.name) for one in embedded], field.type) for field in fields]
    features = np.stack([one.features for one in embedded])
    if model.tags is not None:
        # Once a part: in the threads that embed, the matrix product's own threads would take their cores.
        found = model.tags(features)
        names = [[name for name, _ in tags] for tags in found]
        chances = [[chance for _, chance in tags] for tags in found]
        columns += [
            pa.array(values, one.type) for values, one in zip((names, chances), TAG_FIELDS, strict=True)
        ]
        fields += TAG_FIELDS
    vectors = embedding_column(unit(features), dtype)
    fields.append(pa.field("embedding", vectors.type, nullable=False))
    return pa.Table.from_arrays([*columns, vectors], schema=pa.schema(fields))


def _remembered(before: Manifest | None, uri: str, label: str | None, metadata: str | Path | None) -> Options:
    """The options of this build: those given, else those of the last build of this source."""
    given = {"label": label, "metadata": None if metadata is None else str(metadata)}
    last = before.sources.get(uri, {}) if before else {}
    chosen = {name: last.get(name) if value is None else value for name, value in given.items()}
    table = chosen["metadata"]
    if table not in (None, "none") and "://" not in str(table):  # of an address the listing tells
        chosen["metadata"] = str(Path(str(table)).resolve())
    return {name: None if value == "none" else value for name, value in chosen.items()}


def _check_goes_on(
    root: Path, before: Manifest, source_uri: str, model: str | None, dtype: str | None
) -> None:
    """Raise `ModelError` or `CollectionError` where the collection cannot take this source in."""
    hint = "give another path with -c, or start again from nothing with --rebuild"
    for wish, present, what in ((model, before.model.name, "model"), (dtype, before.dtype, "dtype")):
        if wish not in (None, present):
            raise ModelError(f"{root} was built with the {what} {present}, not {wish}", hint)
    for other in before.sources:
        if other != source_uri and (other.startswith(source_uri) or source_uri.startswith(other)):
            raise CollectionError(
                f"{root} has the source {other}, which shares images with {source_uri}", hint
            )


def _check_numbers(**numbers: float | None) -> None:
    for name, number in numbers.items():
        if number is not None and not number > 0:
            raise LookalikeError(f"{name} is {number}, it has to be above 0")
