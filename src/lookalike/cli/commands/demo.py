"""lookalike demo: the whole tour, on images that it draws."""

from __future__ import annotations

import argparse
import tempfile
from contextlib import nullcontext
from pathlib import Path

from lookalike.cli.arguments import add_decoding_memory, add_page, positive

SUMMARY = "try it at once, on flowers that it draws itself"
EXAMPLE = "lookalike demo"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dataset",
        choices=["flowers", "digits"],
        default="flowers",
        help="drawn flowers, or scikit-learn's digits",
    )
    parser.add_argument(
        "--count", type=positive, default=240, metavar="N", help="how many images to draw (default: 240)"
    )
    parser.add_argument("--out", metavar="FOLDER", help="keep the images and the collection here")
    parser.add_argument("--no-serve", action="store_true", help="print one search and exit")
    add_page(parser)
    add_decoding_memory(parser)


def run(options: argparse.Namespace) -> int:
    from lookalike.cli.output import print_results, say
    from lookalike.cli.progress import Progress
    from lookalike.cli.serving import serve
    from lookalike.cli.views import make_views
    from lookalike.collection import build
    from lookalike.demo.images import LABEL, write_images
    from lookalike.search.query import Id

    with (
        nullcontext(options.out)
        if options.out
        else tempfile.TemporaryDirectory(prefix="lookalike-demo-") as folder
    ):
        images = Path(folder) / options.dataset
        with Progress("drawing") as progress:
            write_images(options.dataset, images, options.count, progress)
        with Progress("embedding") as progress:
            target = images.with_suffix(".lookalike")
            collection = build(images, target, label=LABEL, on_progress=progress)
        if not options.no_serve:
            make_views(collection)
            say(_where(collection.path, kept=bool(options.out)))
            say("with your own pictures: lookalike PHOTOS/")
            return serve([collection], options)
        query = collection.items(["id"])["id"][0].as_py()
        say(f"lookalike search {collection.path.name} id:{query}")
        print_results(collection.search(Id(query), include_query=True))
    return 0


def _where(path: Path, kept: bool) -> str:
    return f"everything is in {path.parent}" + ("" if kept else ", until you stop it; --out FOLDER keeps it")
