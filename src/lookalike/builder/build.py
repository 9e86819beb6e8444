"""Builds a collection from a source: embeds what is new on all cores and commits part after part.

A build makes the collection mirror its source. It embeds what is new or changed, drops what is gone, and
leaves the rest alone; after a kill, the next build continues from the last committed part.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
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
from lookalike.builder.tagging import chosen_tags, retag
from lookalike.checking import checked
from lookalike.errors import CollectionError, ExtraError, LookalikeError, ModelError, SourceError
from lookalike.images.limit import MAX_MEGAPIXELS
from lookalike.images.memory import DECODING
from lookalike.models.devices import AUTO
from lookalike.models.model import LoadedModel, Model
from lookalike.models.published import revision_of
from lookalike.models.registry import DEFAULT_MODEL, is_path, load_model, name_in_spec, register
from lookalike.models.tag_list import check_tags, with_tags
from lookalike.search.confidence import write_background
from lookalike.sources.fetch import FetchOptions
from lookalike.sources.opening import Source, closing_source, open_source, reading_ahead
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
    `max_memory_bytes` limits what pictures take while they are decoded, in all threads together (default:
    1 GB). `dtype` is `float32` or `float16`. With `thumbnails=False` new rows get no thumbnail, which is
    faster. `rebuild` starts over. `on_model` is called with the model before the first image, if there is one
    to embed, and `on_progress` with the numbers of images done and to do.
    Raises `LookalikeError`; an image that fails becomes a row of the failures instead.
    """
    if isinstance(source, str | Path) and is_collection(place(source)):
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
    file, given, name = _named(model, device)
    root, images = place(collection), open_source(source, image_column, name_column, fetch)
    check_target(root)
    before = read_manifest(root) if is_collection(root) else None
    if before and not rebuild:
        wishes = {"model": name, "revision": revision_of(given or ""), "dtype": dtype}
        _check_goes_on(root, before, images.uri, wishes)
    listing = list_source(images, _remembered(before, images.uri, label, metadata))
    move = find_move(root, before, listing) if before and not rebuild else None
    if before and move:
        listing = list_source(images, _remembered(before, move.old_uri, label, metadata))
    names = chosen_tags(before, tags)
    asked = _asked(root, before, (file, given, name), device)
    check_base_is_here(asked)
    _try_words(with_tags(asked, names))
    fresh = Manifest(
        asked.spec,
        check_dtype(dtype or (before.dtype if before else "float32")),
        {listing.source_uri: listing.options},
        asked.path,
        names,
    )
    with DECODING.limited_to(max_memory_bytes), writing(root) as still_ours, closing_source(images):
        if is_collection(root) and not rebuild:
            manifest = read_manifest(root)
        else:
            manifest = create(root, fresh, learn(asked, listing, images, max_megapixels))
        stored = manifest
        manifest = _renewed(manifest, file, names)
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
        if on_model and plan.pending:
            on_model(loaded)
        outcomes = embed(
            reading_ahead(plan.pending, images),
            loaded,
            max_megapixels=max_megapixels,
            thumbnails=thumbnails,
            threads=threads or os.cpu_count() or 1,
            part_size=part_size,
        )
        fields = [*plan.exif, *starmap(pa.field, listing.types.items())]
        make = partial(part_of, model=loaded, fields=fields, dtype=manifest.dtype)
        with closing(outcomes):
            counted = _counted(outcomes, len(plan.pending), on_progress)
            embedded = _commit(root, plan.failures, counted, make, part_size=part_size, still_ours=still_ours)
        retag(root, loaded)
        derive(root)
        compact_marks(root)
    return Report(
        embedded,
        len(plan.failures) + len(plan.pending) - embedded,
        plan.unchanged,
        plan.removed,
        listing.passed_over,
        move.old_uri if move else "",
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
        part.write(made.rows, made.thumbnails, made.made_by)


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

    The first part includes the failures of the listing. A part is written while the next one is made, and
    committed before that one is.
    """

    def write(number: int, made: MadePart) -> None:
        still_ours()
        commit_part(root, number, made)

    total = 0
    with ThreadPoolExecutor(1, "write") as writer:
        written: Future[None] | None = None
        for number in count(next_number(root)):
            made = make(chain(failures, islice(outcomes, part_size)))
            if written:
                written.result()
            if not made.rows.num_rows and not made.failures:
                break
            written = writer.submit(write, number, made)
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


def _named(model: str | Model | None, device: str) -> tuple[LoadedModel | None, str | None, str | None]:
    """The model if it is a file or a folder, what it is called here, and its name in a manifest."""
    if isinstance(model, str) and is_path(model):
        file = load_model(model, device=device)
        return file, file.name, file.name
    given = model if isinstance(model, str | None) else register(model).name
    return None, given, name_in_spec(given) if given else None


def _asked(
    root: Path,
    before: Manifest | None,
    named: tuple[LoadedModel | None, str | None, str | None],
    device: str,
) -> LoadedModel:
    """The model that this build asks for: that of a file, the collection's, or one by its name."""
    file, given, name = named
    if file:
        return file
    if before and name in (None, before.model.name):
        return find_model(root, before, device)
    return load_model(given or DEFAULT_MODEL, device=device)


def _renewed(manifest: Manifest, file: LoadedModel | None, names: tuple[str, ...]) -> Manifest:
    """The manifest with the tags of this build, and where its model is now if that was said.

    The words of that model replace those of the pinned one, if both make the same vectors of pictures.
    """
    if file is None:
        return replace(manifest, tags=names)
    pinned = manifest.model
    same = replace(file.spec, text_sha256=pinned.text_sha256, prompts=pinned.prompts) == pinned
    return replace(manifest, tags=names, model_path=file.path, model=file.spec if same else pinned)


def _try_words(model: LoadedModel) -> None:
    """Try a model's text tower and the user's tags; raises `LookalikeError` if they do not fit."""
    if model.tag_list:
        check_tags(model)
    elif model.spec.text_sha256:
        with suppress(ExtraError):  # pictures can be embedded without it
            model.embed_text("photo")


def _check_goes_on(root: Path, before: Manifest, source_uri: str, wishes: Mapping[str, str | None]) -> None:
    """Raise `ModelError` or `CollectionError` if the collection cannot take in this source."""
    hint = "give another `collection`, or start again from nothing with `rebuild=True`"
    present = {"model": before.model.name, "revision": before.model.revision, "dtype": before.dtype}
    for what, wish in wishes.items():
        if wish not in (None, present[what]):
            raise ModelError(f"{root} was built with the {what} {present[what]}, not {wish}", hint)
    for other in before.sources:
        if other != source_uri and (other.startswith(source_uri) or source_uri.startswith(other)):
            raise CollectionError(
                f"{root} has the source {other}, which shares images with {source_uri}", hint
            )


def _check_numbers(**numbers: float | None) -> None:
    for name, number in numbers.items():
        if number is not None and not number > 0:
            raise LookalikeError(f"{name} is {number}, it has to be above 0")
