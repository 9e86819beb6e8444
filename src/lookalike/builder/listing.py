"""The listing of a source: its samples by id, with the labels and metadata that a build adds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from lookalike.builder.labels import Metadata, label_rule, read_metadata
from lookalike.errors import SourceError
from lookalike.sources.notes import MEASURED
from lookalike.sources.opening import Source
from lookalike.sources.sample import Sample
from lookalike.storage.parts import Failure

# `label` and `metadata` as the user gave them; None if not given.
Options = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Listing:
    """The samples of one source by id, what could not be listed, and the types of the metadata.

    `scope` and `unlisted` are prefixes of URIs: those the listing covers, and those it could not see.
    `passed_over` counts the files that are not named like pictures, by the ending of their names.
    """

    source_uri: str
    scope: tuple[str, ...]
    unlisted: tuple[str, ...]
    options: Options
    samples: Mapping[str, Sample]
    failures: list[Failure]
    types: Mapping[str, pa.DataType]
    passed_over: Mapping[str, int] = field(default_factory=dict)

    def tells_gone(self, uri: str) -> bool:
        """Whether the listing shows that an image it does not contain is gone."""
        return uri.startswith(self.scope) and not uri.startswith(self.unlisted)


def list_source(source: Source, options: Options, *, with_measured: bool = False) -> Listing:
    """List a source and describe its samples.

    `with_measured` keeps the types of the width, height and sha256 that our own shards state for their
    images; a build measures these itself.
    Raises `SourceError` for what must be a mistake: no images at all, metadata that matches no image, a label
    rule that labels none.
    """
    samples, failures = _by_id(source.samples())
    passed_over = dict(getattr(source, "passed_over", {}))
    if not samples:
        reasons = [f"{one.id}: {one.error}" for one in failures[:1]] or [said_of(passed_over)]
        raise SourceError(f"no images in {source}", "; ".join(filter(None, reasons)))
    samples, types = _typed(samples)
    if not with_measured:
        types = {name: type_ for name, type_ in types.items() if name not in MEASURED}
    if table := options.get("metadata"):
        if "://" in table:  # never opened, even if it could be: the manifest may come from someone else
            raise SourceError(
                f"cannot read the metadata {table}: it is not a file", "copy it to this machine first"
            )
        metadata = read_metadata(Path(table))
        samples = _joined(samples, metadata, table)
        types |= metadata.types
    if rule := options.get("label"):
        samples = _labelled(samples, rule)
        types["label"] = pa.string()
    unlisted = tuple(one.uri for one in failures if one.uri.endswith(("/", "#")))
    return Listing(source.uri, source.scope, unlisted, options, samples, failures, types, passed_over)


def said_of(passed_over: Mapping[str, int]) -> str:
    """The skipped files, as text; empty if none were."""
    most = sorted(passed_over.items(), key=lambda one: (-one[1], one[0]))
    named = ", ".join(f"{count:,} {suffix or 'without an ending'}" for suffix, count in most[:5])
    more = ", ..." if len(most) > 5 else ""
    total = sum(passed_over.values())
    return f"skipped {total:,} not named like pictures: {named}{more}" if total else ""


def _by_id(entries: Iterable[Sample | Failure]) -> tuple[dict[str, Sample], list[Failure]]:
    """Index the entries by id; the second of two samples with the same id becomes a failure."""
    samples: dict[str, Sample] = {}
    failures = []
    for entry in entries:
        if isinstance(entry, Failure):
            failures.append(entry)
        elif entry.id in samples:
            failures.append(entry.refused(f"the id is taken by {samples[entry.id].uri}"))
        else:
            samples[entry.id] = entry
    return samples, failures


def _typed(samples: dict[str, Sample]) -> tuple[dict[str, Sample], dict[str, pa.DataType]]:
    """Give each metadata column one type; returns the samples and the types. Mixed columns become text."""
    kinds: dict[str, set[type]] = {}
    for sample in samples.values():
        for name, value in sample.metadata.items():
            kinds.setdefault(name, set()).add(_kind(value))
    types = {name: _COLUMN_TYPES.get(frozenset(found), pa.string()) for name, found in kinds.items()}
    mixed = {name for name, found in kinds.items() if types[name] == pa.string() and found != {str}}
    if not mixed:
        return samples, types
    return {id_: _as_text(sample, mixed) for id_, sample in samples.items()}, types


def _kind(value: Any) -> type:
    fits = not isinstance(value, int) or -(2**63) <= value < 2**63
    return type(value) if fits else str


_COLUMN_TYPES = {
    frozenset({bool}): pa.bool_(),
    frozenset({int}): pa.int64(),
    frozenset({float}): pa.float64(),
    frozenset({int, float}): pa.float64(),
}


def _as_text(sample: Sample, names: set[str]) -> Sample:
    texts = {name: str(sample.metadata[name]) for name in names if name in sample.metadata}
    return replace(sample, metadata={**sample.metadata, **texts}) if texts else sample


def _joined(samples: dict[str, Sample], metadata: Metadata, name: str) -> dict[str, Sample]:
    if samples.keys().isdisjoint(metadata.rows):
        raise SourceError(
            f"no row of {name} matches an image: it names {next(iter(metadata.rows), 'nothing')!r}, "
            f"the source has {next(iter(samples))!r}"
        )
    none = dict.fromkeys(metadata.types)
    return {
        id_: replace(sample, metadata={**sample.metadata, **metadata.rows.get(id_, none)})
        for id_, sample in samples.items()
    }


def _labelled(samples: dict[str, Sample], rule: str) -> dict[str, Sample]:
    label_of = label_rule(rule)
    labels = {id_: label_of(id_) for id_ in samples}
    if not any(labels.values()):
        raise SourceError(
            f"the label rule {rule!r} gives no image a label",
            f"an image is {next(iter(samples))!r}",
        )
    return {
        id_: replace(sample, metadata={**sample.metadata, "label": labels[id_]})
        for id_, sample in samples.items()
    }
