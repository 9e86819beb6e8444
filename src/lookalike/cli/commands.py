"""What each command calls and prints; one function a command, named like it."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lookalike.builder import Report
from lookalike.builder import build as build_collection
from lookalike.cli.progress import Progress
from lookalike.collection import Collection, is_collection, open_collection
from lookalike.errors import SourceError
from lookalike.index import build_index, index_state, refresh
from lookalike.query import Id, parse_query
from lookalike.results import Results, jsonable


def build(options: argparse.Namespace) -> int:
    collection, report = _build(options, options.part_size)
    if options.json:
        counts = {name: getattr(report, name) for name in Report.__slots__}
        _print_json({"collection": str(collection.path), **counts})
    return 0 if len(collection) else 1


def open(options: argparse.Namespace) -> int:
    if is_collection(Path(options.source)):
        return _serve(open_collection(options.source), options)
    collection, _ = _build(options)
    return _serve(collection, options) if len(collection) else 1


def search(options: argparse.Namespace) -> int:
    collection = open_collection(options.collection)
    query = parse_query(options.query, options.unlike)
    results = collection.search(query, k=options.k, where=options.where, include_query=options.include_query)
    _say_if_stale(collection)
    asked = {"query": options.query, "not": options.unlike}
    _print_found({name: words for name, words in asked.items() if words}, results, options.json)
    if len(results) < options.k:
        matching = f"no more than {len(results):,} match" if options.where else "that is all of them"
        _say(f"the collection has {len(collection):,} images; {matching}")
    return 0 if results else 1


def recommend(options: argparse.Namespace) -> int:
    collection = open_collection(options.collection)
    liked, disliked = ([parse_query([word]) for word in words] for words in (options.liked, options.disliked))
    results = collection.recommend(liked, disliked, options.k, where=options.where, diverse=options.diverse)
    _say_if_stale(collection)
    _print_found({"liked": options.liked, "disliked": options.disliked}, results, options.json)
    return 0 if results else 1


def index(options: argparse.Namespace) -> int:
    collection = open_collection(options.collection)
    with Progress("indexing") as progress:
        built = build_index(
            collection,
            options.type,
            max_memory_bytes=options.max_memory,
            min_recall=options.min_recall,
            on_progress=progress,
        )
    if options.json:
        _print_json(asdict(built))
        return 0
    print(f"{built.kind}: {built.reason}")
    print(
        f"recall@10 {built.recall:.3f}, {built.latency_ms:.2f} ms a query, "
        f"{built.bytes / 1e6:.1f} MB, built in {built.build_s:.1f} s"
    )
    return 0


def import_(options: argparse.Namespace) -> int:
    from lookalike.vector_files import import_vectors

    collection = import_vectors(
        options.source, options.collection, metadata=options.metadata, model=options.model
    )
    dim = collection.manifest.model.dim
    if options.json:
        _print_json({"collection": str(collection.path), "vectors": len(collection), "dimensions": dim})
    _say(f"{len(collection):,} vectors of {dim:,} dimensions in {collection.path}")
    return 0


def serve(options: argparse.Namespace) -> int:
    return _serve(open_collection(options.collection), options)


def demo(options: argparse.Namespace) -> int:
    from lookalike.demo import write_images

    with (
        nullcontext(options.out)
        if options.out
        else tempfile.TemporaryDirectory(prefix="lookalike-demo-") as folder
    ):
        images = Path(folder) / options.dataset
        with Progress("drawing") as progress:
            write_images(options.dataset, images, options.count, progress)
        with Progress("embedding") as progress:
            collection = build_collection(
                images, images.with_suffix(".lookalike"), label="folder", on_progress=progress
            )
        if not options.no_serve:
            return _serve(collection, options)
        query = collection.items(["id"])["id"][0].as_py()
        _say(f"lookalike search {collection.path.name} id:{query}")
        _print_results(collection.search(Id(query), include_query=True))
    return 0


def info(options: argparse.Namespace) -> int:
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
        _print_json(facts)
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


def failures(options: argparse.Namespace) -> int:
    rows = open_collection(options.collection).failures().to_pylist()
    if options.json:
        _print_json(rows)
        return 0
    for row in rows:
        print(f"{row['stage']:8}  {row['id']}  {row['error']}")
    _say(f"{len(rows):,} images failed; build again once they are mended" if rows else "no image failed")
    return 0


def verify(options: argparse.Namespace) -> int:
    collection = open_collection(options.collection)
    problems = list(collection.verify())
    if options.json:
        _print_json({"collection": str(collection.path), "problems": problems})
    else:
        for problem in problems:
            print(problem)
    if not problems:
        _say(f"{collection.path}: {len(collection):,} images, nothing wrong")
        return 0
    _say(f"{len(problems):,} problems; remove a damaged part's items file and build again to mend it")
    return 1


def _build(options: argparse.Namespace, part_size: int = 1024) -> tuple[Collection, Report]:
    """Build, then say what was done."""
    path = options.collection or _beside(Path(options.source))
    reports: list[Report] = []
    with Progress("embedding") as progress:
        collection = build_collection(
            options.source,
            path,
            model=options.model,
            label=options.label,
            metadata=options.metadata,
            device=options.device,
            dtype=options.dtype,
            threads=options.threads,
            part_size=part_size,
            max_megapixels=options.max_megapixels,
            rebuild=options.rebuild,
            on_progress=progress,
            on_done=reports.append,
        )
    (report,) = reports
    if index_state(collection) == "stale":
        with Progress("indexing") as progress:
            refresh(collection, on_progress=progress)
    counts = {
        "embedded": report.embedded,
        "unchanged": report.unchanged,
        "removed": report.removed,
        "failed": report.failed,
    }
    said = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count or name == "embedded")
    _say(f"{said} (see: lookalike failures {shlex.quote(str(path))})" if report.failed else said)
    return collection, report


def _beside(source: Path) -> Path:
    """Where the collection of a source is kept by default."""
    folder = source if source.name not in ("", "..") else source.resolve()
    if not folder.name:
        raise SourceError(f"{source} has no name for its collection", "say where to keep it with -c")
    return folder.with_name(folder.name + ".lookalike")


def _serve(collection: Collection, options: argparse.Namespace) -> int:
    from lookalike.server import serve as serve_collection

    def ready(url: str) -> None:
        _say(f"{len(collection):,} images at {url} (Ctrl-C stops)")

    serve_collection(
        [collection],
        host=options.host,
        port=options.port,
        open_browser=not options.no_browser,
        on_ready=ready,
    )
    return 0


def _say_if_stale(collection: Collection) -> None:
    if index_state(collection) == "stale":
        path = shlex.quote(str(collection.path))
        _say(f"the index is older than the collection, so the search was exact; lookalike index {path}")


def _print_found(asked: dict[str, Any], results: Results, as_json: bool) -> None:
    if as_json:
        _print_json({**asked, "hits": [hit.as_dict() for hit in results]})
    else:
        _print_results(results)


def _print_results(results: Results) -> None:
    width = max((len(hit.label or "") for hit in results), default=0)
    for rank, hit in enumerate(results, 1):
        tags = f"  ({', '.join(hit.tags)})" if hit.tags else ""
        print(f"{rank:4}  {hit.score:6.3f}  {hit.label or '':{width}}  {hit.id}{tags}")


def _print_json(value: Any) -> None:
    print(json.dumps(jsonable(value), indent=2, ensure_ascii=False, default=str))


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
