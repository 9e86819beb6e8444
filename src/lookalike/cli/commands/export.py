"""lookalike export: writes a collection as a static site, or as files for other tools."""

from __future__ import annotations

import argparse
import shlex
import time
from pathlib import Path

from lookalike.cli.arguments import add_collection, add_json, positive
from lookalike.errors import counted

SUMMARY = "write a site of static files, or files for other tools"
EXAMPLE = "lookalike export photos.lookalike site/ --to site --with-model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_collection(parser)
    parser.add_argument("target", metavar="FOLDER", help="the folder to make")
    parser.add_argument(
        "--to",
        choices=["site", "npy", "parquet", "clip-retrieval", "image-embeddings"],
        default="site",
        help="a site that any web host serves (default); vectors.npy and metadata.parquet; Parquet with the "
        "vectors in it; a folder as clip-retrieval writes it; folders as the original image_embeddings does",
    )
    parser.add_argument(
        "--with-model",
        action="store_true",
        help="let the site's visitors search by their own pictures, and by any text if the model reads it",
    )
    parser.add_argument(
        "--with-exif",
        action="store_true",
        help="publish when, where and with which camera the pictures were taken, which a site leaves out",
    )
    parser.add_argument(
        "--onnxruntime-web",
        metavar="FOLDER",
        help="an unpacked onnxruntime-web, which runs the model (default: npm fetches it once)",
    )
    parser.add_argument(
        "--tokenizers-js",
        metavar="FOLDER",
        help="an unpacked @huggingface/tokenizers, for a model that reads any text (default: npm fetches it "
        "once)",
    )
    parser.add_argument(
        "--images",
        action="store_true",
        help="for image-embeddings: add images/NAME.jpeg, which its page shows",
    )
    parser.add_argument("--max-items", type=positive, metavar="N", help="export only the first N items")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    from lookalike.cli.output import print_json, say
    from lookalike.cli.progress import Progress
    from lookalike.collection import open_collection
    from lookalike.errors import LookalikeError
    from lookalike.export import export_image_embeddings, export_site, export_tables

    if options.images and options.to != "image-embeddings":
        raise LookalikeError("--images works only with --to image-embeddings", "leave it out")
    snapshot = open_collection(options.collection).snapshot
    started = time.monotonic()
    with Progress("exporting") as progress:
        common = {"max_items": options.max_items, "on_progress": progress}
        if options.to == "site":
            common |= {"with_model": options.with_model, "with_exif": options.with_exif}
            common |= {"onnxruntime_web": options.onnxruntime_web}
            common |= {"tokenizers_js": options.tokenizers_js}
            folder = export_site(snapshot, options.target, **common)
        elif options.to == "image-embeddings":
            folder = export_image_embeddings(snapshot, options.target, images=options.images, **common)
        else:
            folder = export_tables(snapshot, options.target, options.to, **common)
    files = [path for path in folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    if options.json:
        print_json({"folder": str(folder), "to": options.to, "files": len(files), "bytes": size})
    say(
        f"{counted(len(files), 'file')}, {size / 1e6:.1f} MB in {folder}, "
        f"in {time.monotonic() - started:.1f} s"
    )
    if options.to == "site":
        say(f"look at it: {_look(folder)}; publish it by copying the folder to any web host")
    return 0


def _look(folder: Path) -> str:
    """The command to view a site locally, because browsers let no page read the files beside it."""
    return f"python -m http.server --bind 127.0.0.1 -d {shlex.quote(str(folder))}"
