"""lookalike train: a better model from labels."""

from __future__ import annotations

import argparse
import shlex

from lookalike.cli.arguments import add_collection, add_json, add_max_memory
from lookalike.cli.events import add_events, train_events

SUMMARY = "learn a better model from labels"
EXAMPLE = "lookalike train photos.lookalike --label label -o my-model/"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_collection(parser)
    parser.add_argument("--label", metavar="COLUMN", help="learn from the labels in this column")
    parser.add_argument("-o", "--out", metavar="FOLDER", required=True, help="where to keep the model")
    parser.add_argument("--name", help="what to call it (default: the name of the folder)")
    parser.add_argument("--method", default="auto", help="how to learn (default: auto, the best of all)")
    parser.add_argument(
        "--for",
        dest="for_",
        choices=["same", "new"],
        default="same",
        help="what will be searched for: the same classes (default), or new ones",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="another seed holds out other pictures (default: 0)"
    )
    add_events(parser)
    add_max_memory(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from lookalike.cli.output import print_json, say, show
    from lookalike.cli.progress import Progress
    from lookalike.collection import open_collection, train
    from lookalike.errors import NoGainError
    from lookalike.learning.saving import check_free

    check_free(options.out)
    if options.events:
        return train_events(options)
    collection = open_collection(options.collection)
    try:
        with Progress("learning") as progress:
            learned = train(
                collection,
                label=options.label,
                method=options.method,
                for_=options.for_,
                seed=options.seed,
                max_memory_bytes=options.max_memory_bytes,
                on_progress=progress,
            )
    except NoGainError as error:
        if options.json:
            print_json({"path": None, "report": asdict(error.report)})
        raise
    model = learned.save(options.out, options.name)
    if options.json:
        print_json({"path": model.path, **model.spec.to_fields(), "report": asdict(learned.report)})
    else:
        show(str(learned.report))
    say(
        f"use it: lookalike build {shlex.quote(options.collection)} --model {shlex.quote(options.out)} "
        "-c NEW.lookalike"
    )
    return 0
