"""lookalike import: makes a collection from vectors made elsewhere."""

from __future__ import annotations

import argparse

from lookalike.cli.arguments import add_json
from lookalike.errors import counted

SUMMARY = "make a collection from vectors made elsewhere"
EXAMPLE = "lookalike import vectors.npy -c mine.lookalike --metadata rows.parquet"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="a .npy file, Parquet with a column `embedding`, or a folder of an export, of "
        "clip-retrieval or of image_embeddings",
    )
    parser.add_argument("-c", "--collection", metavar="C", required=True, help="the collection to make")
    parser.add_argument("--metadata", metavar="FILE", help="Parquet or CSV, a row for each vector of a .npy")
    parser.add_argument("--model", default="imported", help="the name of the model that made the vectors")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    from lookalike.cli.output import print_json, say
    from lookalike.collection import import_vectors

    collection = import_vectors(
        options.source, options.collection, metadata=options.metadata, model=options.model
    )
    dim = collection.manifest.model.dim
    if options.json:
        print_json({"collection": str(collection.path), "vectors": len(collection), "dimensions": dim})
    say(f"{counted(len(collection), 'vector')} of {dim:,} dimensions in {collection.path}")
    return 0
