"""lookalike models: the models that are known by name."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lookalike.cli.arguments import add_json

if TYPE_CHECKING:
    from lookalike.models.known import KnownModel, PublishedModel

SUMMARY = "list the models that are known by name"
EXAMPLE = "lookalike models"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    from lookalike.cli.output import print_json, say, show
    from lookalike.models.known import KNOWN_MODELS, PUBLISHED_MODELS

    listed = [_facts(one) for one in (*KNOWN_MODELS, *PUBLISHED_MODELS)]
    if options.json:
        print_json(listed)
        return 0
    show(f"{'name':18}  dimensions  picture  words  license     where              what for")
    for one in listed:
        extra = f" (needs the extra {one['extra']})" if one["extra"] else ""
        words = "yes" if one["words"] else "no"
        facts = f"{one['name']:18}  {one['dim']:10,}  {one['size_px']:4} px  {words:5}  {one['license']:10}"
        show(f"{facts}  {_where(one):17}  {one['purpose']}{extra}")
    say(
        "others: timm:NAME, hf:ORG/NAME and open_clip:NAME/TAG, which are fetched; "
        "a network in an ONNX file, by its path (see lookalike model add --help)"
    )
    return 0


def _facts(known: KnownModel | PublishedModel) -> dict[str, Any]:
    """What is listed of a model; of one in the package nothing has to be fetched."""
    from lookalike.models.known import KnownModel
    from lookalike.models.published import bytes_here, extra_of

    if isinstance(known, KnownModel):
        said = {name: value for name, value in asdict(known).items() if name != "module"}
        return {**said, "published": "", "repository": "", "download_mb": 0, "here": True}
    size = bytes_here(known)
    at = {"here_mb": round((size or 0) / 1e6, 1), "here": size is not None}
    return {**asdict(known), "extra": extra_of(known), **at}


def _where(one: dict[str, Any]) -> str:
    if not one["here"]:
        return f"{one['download_mb']:,} MB to fetch"
    return f"here, {one['here_mb']:,.1f} MB" if one["here_mb"] else "here"
