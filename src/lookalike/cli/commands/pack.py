"""lookalike pack: packs many images into shards, and unpacks them."""

from __future__ import annotations

import argparse

from lookalike.cli.arguments import add_images, add_json, add_shards
from lookalike.cli.resizing import add_resize

SUMMARY = "write the images of a source as shards, or as files again"
EXAMPLE = "lookalike pack photos/ shards/ --format tar --size 256"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_images(parser)
    add_shards(parser, 10_000, "images")
    parser.add_argument("--by-label", action="store_true", help="put each image into the folder of its label")
    parser.add_argument(
        "--bare-names",
        action="store_true",
        help="name images without folder and ending, as the original image_embeddings does",
    )
    add_resize(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    from lookalike.cli.packing import pack_and_say

    return pack_and_say(
        options,
        metadata=options.metadata,
        bare_names=options.bare_names,
        image_column=options.image_column,
        name_column=options.name_column,
    )
