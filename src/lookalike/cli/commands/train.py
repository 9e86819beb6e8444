"""lookalike train: a better model from labels, pairs, triplets or events."""

from __future__ import annotations

import argparse
import shlex
from typing import Any

from lookalike.cli.arguments import add_collection, add_json, add_max_memory, positive
from lookalike.cli.events import EVENT_COLUMNS, add_events, train_events

SUMMARY = "learn a better model from labels, pairs, or what people like"
EXAMPLE = (
    "lookalike train photos.lookalike --label label -o my-model/\n"
    "  lookalike train photos.lookalike --label label -o my-model/ --method finetune\n"
    "  lookalike train photos.lookalike --pairs same.csv -o my-model/\n"
    "  lookalike train photos.lookalike --triplets order.csv -o my-model/ --method finetune\n"
    "  lookalike train photos.lookalike --events clicks.parquet -o taste/"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_collection(parser)
    parser.add_argument(
        "--label", metavar="COLUMN", help="learn from the labels in this column; folder: from the folders"
    )
    parser.add_argument(
        "--pairs",
        metavar="FILE",
        help="learn from pairs of the same thing: a Parquet or CSV file of two columns of ids, and perhaps a "
        "third: 1 for the same, 0 for different",
    )
    parser.add_argument(
        "--triplets",
        metavar="FILE",
        help="learn from three columns of ids: anchor, positive (like it) and negative (less like it)",
    )
    parser.add_argument("-o", "--out", metavar="FOLDER", required=True, help="where to keep the model")
    parser.add_argument("--name", help="what to call it (default: the name of the folder)")
    parser.add_argument(
        "--method",
        default="auto",
        help="how to learn: lda, whitening, scores, ridge, blend; contrastive, triplet, proxy, a layer that "
        "is trained with this loss; finetune, the network itself; or auto, the best that a few seconds "
        "allow (default: auto)",
    )
    _add_finetuning(parser)
    parser.add_argument(
        "--for",
        dest="for_",
        choices=["same", "new"],
        help="what will be searched for: the same classes (default), or new ones (default where most classes "
        "have fewer than four images)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="another seed holds out other pictures (default: 0)"
    )
    add_events(parser)
    add_max_memory(parser)
    add_json(parser)


def _add_finetuning(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("of --method finetune, which trains the network itself")
    group.add_argument(
        "--loss",
        help="cross-entropy, cosine, triplet, contrastive, proxy-anchor, or several joined by + "
        "(default: cosine+triplet; of pairs, contrastive; triplets have but one)",
    )
    group.add_argument("--model", help="efficientnet-lite0 (default) or timm:NAME")
    group.add_argument(
        "--layers",
        choices=["auto", "last", "all"],
        help="which to train (default: the last of efficientnet-lite0 on a CPU, else all)",
    )
    group.add_argument(
        "--device",
        metavar="DEVICE",
        help="cpu, cuda, cuda:1, mps or auto, the fastest that works (default: auto)",
    )
    group.add_argument("--epochs", type=positive, metavar="N", help="how often each image is seen")
    group.add_argument("--batch-size", type=positive, metavar="N", help="images in a step")
    group.add_argument("--learning-rate", type=float, metavar="RATE", help="how fast it learns")


_FINETUNING = ("loss", "model", "layers", "device", "epochs", "batch_size", "learning_rate")


def run(options: argparse.Namespace) -> int:
    from importlib.util import find_spec

    from lookalike.cache import checkpoint_folder
    from lookalike.cli.output import say, show
    from lookalike.cli.training import learn_and_save

    def show_report(report: object) -> None:
        for line in str(report).splitlines():
            show(line)

    given = _given(options)
    if options.events:
        return train_events(options)
    if options.method == "finetune" and find_spec("torch"):
        say(f"checkpoints are in {checkpoint_folder()}: if it is killed, the same command goes on from there")
    try:
        learn_and_save(
            options,
            show_report,
            label=options.label,
            pairs=options.pairs,
            triplets=options.triplets,
            **given,
        )
    except KeyboardInterrupt:
        if options.method == "finetune":
            say("")  # the terminal has shown ^C at the beginning of the line
            say("to go on from the last checkpoint, run the same command again")
        raise
    source = "SOURCE" if options.method == "finetune" else shlex.quote(options.collection)
    say(f"use it: lookalike build {source} --model {shlex.quote(options.out)} -c NEW.lookalike")
    return 0


def _given(options: argparse.Namespace) -> dict[str, Any]:
    """The arguments of one way to learn alone; raises `LookalikeError` for those of another."""
    from lookalike.errors import LookalikeError

    given = {name: getattr(options, name) for name in _FINETUNING if getattr(options, name) is not None}
    of_events = [name for name in EVENT_COLUMNS if getattr(options, f"{name}_column")]
    is_finetuning = options.method == "finetune" and not options.events
    wrong = [(name, "--method finetune") for name in given if not is_finetuning]
    wrong += [(name, "--events") for name in of_events if not options.events]
    wrong += [("for", "--label")] if options.for_ and (options.events or not options.label) else []
    for name, owner in wrong:
        raise LookalikeError(f"--{name.replace('_', '-')} is for {owner}", "leave it out, or use that")
    return {**given, **({"for_": options.for_} if options.for_ else {})}
