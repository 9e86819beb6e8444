"""Tags by a user's own list: which list a build uses, and new tags for rows that were embedded before."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from lookalike.models.model import LoadedModel, Tags
from lookalike.models.tag_list import tag_list
from lookalike.storage.manifest import Manifest
from lookalike.storage.parts import TAG_FIELDS, list_parts, matrix

# The metadata of the column `tags` names the list that it was made by, so that another one is noticed.
_LIST_KEY = b"lookalike.tag_list"


def chosen_tags(before: Manifest | None, given: str | Path | Sequence[str] | None) -> tuple[str, ...]:
    """The list of this build: the given one, else that of the collection; empty for the model's own tags.

    `none` forgets the list. Raises `SourceError` if it is none.
    """
    if given is None:
        return before.tags if before else ()
    return () if isinstance(given, str) and given == "none" else tag_list(given)


def tag_fields(model: LoadedModel) -> list[pa.Field]:
    """The columns of tags; if they come from a list, their metadata tell which list and whose words."""
    if not model.tag_list:
        return list(TAG_FIELDS)
    said = "\n".join([model.spec.text_sha256, *model.spec.prompts, "", *model.tag_list])
    checksum = hashlib.sha256(said.encode()).hexdigest()[:16].encode()
    return [field.with_metadata({_LIST_KEY: checksum}) for field in TAG_FIELDS]


def tag_columns(found: Tags) -> list[pa.Array]:
    """The values of the columns of tags, in the order of `TAG_FIELDS`: the names, and their probabilities."""
    columns = [[[tag[place] for tag in tags] for tags in found] for place in (0, 1)]
    return [pa.array(values, field.type) for values, field in zip(columns, TAG_FIELDS, strict=True)]


def retag(root: Path, model: LoadedModel) -> None:
    """Give rows whose tags were made by another list new ones, from their stored vectors.

    Decodes nothing, and reads nothing but footers if the list is the same. Without a list, they get the
    model's own tags.
    """
    if model.tags_of is None:
        return
    fields = tag_fields(model)
    for part in list_parts(root):
        if _list_of(part.schema()) == _list_of(pa.schema(fields)):
            continue
        rows = part.items()
        columns = tag_columns(model.tags_of(model.tag_list, matrix(rows["embedding"])))
        rows = rows.select([name for name in rows.column_names if name not in pa.schema(fields).names])
        for field, column in zip(fields, columns, strict=True):
            rows = rows.append_column(field, column)
        part.write(rows)


def _list_of(schema: pa.Schema) -> bytes | None:
    """What the columns say about the list of their tags; None if there is none."""
    place = schema.get_field_index(TAG_FIELDS[0].name)
    return None if place < 0 else (schema.field(place).metadata or {}).get(_LIST_KEY)
