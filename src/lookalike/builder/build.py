"""Builds a collection from a source: embeds what is new on all cores and commits part after part.

A build makes the collection mirror its source. It embeds what is new or changed, drops what is gone, and
leaves the rest alone; after a kill, the next build makes the parts that were not committed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import starmap
from pathlib import Path

import pyarrow as pa

from lookalike.builder.committing import commit_parts, derive
from lookalike.builder.order import Order, begin, ordered
from lookalike.builder.part import Outcome, embed, piece_of
from lookalike.builder.stored import build_from_stored, check_base, check_goes_on
from lookalike.builder.tagging import retag
from lookalike.checking import checked
from lookalike.errors import LookalikeError, SourceError
from lookalike.images.limit import MAX_MEGAPIXELS
from lookalike.images.memory import DECODING
from lookalike.models.devices import AUTO
from lookalike.models.model import LoadedModel, Model
from lookalike.models.registry import DEFAULT_MODEL, load_model, register
from lookalike.parallel import cores, undisturbed
from lookalike.sources.fetch import FetchOptions
from lookalike.sources.opening import Source, closing_source, open_source, reading_ahead
from lookalike.storage.learned import find_model
from lookalike.storage.manifest import check_dtype, is_collection, read_manifest
from lookalike.storage.marks import compact_marks
from lookalike.storage.stores import is_remote, place
from lookalike.storage.writing import check_target, writing

PART_SIZE = 1024

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Report:
    """What a build did, in numbers of images; `passed_over` counts files of other kinds by their ending.

    `moved_from` is the former address of a source that was recognised after it was renamed or moved.
    """

    embedded: int
    failed: int
    unchanged: int
    removed: int
    passed_over: Mapping[str, int] = field(default_factory=dict)
    moved_from: str = ""


@checked
def build(
    source: str | Path | Source,
    collection: str | Path,
    *,
    model: str | Model | None = None,
    label: str | None = None,
    metadata: str | Path | None = None,
    tags: str | Path | Sequence[str] | None = None,
    image_column: str | None = None,
    name_column: str | None = None,
    fetch: FetchOptions = FetchOptions(),
    device: str = AUTO,
    precision: str | None = None,
    dtype: str | None = None,
    threads: int | None = None,
    part_size: int = PART_SIZE,
    max_megapixels: float = MAX_MEGAPIXELS,
    max_memory_bytes: int | None = None,
    thumbnails: bool = True,
    rebuild: bool = False,
    on_model: Callable[[LoadedModel], None] | None = None,
    on_progress: Progress | None = None,
) -> Report:
    """Build the collection of a source, or bring it up to date.

    A source that is a collection gives its vectors to a `model` that is a head on them (`builder.stored`).
    `model` is the name of a model, the path of its file or folder, or a model of your own, which is then
    registered. A path where the collection's model is now replaces the one that the collection knows.
    `label` is `folder` or `regex:PATTERN`; `metadata` is a CSV or Parquet file whose columns are joined by
    id; both are remembered, and `none` forgets them. So are `tags`, the only ones that pictures are to get,
    for a model that knows words: names, or a text file with one on each line; another list gives all
    pictures new tags, from their vectors. `image_column` and `name_column` are the columns of
    TFRecord and Parquet that hold an image (or its URL) and its name, if they cannot be inferred; `fetch`
    says how URLs are fetched. `device` is where the model runs, by default the fastest that works.
    `precision` is that of a published model's products, `float32` (the default), `float16` or `bfloat16`; the
    collection remembers it. `max_memory_bytes` limits what pictures take while they are decoded, in all
    threads together (default: 1 GB). `dtype` is `float32` or `float16`. With `thumbnails=False` new rows get
    no thumbnail, which is faster. `rebuild` starts over. `on_model` is called with the model before the first
    image, if there is one to embed, and `on_progress` with the numbers of images done and to do.
    Raises `LookalikeError`; an image that fails becomes a row of the failures instead.
    """
    root = place(collection)
    if isinstance(source, str | Path) and _is_stored(place(source)):
        _check_not_given(
            place(source),
            label=label,
            metadata=metadata,
            image_column=image_column,
            name_column=name_column,
            precision=precision,
        )
        return _build_from_stored(
            place(source), root, model, device=device, dtype=dtype, rebuild=rebuild, on_progress=on_progress
        )
    _check_numbers(
        threads=threads, part_size=part_size, max_megapixels=max_megapixels, max_memory_bytes=max_memory_bytes
    )
    images = open_source(source, image_column, name_column, fetch)
    check_target(root)
    with undisturbed():
        order = ordered(
            root,
            images,
            model=model,
            label=label,
            metadata=metadata,
            tags=tags,
            device=device,
            precision=precision,
            dtype=dtype,
            rebuild=rebuild,
        )
    return _carry_out(
        order,
        device=device,
        threads=threads or cores(),
        part_size=part_size,
        max_megapixels=max_megapixels,
        max_memory_bytes=max_memory_bytes,
        thumbnails=thumbnails,
        on_model=on_model,
        on_progress=on_progress,
    )


def _carry_out(
    order: Order,
    *,
    device: str,
    threads: int,
    part_size: int,
    max_megapixels: float,
    max_memory_bytes: int | None,
    thumbnails: bool,
    on_model: Callable[[LoadedModel], None] | None,
    on_progress: Progress | None,
) -> Report:
    """Build what was ordered, with the lock of the collection; the options are those of `build`."""
    root, images = order.root, order.images
    with DECODING.limited_to(max_memory_bytes), writing(root) as still_ours, closing_source(images):
        manifest, loaded, plan = begin(order, device, max_megapixels)
        if on_model and plan.pending:
            on_model(loaded)
        retag(root, loaded)
        outcomes = embed(
            reading_ahead(plan.pending, images),
            loaded,
            count=len(plan.pending),
            max_megapixels=max_megapixels,
            thumbnails=thumbnails,
            threads=threads,
            part_size=part_size,
        )
        fields = [*plan.exif, *starmap(pa.field, order.listing.types.items())]
        make = partial(piece_of, model=loaded, fields=fields, dtype=manifest.dtype)
        with closing(outcomes), undisturbed():
            counted = _counted(outcomes, len(plan.pending), on_progress)
            embedded = commit_parts(
                root, plan.failures, counted, make, part_size=part_size, still_ours=still_ours
            )
        _finish(root)
    failed = len(plan.failures) + len(plan.pending) - embedded
    moved_from = order.move.old_uri if order.move else ""
    return Report(embedded, failed, plan.unchanged, plan.removed, order.listing.passed_over, moved_from)


def _finish(root: Path) -> None:
    """Bring up to date what follows from the rows and the marks; call with the lock held."""
    derive(root)
    compact_marks(root)


def _is_stored(source: Path) -> bool:
    """Whether a source is a collection; a store is only asked if its name says so: that takes time."""
    return (not is_remote(source) or source.name.endswith(".lookalike")) and is_collection(source)


def _check_not_given(source: Path, **options: object) -> None:
    """Raise `SourceError` for an option that a build of a collection's vectors has no use for."""
    for name, value in options.items():
        if value is not None:
            raise SourceError(
                f"{source} is a collection, whose vectors, labels and columns are taken",
                f"leave out `{name}`",
            )


def _build_from_stored(
    source: Path,
    root: Path,
    model: str | Model | None,
    *,
    device: str,
    dtype: str | None,
    rebuild: bool,
    on_progress: Progress | None,
) -> Report:
    """Build the collection `root` from the vectors of the collection `source`, by a head on them."""
    check_target(root)
    before = read_manifest(root) if is_collection(root) and not rebuild else None
    if model is None and before:
        loaded = find_model(root, before, device)
    elif model is None or isinstance(model, str):
        loaded = load_model(DEFAULT_MODEL if model is None else model, device=device)
    else:
        loaded = register(model)
    check_base(source, root, loaded)
    if not rebuild:
        check_goes_on(source, root, loaded)
    wanted = check_dtype(dtype or (before or read_manifest(source)).dtype)
    with writing(root) as still_ours:
        made = build_from_stored(
            source,
            root,
            loaded,
            dtype=wanted,
            rebuild=rebuild,
            still_ours=still_ours,
            on_progress=on_progress,
        )
        _finish(root)
    return Report(made.made, made.failed, made.unchanged, made.removed)


def _counted(outcomes: Iterator[Outcome], total: int, on_progress: Progress | None) -> Iterator[Outcome]:
    for done, outcome in enumerate(outcomes, 1):
        if on_progress:
            on_progress(done, total)
        yield outcome


def _check_numbers(**numbers: float | None) -> None:
    for name, number in numbers.items():
        if number is not None and not number > 0:
            raise LookalikeError(f"{name} is {number}, it has to be above 0")
