"""Builds a collection from a source: embeds what is new on all cores and commits part after part.

A build makes the collection mirror its source. It embeds what is new or changed, drops what is gone, and
leaves the rest alone; after a kill, the next build continues from the last committed part.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, count, islice, starmap
from pathlib import Path

import pyarrow as pa

from lookalike.builder.learning import learn
from lookalike.builder.listing import Options, list_source
from lookalike.builder.moved import find_move, follow, without_moved
from lookalike.builder.part import MadePart, Outcome, embed, part_of
from lookalike.builder.reconcile import forget_failures, reconcile
from lookalike.builder.stored import build_from_stored, check_base, check_base_is_here, check_goes_on
from lookalike.errors import CollectionError, LookalikeError, ModelError, SourceError
from lookalike.images.limit import MAX_MEGAPIXELS
from lookalike.images.memory import DECODING
from lookalike.models.model import Model
from lookalike.models.registry import DEFAULT_MODEL, is_path, load_model, register
from lookalike.search.confidence import write_background
from lookalike.sources.fetch import FetchOptions
from lookalike.sources.opening import closing_source, open_source, reading_ahead
from lookalike.storage.learned import find_model, pinned_model
from lookalike.storage.manifest import (
    Manifest,
    check_dtype,
    is_collection,
    read_manifest,
    write_manifest,
)
from lookalike.storage.marks import compact_marks
from lookalike.storage.parts import Failure, Part, failure_table, list_parts
from lookalike.storage.row_file import write_row_file
from lookalike.storage.snapshot import Snapshot
from lookalike.storage.stores import place
from lookalike.storage.writing import check_target, create, writing

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


def build(
    source: str | Path,
    collection: str | Path,
    *,
    model: str | Model | None = None,
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
    max_memory_bytes: int | None = None,
    rebuild: bool = False,
    on_progress: Progress | None = None,
) -> Report:
    """Build the collection of a source, or bring it up to date.

    A source that is a collection gives its vectors to a `model` that is a head on them (`builder.stored`).
    `model` is the name of a model, the path of its file or folder, or a model of your own, which is then
    registered. A path where the collection's model is now replaces the one that the collection knows.
    `label` is `folder` or `regex:PATTERN`; `metadata` is a CSV or Parquet file whose columns are joined by
    id; both are remembered, and `none` forgets them. `image_column` and `name_column` are the columns of
    TFRecord and Parquet that hold an image (or its URL) and its name, if they cannot be inferred; `fetch`
    says how URLs are fetched. `max_memory_bytes` limits what pictures take while they are decoded, in all
    threads together (default: 1 GB). `dtype` is `float32` or `float16`. `rebuild` starts over.
    `on_progress` is called with the numbers of images done and to do.
    Raises `LookalikeError`; an image that fails becomes a row of the failures instead.
    """
    if is_collection(place(source)):
        return _build_from_stored(
            place(source),
            place(collection),
            model,
            {"label": label, "metadata": metadata, "image_column": image_column, "name_column": name_column},
            device=device,
            dtype=dtype,
            rebuild=rebuild,
            on_progress=on_progress,
        )
    _check_numbers(
        threads=threads, part_size=part_size, max_megapixels=max_megapixels, max_memory_bytes=max_memory_bytes
    )
    file = load_model(model, device=device) if isinstance(model, str) and is_path(model) else None
    name = file.name if file else model if isinstance(model, str | None) else register(model).name
    root, images = place(collection), open_source(source, image_column, name_column, fetch)
    check_target(root)
    before = read_manifest(root) if is_collection(root) else None
    if before and not rebuild:
        _check_goes_on(root, before, images.uri, name, dtype)
    listing = list_source(images, _remembered(before, images.uri, label, metadata))
    move = find_move(root, before, listing) if before and not rebuild else None
    if before and move:
        listing = list_source(images, _remembered(before, move.old_uri, label, metadata))
    goes_on = before if before and name in (None, before.model.name) else None
    asked = file or (
        find_model(root, goes_on, device) if goes_on else load_model(name or DEFAULT_MODEL, device=device)
    )
    check_base_is_here(asked)
    fresh = Manifest(
        asked.spec,
        check_dtype(dtype or (before.dtype if before else "float32")),
        {listing.source_uri: listing.options},
        asked.path,
    )
    with DECODING.limited_to(max_memory_bytes), writing(root) as still_ours, closing_source(images):
        if is_collection(root) and not rebuild:
            manifest = read_manifest(root)
        else:
            manifest = create(root, fresh, learn(asked, listing, images, max_megapixels))
        stored = manifest
        if file:
            manifest = replace(manifest, model_path=file.path)
        loaded = pinned_model(root, manifest, device)
        if move:
            follow(root, move, listing)
            forget_failures(root, move.old_uri)
            manifest = without_moved(root, manifest, move)
            write_manifest(root, manifest.with_source(listing.source_uri, listing.options))
        if stored != (manifest := manifest.with_source(listing.source_uri, listing.options)):
            write_manifest(root, manifest)
        try:
            plan = reconcile(root, listing)
        except SourceError:  # refused before any row was touched, so it does not belong to the sources
            if not move:
                write_manifest(root, stored)
            raise
        outcomes = embed(
            reading_ahead(plan.pending, images),
            loaded,
            max_megapixels=max_megapixels,
            threads=threads or os.cpu_count() or 1,
            part_size=part_size,
        )
        fields = [*plan.exif, *starmap(pa.field, listing.types.items())]
        make = partial(part_of, model=loaded, fields=fields, dtype=manifest.dtype)
        with closing(outcomes):
            counted = _counted(outcomes, len(plan.pending), on_progress)
            embedded = _commit(root, plan.failures, counted, make, part_size=part_size, still_ours=still_ours)
        derive(root)
        compact_marks(root)
    failed = len(plan.failures) + len(plan.pending) - embedded
    return Report(
        embedded, failed, plan.unchanged, plan.removed, listing.passed_over, move.old_uri if move else ""
    )


def _build_from_stored(
    source: Path,
    root: Path,
    model: str | Model | None,
    given: Mapping[str, object],
    *,
    device: str,
    dtype: str | None,
    rebuild: bool,
    on_progress: Progress | None,
) -> Report:
    """Build the collection `root` from the vectors of the collection `source`, by a head on them."""
    for name, value in given.items():
        if value is not None:
            raise SourceError(
                f"{source} is a collection, whose rows have their labels and columns", f"leave out `{name}`"
            )
    check_target(root)
    before = read_manifest(root) if is_collection(root) and not rebuild else None
    if model is None and before:
        loaded = find_model(root, before, device)
    elif model is None or isinstance(model, str):
        loaded = load_model(model or DEFAULT_MODEL, device=device)
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
        derive(root)
        compact_marks(root)
    return Report(made.made, made.failed, made.unchanged, made.removed)


def derive(root: Path) -> None:
    """Update the derived files that every search uses; call with the lock held."""
    snapshot = Snapshot.open(root)
    write_background(snapshot)
    write_row_file(root, snapshot.parts)


def next_number(root: Path) -> int:
    """The number of the next part of a collection."""
    numbers = [part.number for kind in ("items", "failures") for part in list_parts(root, kind)]
    return max(numbers, default=-1) + 1


def commit_part(root: Path, number: int, made: MadePart) -> None:
    """Write a part; renaming its items file commits it."""
    part = Part(root, number)
    part.write_failures(failure_table(made.failures))
    if made.rows.num_rows:
        part.write(made.rows, made.thumbnails)


def _commit(
    root: Path,
    failures: Sequence[Failure],
    outcomes: Iterator[Outcome],
    make: Callable[[Iterator[Outcome]], MadePart],
    *,
    part_size: int,
    still_ours: Callable[[], None],
) -> int:
    """Write a part after every `part_size` outcomes; returns how many images were embedded.

    The first part includes the failures of the listing.
    """
    total = 0
    for number in count(next_number(root)):
        made = make(chain(failures, islice(outcomes, part_size)))
        if not made.rows.num_rows and not made.failures:
            return total
        still_ours()
        commit_part(root, number, made)
        total += made.rows.num_rows
        failures = ()
    return total


def _counted(outcomes: Iterator[Outcome], total: int, on_progress: Progress | None) -> Iterator[Outcome]:
    for done, outcome in enumerate(outcomes, 1):
        if on_progress:
            on_progress(done, total)
        yield outcome


def _remembered(before: Manifest | None, uri: str, label: str | None, metadata: str | Path | None) -> Options:
    """The options of this build: those given, otherwise those of the source's last build."""
    given = {"label": label, "metadata": None if metadata is None else str(metadata)}
    last = before.sources.get(uri, {}) if before else {}
    chosen = {name: last.get(name) if value is None else value for name, value in given.items()}
    table = chosen["metadata"]
    if table not in (None, "none") and "://" not in str(table):  # the listing reports an address
        chosen["metadata"] = str(Path(str(table)).resolve())
    return {name: None if value == "none" else value for name, value in chosen.items()}


def _check_goes_on(
    root: Path, before: Manifest, source_uri: str, model: str | None, dtype: str | None
) -> None:
    """Raise `ModelError` or `CollectionError` if the collection cannot take in this source."""
    hint = "give another `collection`, or start again from nothing with `rebuild=True`"
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
