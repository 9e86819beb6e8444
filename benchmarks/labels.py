"""Pictures with known answers, for the benchmarks of what is claimed: collections, words and tags.

Each data set is a folder of pictures that somebody has; what is known of it stands in `labels.json`: by label
the tags that are right, the words of which there is a picture, and those of which there may be one.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lookalike
from lookalike.demo.flowers import write_flowers

KNOWN: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "labels.json").read_text())
NAMES = ("flowers", "clothing", "grocery", "stamps", "drawn")


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """A parser with an option for the folder of each data set."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in NAMES[:-1]:
        parser.add_argument(f"--{name}", type=Path, metavar="FOLDER", help=KNOWN[name]["what"])
    return parser


def collections(
    options: argparse.Namespace, root: Path
) -> Iterator[tuple[str, lookalike.Collection, list[str]]]:
    """Of each data set that was given, and of drawn flowers: name, collection, and each item's label."""
    write_flowers(root / "drawn", count=400)
    folders = {name: getattr(options, name) for name in NAMES[:-1]} | {"drawn": root / "drawn"}
    for name, folder in folders.items():
        if folder is not None:
            made = lookalike.build(folder, root / f"{name}.lookalike")
            yield name, made, [_label(name, id_) for id_ in made.items(["id"])["id"].to_pylist()]


def _label(name: str, id_: str) -> str:
    found = re.search(KNOWN[name]["label"], id_)
    assert found, id_
    return found[1]


def is_right(name: str, label: str, id_: str, tag: str) -> bool:
    """Whether a tag is right for a picture: by its label, or by what is known of its id."""
    known = KNOWN[name]
    if tag in known["tags"].get(label, known["tags"].get("*", ())):
        return True
    return any(
        re.search(pattern, id_, re.IGNORECASE) and tag in tags for pattern, tags in known["ids"].items()
    )
