"""Flags for resizing images, for several commands."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lookalike.cli.arguments import add_decoding_memory, add_max_megapixels, add_threads, positive

if TYPE_CHECKING:
    from lookalike.acquire.resize import Resize


def add_resize(parser: argparse.ArgumentParser) -> None:
    """Add the flags for the size of the images."""
    group = parser.add_argument_group("images")
    group.add_argument("--size", type=positive, metavar="PX", help="resize to this (default: keep the size)")
    group.add_argument(
        "--resize",
        choices=["keep", "border", "crop", "none"],
        default="keep",
        help="keep: the shorter side becomes the size (default); border: the longer side, and white makes it "
        "a square; crop: the central square",
    )
    group.add_argument("--enlarge", action="store_true", help="enlarge smaller images too")
    add_max_megapixels(group)
    add_decoding_memory(group)
    add_threads(group)


def resize_options(options: argparse.Namespace) -> Resize:
    """The resizing that the flags ask for."""
    from lookalike.acquire.resize import Resize

    return Resize(options.size, options.resize, options.enlarge, options.max_megapixels)
