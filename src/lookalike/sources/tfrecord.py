"""Reads TFRecord files of `tf.train.Example`: each record has an encoded image and other features."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from lookalike.sources.sample import Sample
from lookalike.sources.shard import IMAGE_NAMES, Shard, check_image_column, unique_name
from lookalike.sources.tfrecord_format import Feature, decode_example, read_record, walk_records
from lookalike.sources.unpacking import opened, problem_of
from lookalike.storage.parts import Failure

_LONGEST_TEXT_BYTES = 1 << 16


def samples(shard: Shard) -> Iterator[Sample | Failure]:
    """Yield the images of a TFRecord file in order, without reading them.

    Raises `SourceError` if the first record has no image. If the file breaks off or is damaged, the
    records before are used, and the rest is one failure.
    """
    number = -1
    taken: set[str] = set()
    with opened(shard.path) as file:
        try:
            for number, record in enumerate(walk_records(file)):
                yield _sample(shard, file, number, record, taken)
        except ValueError as error:
            reason = problem_of(shard.path) or str(error)
            yield shard.failure("", f"{reason}; {number + 1:,} records precede it")
            return
    if problem := problem_of(shard.path):
        yield shard.failure("", f"{problem}; {number + 1:,} records precede it")


def _sample(shard: Shard, file: BinaryIO, number: int, record: slice, taken: set[str]) -> Sample | Failure:
    """Return the image of one record; `taken` are the names before it."""
    try:
        features = decode_example(file, record)
    except ValueError as error:
        return shard.failure(str(number), str(error))
    wanted = (shard.columns.image,) if shard.columns.image else IMAGE_NAMES
    column, place = next(_strings(features, wanted), (None, slice(0)))
    if number == 0:
        check_image_column(shard, column, list(features))
    if column is None:
        return shard.failure(str(number), "no image in this record")
    values = {name: _value(file, feature) for name, feature in features.items() if name != column}
    name = unique_name(values, shard.columns.name, number, taken)
    read = partial(_read, shard.path, record, place)
    return shard.sample(name, place.stop - place.start, read, shard.described(values))


def _strings(features: Mapping[str, Feature], names: Iterable[str]) -> Iterator[tuple[str, slice]]:
    """Yield the features with a single byte string, and where it is."""
    for name in names:
        feature = features.get(name, [])
        if len(feature) == 1 and isinstance(feature[0], slice):
            yield name, feature[0]


def _value(file: BinaryIO, feature: Feature) -> Any:
    """Return a feature's only value; None if it has several, or bytes that are not text."""
    if len(feature) != 1:
        return None
    (value,) = feature
    if not isinstance(value, slice):
        return value
    if value.stop - value.start > _LONGEST_TEXT_BYTES:
        return None
    file.seek(value.start)
    try:
        return file.read(value.stop - value.start).decode()
    except UnicodeDecodeError:
        return None


def _read(path: Path, record: slice, image: slice) -> bytes:
    """Read an image from its record and verify its checksum; raises `OSError` if that does not match."""
    with opened(path) as file:
        try:
            data = read_record(file, record)
        except ValueError as error:
            raise OSError(str(error)) from None
    return data[image.start - record.start : image.stop - record.start]
