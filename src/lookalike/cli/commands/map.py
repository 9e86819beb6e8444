"""lookalike map: places all images in a plane."""

from __future__ import annotations

import argparse

from lookalike.cli.arguments import add_collection, add_json, add_max_memory, positive

SUMMARY = "make a map with similar images close together"
EXAMPLE = "lookalike map photos.lookalike --method umap --color label --out map.png"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_collection(parser)
    parser.add_argument(
        "--method", choices=["pca", "umap"], default="pca", help="pca is fast (default), umap shows groups"
    )
    parser.add_argument("--seed", type=int, default=0, help="another seed gives another umap (default: 0)")
    parser.add_argument("--color", metavar="COLUMN", help="colour the dots by the values of this column")
    parser.add_argument("--out", metavar="FILE", help="draw the map as a PNG")
    parser.add_argument(
        "--size", type=positive, default=1600, metavar="PX", help="the width of the PNG (default: 1600)"
    )
    parser.add_argument("--no-thumbnails", action="store_true", help="draw dots only")
    add_max_memory(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    from pathlib import Path

    from lookalike.analysis.map import make_map, write_map
    from lookalike.cli.output import print_json, say
    from lookalike.collection import open_collection
    from lookalike.images.contact import png
    from lookalike.storage.files import write_bytes

    snapshot = open_collection(options.collection).snapshot
    placed = make_map(snapshot, options.method, seed=options.seed, max_memory_bytes=options.max_memory_bytes)
    write_map(snapshot.state, placed)
    if options.out:
        picture = placed.plot(options.color, size_px=options.size, thumbnails=not options.no_thumbnails)
        write_bytes(Path(options.out), png(picture))
        say(f"the map is in {options.out}")
    if options.json:
        places = zip(placed.ids, placed.places.tolist(), strict=True)
        print_json([{"id": id_, "x": x, "y": y} for id_, (x, y) in places])
    say(f"{len(placed.ids):,} places are in {snapshot.root / 'derived' / 'map.parquet'}")
    return 0
