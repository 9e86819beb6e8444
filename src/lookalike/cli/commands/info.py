"""lookalike info: what a collection holds."""

from __future__ import annotations

import argparse
from typing import Any

from lookalike.cli.arguments import add_collection, add_json

SUMMARY = "what a collection holds"
EXAMPLE = "lookalike info photos.lookalike"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_collection(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    from lookalike.cli.output import print_json
    from lookalike.collection import open_collection

    collection = open_collection(options.collection)
    labels = collection.items(["label"])["label"].value_counts().to_pylist()
    size = sum(path.stat().st_size for path in collection.path.rglob("*") if path.is_file())
    facts: dict[str, Any] = {
        "collection": str(collection.path),
        "images": len(collection),
        "failures": collection.failures().num_rows,
        "parts": len(collection.parts()),
        "bytes": size,
        "model": collection.manifest.model.name,
        "dimensions": collection.manifest.model.dim,
        "dtype": collection.manifest.dtype,
        "sources": list(collection.manifest.sources),
        "labels": {one["values"]: one["counts"] for one in labels if one["values"] is not None},
        "fingerprint": collection.fingerprint(),
    }
    if options.json:
        print_json(facts)
        return 0
    shown = {
        **facts,
        "bytes": f"{size:,} ({size / 1e6:.1f} MB)",
        "sources": ", ".join(facts["sources"]),
        "labels": ", ".join(f"{label} {count:,}" for label, count in sorted(facts["labels"].items())),
    }
    for name, value in shown.items():
        print(f"{name:12}  {value:,}" if isinstance(value, int) else f"{name:12}  {value}")
    return 0
