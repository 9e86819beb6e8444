"""lookalike download: images from a list of URLs, or from a data set, into shards."""

from __future__ import annotations

import argparse

from lookalike.cli.arguments import add_decoding_memory, add_json, names, positive
from lookalike.cli.network import add_network, fetch_options

SUMMARY = "download images from a list of URLs into shards; goes on where it stopped"
EXAMPLE = "lookalike download urls.csv shards/ --url-column url --metadata-columns caption,license --size 256"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="a list of URLs: txt, csv, tsv, json, jsonl (each also .gz, .bz2, .xz, .zst) or parquet; - for "
        "URLs on the standard input; tfds:NAME or hf:OWNER/NAME for a data set",
    )
    parser.add_argument("out", metavar="OUT", help="the folder of the shards")
    parser.add_argument("--url-column", metavar="NAME", help="(default: url, or the like)")
    parser.add_argument(
        "--metadata-columns", metavar="A,B", type=names, help="columns to keep (default: all; '' for none)"
    )
    parser.add_argument(
        "--format", choices=["tar", "parquet", "tfrecord", "folder"], default="tar", help="(default: tar)"
    )
    parser.add_argument("--count", type=positive, metavar="N", help="take the first N rows only")
    parser.add_argument(
        "--retry-failed", action="store_true", help="take only the URLs that failed, into new shards"
    )
    parser.add_argument("--shard-size", type=positive, default=1000, metavar="N", help="URLs a shard (1000)")
    _add_images(parser)
    add_network(parser)
    add_json(parser)


def _add_images(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("images")
    group.add_argument(
        "--size", type=positive, metavar="PX", help="resize to this (default: kept as they are)"
    )
    group.add_argument(
        "--resize",
        choices=["keep", "border", "crop", "none"],
        default="keep",
        help="keep: the shorter side becomes the size (default); border: the longer side, and white makes it "
        "a square; crop: the central square",
    )
    group.add_argument("--enlarge", action="store_true", help="enlarge smaller images too")
    group.add_argument("--max-megapixels", type=float, default=200.0, metavar="MP", help="(default: 200)")
    add_decoding_memory(group)
    group.add_argument("--threads", type=positive, metavar="N", help="that decode (default: one a core)")


def run(options: argparse.Namespace) -> int:
    if options.source.startswith(("tfds:", "hf:")):
        return _dataset(options)
    from lookalike.acquire.download import download
    from lookalike.acquire.resize import Resize
    from lookalike.cli.live import DownloadTable, summary
    from lookalike.cli.output import print_json, say

    with DownloadTable() as table:
        report = download(
            options.source,
            options.out,
            url_column=options.url_column,
            metadata_columns=options.metadata_columns,
            format=options.format,
            resize=Resize(options.size, options.resize, options.enlarge, options.max_megapixels),
            fetch=fetch_options(options),
            shard_size=options.shard_size,
            count=options.count,
            retry_failed=options.retry_failed,
            threads=options.threads,
            max_memory_bytes=options.max_memory,
            on_progress=table,
        )
    if options.json:
        print_json(report.as_dict())
    if not (report.succeeded or report.failed or report.duplicates):
        say("nothing is left to download")
        return 0
    errors = ", ".join(f"{count:,} {kind}" for kind, count in report.errors.items())
    say(summary(report) + (f" (failed: {errors}; try them again with --retry-failed)" if errors else ""))
    return 0 if report.succeeded or not report.failed else 1


def _dataset(options: argparse.Namespace) -> int:
    """A data set by name has no URLs to fetch one by one: its library gets it, and it is packed."""
    from lookalike.acquire.pack import pack
    from lookalike.cli.output import say_packed
    from lookalike.cli.progress import Progress
    from lookalike.errors import LookalikeError

    for name in ("size", "enlarge", "retry_failed", "url_column", "metadata_columns"):
        if getattr(options, name):
            flag = "--" + name.replace("_", "-")
            raise LookalikeError(f"{flag} is for lists of URLs, and {options.source} is none", "leave it out")
    with Progress("packing") as progress:
        report = pack(
            options.source,
            options.out,
            format=options.format,
            images_per_shard=options.shard_size,
            count=options.count,
            on_progress=progress,
        )
    return say_packed(report, options)
