"""lookalike models: the models that are known by name."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from lookalike.cli.arguments import add_json

SUMMARY = "list the models that are known by name"
EXAMPLE = "lookalike models"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    from lookalike.cli.output import print_json, say, show
    from lookalike.models.known import KNOWN_MODELS, PUBLISHED_MODELS, KnownModel, PublishedModel
    from lookalike.models.published import is_here

    here = {one.name: is_here(one) for one in PUBLISHED_MODELS}
    if options.json:
        listed = [asdict(one) for one in KNOWN_MODELS]
        built_in = [{name: value for name, value in one.items() if name != "module"} for one in listed]
        print_json([*built_in, *({**asdict(one), "here": here[one.name]} for one in PUBLISHED_MODELS)])
        return 0
    show(f"{'name':18}  dimensions  size    words  license     where              what for")
    for one in (*KNOWN_MODELS, *PUBLISHED_MODELS):
        if isinstance(one, PublishedModel) and not here[one.name]:
            where = f"{one.download_mb:,} MB to fetch"
        else:
            where = "here"
        extra = f" (needs the extra {one.extra})" if isinstance(one, KnownModel) and one.extra else ""
        words = "yes" if one.words else "no"
        facts = f"{one.name:18}  {one.dim:10,}  {one.size_px:3} px  {words:5}  {one.license:10}"
        show(f"{facts}  {where:17}  {one.purpose}{extra}")
    say(
        "others: timm:NAME, hf:ORG/NAME and open_clip:NAME/TAG, which are fetched; "
        "a network in an ONNX file, by its path (see lookalike model add --help)"
    )
    return 0
