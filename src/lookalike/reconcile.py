"""What a build has to do: compares a listing with what is committed, and removes what no longer holds."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from lookalike.collection import Collection
from lookalike.listing import Listing
from lookalike.parts import ITEM_FIELDS, Part, list_parts, read_parquet
from lookalike.samples import Failure, Sample

_OWN_COLUMNS = frozenset(field.name for field in ITEM_FIELDS) - {"label"} | {"embedding"}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is left to do: samples to embed, and failures to record; the rest are counts of images."""

    pending: list[Sample]
    failures: list[Failure]
    unchanged: int
    removed: int


def reconcile(collection: Collection, listing: Listing) -> Plan:
    """Drop the rows of images that are gone or changed, refresh the metadata of those that stay.

    A row stays where the uri, the size and the time of modification are the listed ones. Rows of other
    sources stay, and so do those below a folder that could not be listed. Failures of this source are
    forgotten, since each build tries them again.
    """
    unlisted = tuple(one.uri for one in listing.failures if one.uri.endswith("/"))
    pending, failures = dict(listing.samples), list(listing.failures)
    unchanged = removed = 0
    for part in collection.parts():
        rows = part.items([name for name in part.column_names() if name != "embedding"])
        keep: list[bool] = []
        columns = ("id", "uri", "size_bytes", "mtime_ns")
        for id_, uri, *state in zip(*(rows[name].to_pylist() for name in columns), strict=True):
            sample = listing.samples.get(id_)
            if not uri.startswith(listing.source_uri):
                keep.append(True)
                if pending.pop(id_, None) is not None and sample is not None:
                    failures.append(sample.refused(f"the id is taken by {uri}"))
            elif sample and (sample.uri, [sample.size_bytes, sample.mtime_ns]) == (uri, state):
                keep.append(True)
                pending.pop(id_, None)
                unchanged += 1
            else:
                keep.append(bool(unlisted) and uri.startswith(unlisted))
                removed += sample is None and not keep[-1]
        _refresh(part, rows, keep, listing)
    _forget_failures(collection, listing.source_uri)
    return Plan(list(pending.values()), failures, unchanged, removed)


def _refresh(part: Part, rows: pa.Table, keep: list[bool], listing: Listing) -> None:
    """Rewrite a part whose rows go, or whose metadata is not what the source says now."""
    described = _with_metadata(rows, listing)
    if all(keep) and described is rows:
        return
    embedding = part.items(["embedding"])
    described = described.append_column(embedding.schema.field(0), embedding["embedding"])
    if all(keep):
        part.rewrite(described)
        return
    described = described.filter(pa.array(keep))
    part.rewrite(described, part.thumbnails(described))


def _with_metadata(rows: pa.Table, listing: Listing) -> pa.Table:
    """The rows with the metadata of their samples; the same object where nothing changes."""
    samples = [
        listing.samples.get(id_) if uri.startswith(listing.source_uri) else None
        for id_, uri in zip(rows["id"].to_pylist(), rows["uri"].to_pylist(), strict=True)
    ]
    present = {field.name: field.type for field in rows.schema if field.name not in _OWN_COLUMNS}
    for name, type_ in {**present, **listing.types}.items():
        old = rows[name].to_pylist() if name in present else [None] * len(samples)
        new = [
            sample.metadata.get(name) if sample else value for sample, value in zip(samples, old, strict=True)
        ]
        if name in present and name != "label" and all(value is None for value in new):
            rows = rows.drop_columns([name])
        elif name not in present or new != old:
            rows = _with_column(rows, pa.field(name, type_), pa.array(new, type_))
    return rows


def _with_column(table: pa.Table, field: pa.Field, values: pa.Array) -> pa.Table:
    if field.name in table.column_names:
        return table.set_column(table.column_names.index(field.name), field, values)
    return table.append_column(field, values)


def _forget_failures(collection: Collection, source_uri: str) -> None:
    for part in list_parts(collection.path, "failures"):
        table = read_parquet(part.failures_path)
        others = table.filter(pc.invert(pc.starts_with(table["uri"], source_uri)))
        if others.num_rows < table.num_rows:
            part.write_failures(others)
