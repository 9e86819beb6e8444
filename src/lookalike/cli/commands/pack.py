"""lookalike pack: many images into shards, and back."""

from __future__ import annotations

import argparse

from lookalike.cli.arguments import add_images, add_json, positive

SUMMARY = "write the images of a source as shards, or as files again"
EXAMPLE = "lookalike pack photos/ shards/ --format tar"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_images(parser)
    parser.add_argument("out", metavar="OUT", help="a new folder, or one where an earlier pack stopped")
    parser.add_argument(
        "--format",
        choices=["tar", "tfrecord", "parquet", "folder"],
        default="tar",
        help="what to write (default: tar)",
    )
    parser.add_argument(
        "--images-per-shard",
        type=positive,
        default=10_000,
        metavar="N",
        help="images in each shard (default: 10000)",
    )
    parser.add_argument("--count", type=positive, metavar="N", help="take only the first N images")
    parser.add_argument("--by-label", action="store_true", help="put each image into the folder of its label")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    from lookalike.acquire.pack import pack
    from lookalike.cli.output import say_packed
    from lookalike.cli.progress import Progress

    with Progress("packing") as progress:
        report = pack(
            options.source,
            options.out,
            format=options.format,
            images_per_shard=options.images_per_shard,
            label=options.label,
            metadata=options.metadata,
            count=options.count,
            by_label=options.by_label,
            image_column=options.image_column,
            name_column=options.name_column,
            on_progress=progress,
        )
    return say_packed(report, options)
