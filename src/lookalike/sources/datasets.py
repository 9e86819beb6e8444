"""Datasets by name: `hf:OWNER/NAME[:SPLIT]` and `tfds:NAME[/SPLIT]`, through the libraries of their hubs.

These fetch what is missing into their own caches; reading is then local.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lookalike.errors import ExtraError, SourceError
from lookalike.sources.addresses import kind_of
from lookalike.sources.sample import Sample
from lookalike.sources.shard import Columns, metadata_of, unique_name
from lookalike.sources.shards import Shards
from lookalike.storage.parts import Failure

# How the libraries report that a data set is not for everyone.
_GATED = ("gated", "must be authenticated", "401 client error", "403 client error")
_ASK_FOR_ACCESS = "ask for access on the page of the data set, then log in: hf auth login, or set HF_TOKEN"


def open_dataset(address: str) -> HuggingFace | TensorFlow:
    """Open a hub's dataset; raises `SourceError` if it is missing, cannot be fetched, or has no images."""
    hub, _, name = address.partition(":")
    return _hugging_face(address, name) if hub == "hf" else _tensorflow(address, name)


@dataclass(frozen=True, slots=True)
class HuggingFace:
    """The rows of a Hugging Face dataset, by split; an id is `SPLIT/NAME`, or `SPLIT/NUMBER`.

    A dataset has no modification times: only a row that is new or gone is a change.
    """

    address: str
    column: str
    splits: dict[str, Any]
    roots: tuple[Path, ...]

    def __str__(self) -> str:
        return self.address

    @property
    def uri(self) -> str:
        return quote(self.address, safe=":/") + "#"

    @property
    def scope(self) -> tuple[str, ...]:
        return (self.uri,)

    def samples(self) -> Iterator[Sample | Failure]:
        for split, rows in self.splits.items():
            taken: set[str] = set()
            classes = _classes(rows.features)
            for number, row in enumerate(rows.remove_columns([self.column])):
                row |= {name: _class_name(names, row.get(name)) for name, names in classes.items()}
                place = f"{split}/{unique_name(row, None, number, taken)}"
                read = partial(_row_bytes, rows, number, self.column, self.roots)
                yield Sample(place, self.uri + quote(place), None, 0, read, metadata_of(row))


def _hugging_face(address: str, name: str) -> HuggingFace:
    """Load a Hugging Face data set; raises `ExtraError` without its library, and `SourceError`."""
    try:
        import datasets
    except ImportError:
        raise ExtraError(f"{address} needs Hugging Face datasets", "hf") from None
    name, _, split = name.partition(":")
    if name.startswith((".", "/")) and not Path(name).exists():
        raise SourceError(f"there is no folder {name}")
    if any((Path(name) / one).exists() for one in ("state.json", "dataset_dict.json")):
        raise SourceError(f"{address} was written by save_to_disk", f"leave out hf: and give {name} itself")
    try:
        loaded = datasets.load_dataset(name, split=split or None)
    except Exception as error:  # of many kinds: not found, no network, a broken file
        raise _not_loaded(address, error) from None
    splits = {split: loaded} if split else dict(loaded)
    if any(not isinstance(rows, datasets.Dataset) for rows in splits.values()):
        raise SourceError(f"{address} is a stream, which has no list of its rows", "save it as files first")
    features = {name: one for rows in splits.values() for name, one in rows.features.items()}
    column = next((name for name, one in features.items() if isinstance(one, datasets.Image)), None)
    if column is None:
        raise SourceError(f"{address} has no column of images, only: {', '.join(features) or 'nothing'}")
    splits = {name: rows for name, rows in splits.items() if column in rows.features}
    encoded = {name: rows.cast_column(column, datasets.Image(decode=False)) for name, rows in splits.items()}
    roots = (Path(name), Path(datasets.config.HF_CACHE_HOME))
    return HuggingFace(address, column, encoded, tuple(root.resolve() for root in roots))


def _row_bytes(rows: Any, number: int, column: str, roots: tuple[Path, ...]) -> bytes:
    """Return the encoded image of a row, from the row itself or a file of the dataset."""
    image = rows[number][column]
    if image is None or (image["bytes"] is None and image["path"] is None):
        raise OSError("the row has no image")
    if image["bytes"] is not None:
        return bytes(image["bytes"])
    path = Path(image["path"]).resolve()
    if not any(path.is_relative_to(root) for root in roots):
        raise OSError("the row names a file outside the dataset")
    return path.read_bytes()


@dataclass(frozen=True, slots=True)
class TensorFlow:
    """The files of a TFDS dataset, which are TFRecords, with the names of its classes."""

    shards: Shards
    classes: dict[str, list[str]]

    def __str__(self) -> str:
        return str(self.shards)

    @property
    def uri(self) -> str:
        return self.shards.uri

    @property
    def scope(self) -> tuple[str, ...]:
        return self.shards.scope

    def samples(self) -> Iterator[Sample | Failure]:
        for entry in self.shards.samples():
            if isinstance(entry, Sample):
                said = entry.metadata
                named = {one: _class_name(names, said.get(one)) for one, names in self.classes.items()}
                kept = {name: value for name, value in {**said, **named}.items() if value is not None}
                yield replace(entry, metadata=kept)
            else:
                yield entry


def _tensorflow(address: str, name: str) -> TensorFlow:
    """Prepare a TensorFlow data set; raises `ExtraError` without its library, and `SourceError`."""
    try:
        import tensorflow_datasets as tfds
    except ImportError:
        raise ExtraError(f"{address} needs TensorFlow Datasets", "tfds") from None
    known = tfds.list_builders()
    dataset, _, split = name.partition("/") if name.partition("/")[0] in known else (name, "", "")
    try:
        builder = tfds.builder(dataset)
        builder.download_and_prepare()
        splits = [split] if split else list(builder.info.splits)
        files = [Path(file) for one in splits for file in builder.info.splits[one].filepaths]
    except Exception as error:  # of many kinds: not found, no network, no such split
        raise _not_loaded(address, error) from None
    if any(kind_of(file) != "tfrecord" for file in files):
        raise SourceError(f"{address} was prepared as {files[0].suffix}, not as TFRecord")
    features = builder.info.features
    column = next((name for name, one in features.items() if isinstance(one, tfds.features.Image)), None)
    if column is None:
        raise SourceError(
            f"{address} has no column of images, only: {', '.join(sorted(features)) or 'nothing'}"
        )
    shards = Shards(address, Path(builder.data_dir), tuple(files), Columns(image=column))
    return TensorFlow(shards, _classes(features))


def _classes(features: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the class names of each column that has any."""
    return {name: one.names for name, one in features.items() if getattr(one, "names", None)}


def _class_name(names: list[str], value: Any) -> Any:
    """Return the name of a class by its number; None for -1 and the like, which mean no class."""
    try:
        number = int(value)
    except (TypeError, ValueError):
        return value
    return names[number] if 0 <= number < len(names) else None


def _not_loaded(address: str, error: Exception) -> SourceError:
    """The error with the first line of the library's own, and what to do about it."""
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    is_gated = any(word in str(error).lower() for word in _GATED)
    return SourceError(f"{address} cannot be loaded: {reason}", _ASK_FOR_ACCESS if is_gated else "")
