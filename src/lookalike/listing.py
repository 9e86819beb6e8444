"""What a source holds right now: its samples by id, with the labels and metadata that a build adds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from lookalike.errors import SourceError
from lookalike.labels import Metadata, label_rule, read_metadata
from lookalike.samples import Failure, Sample
from lookalike.sources import Source

# `label` and `metadata` as the user gave them; None where there is none.
Options = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Listing:
    """The samples of one source by id, what could not be listed, and the types of the metadata."""

    source_uri: str
    options: Options
    samples: Mapping[str, Sample]
    failures: list[Failure]
    types: Mapping[str, pa.DataType]


def list_source(source: Source, options: Options) -> Listing:
    """List a source and describe its samples; raises `SourceError` where that cannot be what is meant.

    No image at all, metadata that matches no image, or a rule that labels none are such cases.
    """
    samples, failures = _by_id(source.samples())
    if not samples:
        raise SourceError(f"no images in {source}", "; ".join(one.error for one in failures[:1]))
    types: dict[str, pa.DataType] = {}
    if table := options.get("metadata"):
        metadata = read_metadata(Path(table))
        samples = _joined(samples, metadata, table)
        types |= metadata.types
    if rule := options.get("label"):
        samples = _labelled(samples, rule)
        types["label"] = pa.string()
    return Listing(source.uri, options, samples, failures, types)


def _by_id(entries: Iterable[Sample | Failure]) -> tuple[dict[str, Sample], list[Failure]]:
    """Of two samples with one id the second is a failure."""
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
