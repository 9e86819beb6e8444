"""The part function: takes a list of samples and a model, and returns one part.

It is pure and picklable, writes nothing and keeps no state, so a laptop can loop over it and a cluster can
map it: the same samples give the same part. Its two halves are here too. A build runs the first over
the samples of all parts, and the second over their outcomes, piece by piece, so that no core idles between
parts, and little is left to do for the last one.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lookalike.builder.preparing import Prepare, prepared
from lookalike.builder.tagging import tag_columns, tag_fields
from lookalike.builder.worker_process import Work
from lookalike.builder.workers import Prepared, Workers
from lookalike.errors import ModelError
from lookalike.images.exif import Exif
from lookalike.images.limit import MAX_MEGAPIXELS
from lookalike.models.halving import FullDeviceError
from lookalike.models.looking import decoder_name, decoder_of, stacked
from lookalike.models.model import LoadedModel, unit
from lookalike.models.runner import batch_size
from lookalike.parallel import in_order
from lookalike.sources.sample import Sample
from lookalike.storage.parts import (
    EXIF_FIELDS,
    ITEM_FIELDS,
    Failure,
    embedding_column,
    is_from_exif,
)

# Images queued for each thread: enough work for the time in which a part is written.
_AHEAD = 32

# Images whose columns are made at a time, while the next are embedded: as many as a GPU takes in a batch. The
# network's tags cost 72 us for one of them, 77 us for one of 128, and 143 us for one of 16.
PIECE = 256

# The key of a row's EXIF until it becomes columns; no column of a source has such a name.
_EXIF = "\0exif"


@dataclass(frozen=True, slots=True)
class MadePart:
    """The contents of a part: its rows (without thumbnail byte ranges), a JPEG for each, and failures.

    `made_by` names the device that ran the model, and the decoder of JPEGs.
    """

    rows: pa.Table
    thumbnails: list[bytes]
    failures: list[Failure]
    made_by: Mapping[str, str] = field(default_factory=dict)

    def __reduce__(self) -> tuple[Any, ...]:
        # Pickled by pyarrow itself, the rows would forget that an embedding's elements cannot be null.
        stream = pa.BufferOutputStream()
        with pa.ipc.new_stream(stream, self.rows.schema) as writer:
            writer.write_table(self.rows)
        return _unpickled, (stream.getvalue().to_pybytes(), self.thumbnails, self.failures, self.made_by)


def _unpickled(rows: bytes, *rest: Any) -> MadePart:
    return MadePart(pa.ipc.open_stream(rows).read_all(), *rest)


@dataclass(frozen=True, slots=True)
class Embedded:
    """One image ready for a part: its row, its thumbnail or no bytes, and the features float32 (D,)."""

    row: Mapping[str, Any]
    thumbnail: bytes
    features: NDArray[np.float32]


Outcome = Embedded | Failure
Thing = TypeVar("Thing")


def make_part(
    samples: Sequence[Sample],
    model: LoadedModel,
    *,
    fields: Sequence[pa.Field] = EXIF_FIELDS,
    dtype: str = "float32",
    max_megapixels: float = MAX_MEGAPIXELS,
    thumbnails: bool = True,
    threads: int = 1,
) -> MadePart:
    """Read, decode and embed the samples of one part, and make their thumbnails unless told not to.

    `fields` are the columns besides those that all parts have: from the samples' metadata and from EXIF.
    `dtype` is `float32` or `float16`.
    An image that fails becomes one of the failures. Rows and failures keep the order of the samples. Raises
    `ModelError` if the model returns invalid vectors.
    """
    options: dict[str, Any] = {"max_megapixels": max_megapixels, "thumbnails": thumbnails}
    outcomes = embed(samples, model, count=len(samples), threads=threads, **options)
    make = partial(piece_of, model=model, fields=fields, dtype=dtype)
    return joined([make(some) for some in batches(outcomes, PIECE)] or [make([])])


def embed(
    samples: Iterable[Sample],
    model: LoadedModel,
    *,
    count: int,
    max_megapixels: float,
    thumbnails: bool = True,
    threads: int,
    part_size: int = sys.maxsize,
) -> Generator[Outcome, None, None]:
    """Yield the outcome of each of `count` samples, in order, computed by threads a few batches ahead.

    No batch crosses the end of a part of `part_size` samples, so that a part has the same batches, and the
    same bytes, wherever it is made. If stopped early, it closes `samples` if they are a generator.
    """
    decoder, size = decoder_of(model), batch_size(model.device)
    work = Work(model.spec, max_megapixels, thumbnails, leaves_jpegs=decoder is not None)
    with ExitStack() as leaving:
        workers = leaving.enter_context(closing(Workers(work, threads, count)))
        prepare = partial(prepared, work=work, workers=workers, decoder=decoder)
        embedded = partial(_embedded, model=model, prepare=prepare)
        some, ahead = batches(samples, size, part_size), max(2, _AHEAD // size) * threads
        for outcomes in leaving.enter_context(closing(in_order(embedded, some, threads, ahead=ahead))):
            yield from outcomes


def piece_of(
    outcomes: Sequence[Outcome],
    model: LoadedModel,
    *,
    fields: Sequence[pa.Field] = EXIF_FIELDS,
    dtype: str = "float32",
) -> MadePart:
    """A piece of a part: the outcomes of up to `PIECE` samples."""
    embedded = [one for one in outcomes if isinstance(one, Embedded)]
    failures = [one for one in outcomes if isinstance(one, Failure)]
    rows = _table(embedded, fields, model, dtype)
    made_by = {"device": model.device.partition(":")[0], "decoder": decoder_name(model)}
    return MadePart(rows, [one.thumbnail for one in embedded], failures, made_by)


def joined(made: Sequence[MadePart]) -> MadePart:
    """A part from its pieces, in order."""
    rows = pa.concat_tables([one.rows for one in made])
    thumbnails = [thumbnail for one in made for thumbnail in one.thumbnails]
    return MadePart(rows, thumbnails, [failure for one in made for failure in one.failures], made[0].made_by)


def batches(
    things: Iterable[Thing], size: int, part_size: int = sys.maxsize
) -> Generator[list[Thing], None, None]:
    """Yield `size` things at a time; no batch crosses the end of a part of `part_size`.

    If stopped early, it closes the things if they are a generator.
    """
    source, done = iter(things), 0
    try:
        while batch := list(islice(source, min(size, part_size - done % part_size))):
            yield batch
            done += len(batch)
    finally:
        if isinstance(source, Generator):
            source.close()


def _embedded(batch: Sequence[Sample], model: LoadedModel, prepare: Prepare) -> list[Outcome]:
    """Take a batch of samples from bytes to features, in one thread."""
    found = prepare(batch)
    seen = [
        (sample.id, one.seen.pixels)
        for sample, one in zip(batch, found, strict=True)
        if isinstance(one, Prepared)
    ]
    features: Iterator[NDArray[np.float32]] = iter(_features(model, seen) if seen else ())
    return [
        Embedded(_row(sample, one), one.seen.thumbnail, next(features)) if isinstance(one, Prepared) else one
        for sample, one in zip(batch, found, strict=True)
    ]


def _features(model: LoadedModel, seen: Sequence[tuple[str, Any]]) -> NDArray[np.float32]:
    """The features (B, D) of B pictures, given by their ids and pixels.

    Raises `ModelError`, which names the first picture that the model fails on by itself, if there is one.
    """
    try:
        return model.features(stacked([pixels for _, pixels in seen]))
    except FullDeviceError:
        raise
    except ModelError as error:
        for id_, pixels in seen:
            try:
                model.features(stacked([pixels]))
            except ModelError:
                raise ModelError(
                    f"{error.message}, on the picture {id_}",
                    error.hint or "take that picture out of the source, or use another model",
                ) from error
        raise


def _row(sample: Sample, found: Prepared) -> dict[str, Any]:
    return {
        **sample.metadata,
        "id": sample.id,
        "uri": sample.uri,
        "size_bytes": found.size_bytes if sample.size_bytes is None else sample.size_bytes,
        "mtime_ns": sample.mtime_ns,
        "sha256": found.sha256,
        "width": found.seen.width,
        "height": found.seen.height,
        _EXIF: found.seen.exif,
    }


def _table(
    embedded: Sequence[Embedded], more: Sequence[pa.Field], model: LoadedModel, dtype: str
) -> pa.Table:
    """The rows of a part, without thumbnail byte ranges; `more` are the columns that not all parts have."""
    fields = [field for field in ITEM_FIELDS if not field.name.startswith("thumb_")]
    known = {field.name for field in fields}
    fields += [field for field in more if field.name not in known]
    rows = [one.row for one in embedded]
    exif = [row[_EXIF] for row in rows]
    columns = [
        _column(exif, field)
        if is_from_exif(field)
        else pa.array([row.get(field.name) for row in rows], field.type)
        for field in fields
    ]
    features = np.array([one.features for one in embedded], np.float32).reshape(len(embedded), model.dim)
    if model.tags is not None:
        columns += tag_columns(model.tags(features) if embedded else [])
        fields += tag_fields(model)
    vectors = embedding_column(unit(features), dtype)
    fields.append(pa.field("embedding", vectors.type, nullable=False))
    return pa.Table.from_arrays([*columns, vectors], schema=pa.schema(fields))


def _column(exif: Sequence[Exif | None], field: pa.Field) -> pa.Array:
    """A column of what EXIF says."""
    if not any(exif):
        return pa.nulls(len(exif), field.type)
    return pa.array([getattr(one, field.name, None) for one in exif], field.type)
