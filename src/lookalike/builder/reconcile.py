"""Compares a listing with the committed rows: plans what to embed, and removes outdated rows.

All rows of a part come from one source, because a build writes its own parts.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from lookalike.builder.listing import Listing
from lookalike.errors import CollectionError, SourceError
from lookalike.sources.sample import Sample
from lookalike.storage.parts import (
    EXIF_FIELDS,
    FAILURE_SCHEMA,
    RESERVED_COLUMNS,
    Failure,
    Part,
    is_from_exif,
    list_parts,
    set_column,
)
from lookalike.storage.stores import each


@dataclass(frozen=True, slots=True)
class Plan:
    """The work left: samples to embed, and failures to record; `unchanged` and `removed` count images.

    `exif` are the columns that the rows of these samples get from EXIF.
    """

    pending: list[Sample]
    failures: list[Failure]
    exif: list[pa.Field]
    unchanged: int
    removed: int


def reconcile(root: Path, listing: Listing) -> Plan:
    """Drop the rows of images that are gone or changed, and refresh the metadata of those that stay.

    A row stays if its uri, size and modification time are the listed ones. Rows of other
    sources and rows outside the listing's scope are kept. Failures of this
    source are forgotten, because each build tries them again.
    Raises `SourceError` if the images cannot join those of another source.
    """
    committed = list_parts(root)
    parts = list(zip(committed, each(committed, Part.described, root), strict=True))
    ours = [(part, rows) for part, rows in parts if _source_is(listing, rows)]
    others = [rows for _, rows in parts if not _source_is(listing, rows)]
    _check_types(listing, others)
    pending = dict(listing.samples)
    failures = [*listing.failures, *_refuse_taken_ids(pending, others)]
    unchanged, removed, schemas = 0, 0, [rows.schema for rows in others]
    for part, rows in ours:
        keep: list[bool] = []
        columns = ("id", "uri", "size_bytes", "mtime_ns")
        for id_, *state in zip(*(rows[name].to_pylist() for name in columns), strict=True):
            sample = listing.samples.get(id_)
            if sample is None:
                keep.append(not listing.tells_gone(state[0]))
                removed += not keep[-1]
            elif _is_unchanged(sample, *state):
                keep.append(True)
                pending.pop(id_, None)  # a kill may have left an item twice
                unchanged += 1
            else:
                keep.append(False)
        schemas.append(_refresh(part, rows, keep, listing))
    forget_failures(root, listing.source_uri, {one.uri for one in listing.failures})
    return Plan(list(pending.values()), failures, _exif_fields(listing, schemas), unchanged, removed)


def _is_unchanged(sample: Sample, uri: str, size_bytes: int, mtime_ns: int) -> bool:
    same_size = sample.size_bytes in (None, size_bytes)
    return same_size and (sample.uri, sample.mtime_ns) == (uri, mtime_ns)


def _source_is(listing: Listing, rows: pa.Table) -> bool:
    return bool(rows["uri"][0].as_py().startswith(listing.source_uri))


def _check_types(listing: Listing, others: list[pa.Table]) -> None:
    """Raise `SourceError` if the type of a column does not fit another source's."""
    wanted = pa.schema(list(listing.types.items()))
    for rows in others:
        try:
            pa.unify_schemas([rows.schema, wanted], promote_options="permissive")
        except pa.ArrowException as error:
            raise SourceError(
                f"a column has a different type in another source: {error}",
                "rename it in the metadata",
            ) from None


def _exif_fields(listing: Listing, schemas: list[pa.Schema]) -> list[pa.Field]:
    """The columns from EXIF that new rows get.

    A column that the source itself has is left out, and so is one whose type does not fit that of other
    rows: nobody asked for it, so it is not a reason to refuse the source.
    """
    present: dict[str, set[pa.DataType]] = {field.name: {field.type} for field in EXIF_FIELDS}
    for field in (field for schema in schemas for field in schema):
        present.get(field.name, set()).add(field.type)
    free = [field for field in EXIF_FIELDS if field.name not in listing.types]
    return [field for field in free if _go_together(present[field.name])]


def _go_together(types: set[pa.DataType]) -> bool:
    try:
        pa.unify_schemas([pa.schema([("", type_)]) for type_ in types], promote_options="permissive")
    except pa.ArrowException:
        return False
    return True


def _refuse_taken_ids(pending: dict[str, Sample], others: list[pa.Table]) -> list[Failure]:
    """Remove the samples from `pending` whose ids another source's images have."""
    failures = []
    total = len(pending)
    for rows in others:
        for id_, uri in zip(rows["id"].to_pylist(), rows["uri"].to_pylist(), strict=True):
            if sample := pending.pop(id_, None):
                failures.append(sample.refused(f"the id is taken by {uri}"))
    if failures and len(failures) == total:
        raise SourceError(
            f"the collection already has the ids of all {total:,} images, from another source: "
            f"{failures[0].id} is {failures[0].error.removeprefix('the id is taken by ')}",
            "give another `collection`, or start again from nothing with `rebuild=True`",
        )
    return failures


def _refresh(part: Part, rows: pa.Table, keep: list[bool], listing: Listing) -> pa.Schema:
    """Rewrite a part if rows go or the source's metadata has changed; returns its columns afterwards."""
    described = _with_metadata(rows, listing)
    schema = described.schema
    if all(keep) and described is rows:
        return schema
    embedding = part.items(["embedding"])
    described = described.append_column(embedding.schema.field(0), embedding["embedding"])
    if all(keep):
        part.write(described)
    else:
        part.keep(described.filter(pa.array(keep)))
    return schema


def _with_metadata(rows: pa.Table, listing: Listing) -> pa.Table:
    """The rows with the metadata of their samples; the same object if nothing changes.

    Images that are not listed, because their source only adds to the collection, keep theirs. Columns from
    EXIF stay.
    """
    samples = [listing.samples.get(id_) for id_ in rows["id"].to_pylist()]
    if not any(samples):
        return rows
    types = {"label": pa.string(), **listing.types}
    for name in rows.column_names:
        kept = name in RESERVED_COLUMNS or is_from_exif(rows.schema.field(name))
        if name not in types and not kept and all(samples):
            rows = rows.drop_columns([name])
    for name, type_ in types.items():
        same_type = name in rows.column_names and rows[name].type == type_
        before = rows[name].to_pylist() if same_type else [None] * len(samples)
        known = zip(samples, before, strict=True)
        values = pa.array([one.metadata.get(name) if one else old for one, old in known], type_)
        if name not in rows.column_names or not rows[name].combine_chunks().equals(values):
            rows = set_column(rows, name, values)
    return rows


def forget_failures(root: Path, source_uri: str, uris: Collection[str] = ()) -> None:
    """Remove the failures of a source, and those of `uris`, which in a list of URLs may be anything."""
    again = pa.array(sorted(uris), pa.string())
    for part in list_parts(root, "failures"):
        try:
            table = part.failures()
        except CollectionError:  # this build finds all of them again
            table = FAILURE_SCHEMA.empty_table()
        known = pc.or_(pc.starts_with(table["uri"], source_uri), pc.is_in(table["uri"], value_set=again))
        others = table.filter(pc.invert(known))
        if others.num_rows < table.num_rows or not table.num_rows:
            part.write_failures(others)
