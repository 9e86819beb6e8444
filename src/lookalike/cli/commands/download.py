"""lookalike download: writes images of a list of URLs, a named data set or any other source as shards."""

from __future__ import annotations

import argparse

from lookalike.cli.arguments import add_json, add_shards, names
from lookalike.cli.network import add_network, fetch_options
from lookalike.cli.resizing import add_resize, resize_options

SUMMARY = "download the images of a list of URLs, or of a data set, into shards; resumes where it stopped"
EXAMPLE = "lookalike download urls.csv shards/ --url-column url --metadata-columns caption,license --size 256"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="a list of URLs: txt, csv, tsv, json, jsonl (each also .gz, .bz2, .xz, .zst) or parquet; - for "
        "URLs on the standard input; tfds:NAME or hf:OWNER/NAME for a data set; any other source of pack",
    )
    add_shards(parser, 1000, "URLs")
    parser.add_argument(
        "--url-column", metavar="COLUMN", help="the column with the URLs (default: url, or one like it)"
    )
    parser.add_argument(
        "--metadata-columns", metavar="A,B", type=names, help="columns to keep (default: all; '' for none)"
    )
    parser.add_argument(
        "--retry-failed", action="store_true", help="take only the URLs that failed, into new shards"
    )
    parser.add_argument("--label", metavar="RULE", help="labels for a folder or data set, as in pack")
    parser.add_argument(
        "--by-label", action="store_true", help="put each image of a data set into the folder of its label"
    )
    add_resize(parser)
    add_network(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    from lookalike.sources.opening import lists_urls

    return _urls(options) if lists_urls(options.source, options.url_column) else _pack(options)


def _urls(options: argparse.Namespace) -> int:
    from lookalike.acquire.download import download
    from lookalike.cli.live import DownloadTable, summary
    from lookalike.cli.output import print_json, say
    from lookalike.errors import LookalikeError

    for name in ("label", "by_label"):
        if getattr(options, name):
            flag = "--" + name.replace("_", "-")
            raise LookalikeError(
                f"{flag} is for data sets, and {options.source} is a list of URLs",
                f"download it, then: lookalike pack {options.out} FOLDER --format folder --by-label",
            )
    with DownloadTable() as table:
        report = download(
            options.source,
            options.out,
            url_column=options.url_column,
            metadata_columns=options.metadata_columns,
            format=options.format,
            resize=resize_options(options),
            fetch=fetch_options(options),
            shard_size=options.shard_size,
            count=options.count,
            retry_failed=options.retry_failed,
            threads=options.threads,
            max_memory_bytes=options.max_memory_bytes,
            on_progress=table,
        )
    if options.json:
        print_json(report.as_dict())
    if not (report.succeeded or report.failed or report.duplicates):
        say("nothing is left to download")
        return 0
    errors = ", ".join(f"{count:,} {kind}" for kind, count in report.errors.items())
    again = "--retry-failed" + (" --allow-private" if "private-address" in report.errors else "")
    say(summary(report) + (f" (failed: {errors}; try them again with {again})" if errors else ""))
    return 0 if report.succeeded or not report.failed else 1


def _pack(options: argparse.Namespace) -> int:
    """Pack a source other than a list of URLs: its own library fetches it, or it is already here."""
    from lookalike.cli.packing import pack_and_say
    from lookalike.errors import LookalikeError

    for name in ("retry_failed", "url_column", "metadata_columns"):
        if getattr(options, name):
            flag = "--" + name.replace("_", "-")
            raise LookalikeError(
                f"{flag} is only for lists of URLs, and {options.source} is not one", "leave it out"
            )
    return pack_and_say(options)
