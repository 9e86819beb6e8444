"""Builds with progress, for several commands."""

from __future__ import annotations

import argparse
import shlex
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lookalike.builder import build as builder
from lookalike.builder.build import Report
from lookalike.builder.listing import said_of
from lookalike.cli.network import fetch_options
from lookalike.cli.output import say
from lookalike.cli.progress import Progress
from lookalike.cli.remedies import in_flags
from lookalike.collection import Collection
from lookalike.errors import SourceError, StorageError
from lookalike.index import index_state, refresh
from lookalike.models.devices import CPU
from lookalike.models.model import LoadedModel
from lookalike.sources.addresses import bare_name, is_pattern
from lookalike.storage.manifest import is_collection
from lookalike.storage.state import State
from lookalike.storage.stores import is_remote, place


def build(options: argparse.Namespace, part_size: int = builder.PART_SIZE) -> tuple[Collection, Report]:
    """Build, update the index if there is one, and say what was done."""
    path = options.collection or _beside(options.source)
    with Progress("embedding") as progress, _said_where_else(options):
        report = builder.build(
            options.source,
            path,
            model=options.model,
            label=options.label,
            metadata=options.metadata,
            tags=options.tags,
            image_column=options.image_column,
            name_column=options.name_column,
            fetch=fetch_options(options),
            device=options.device,
            precision=options.precision,
            dtype=options.dtype,
            threads=options.threads,
            part_size=part_size,
            max_megapixels=options.max_megapixels,
            max_memory_bytes=options.max_memory_bytes,
            thumbnails=options.thumbnails,
            rebuild=options.rebuild,
            on_model=_say_device,
            on_progress=progress,
        )
    root = place(path)
    if index_state(State.read(root)) == "stale":
        with Progress("indexing") as progress:
            refresh(root, on_progress=progress)
    counts = {
        "embedded": report.embedded,
        "unchanged": report.unchanged,
        "removed": report.removed,
        "failed": report.failed,
    }
    said = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count or name == "embedded")
    say(f"{said} (see: lookalike failures {shlex.quote(str(path))})" if report.failed else said)
    if report.moved_from:
        say(f"the source moved here from {report.moved_from}; its rows now point here")
    if report.passed_over:
        say(said_of(report.passed_over))
    collection = Collection(root, report)
    if report.failed and not len(collection):
        errors = Counter(collection.failures()["error"].to_pylist())
        say(f"most often: {in_flags(errors.most_common(1)[0][0], 'build')}")
    return collection, report


def _say_device(model: LoadedModel) -> None:
    """Say where the model runs, unless the CPU is all there is."""
    if model.device_note:
        say(f"{model.name} runs on the {model.device}: {model.device_note}")
    elif model.device != CPU:
        say(f"{model.name} runs on {model.device}")


@contextmanager
def _said_where_else(options: argparse.Namespace) -> Iterator[None]:
    """If nothing can be written beside the source, as on a read-only disk, say what to do."""
    try:
        yield
    except StorageError as error:
        if options.collection or _beside(options.source).exists():
            raise
        elsewhere = Path.home() / _beside(options.source).name
        words = ["lookalike", options.command, options.source, "-c", str(elsewhere)]
        raise StorageError(error.message, f"keep the collection elsewhere: {shlex.join(words)}") from None


def _beside(source: str) -> Path:
    """The default place for the collection of a source; nothing is put into a store unasked."""
    path = place(source)
    unnamed = path.name == "-" or ":" in source or is_pattern(source)
    if not is_remote(path) and path.name in ("", ".."):
        path = path.resolve()
    if is_remote(path) or (unnamed and not path.is_dir()) or not path.name:
        raise SourceError(f"{source} has no name for its collection", "say where to keep it with -c")
    if is_collection(path):
        raise SourceError(f"{source} is a collection itself", "say where to keep it with -c")
    return path.with_name(bare_name(path.name) + ".lookalike")
