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
    from lookalike.models.known import KNOWN_MODELS

    if options.json:
        listed = [asdict(one) for one in KNOWN_MODELS]
        print_json([{name: value for name, value in one.items() if name != "module"} for one in listed])
        return 0
    show(f"{'name':18}  dimensions  size    words  license     what for")
    for one in KNOWN_MODELS:
        words = "yes" if one.words else "no"
        facts = f"{one.name:18}  {one.dim:10,}  {one.size_px:3} px  {words:5}  {one.license:10}"
        show(f"{facts}  {one.purpose}{f' (needs the extra {one.extra})' if one.extra else ''}")
    say("others: a network in an ONNX file, by its path; see lookalike model add --help")
    return 0
