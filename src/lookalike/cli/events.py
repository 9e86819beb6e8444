"""What `lookalike train --events` does: arguments, and the table of what was measured."""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lookalike.learning.behaviour.training import BehaviourReport


EVENT_COLUMNS = ("user", "item", "when", "weight")


def add_events(parser: argparse.ArgumentParser) -> None:
    """The file of events, and the names of its columns."""
    group = parser.add_argument_group("of --events, which learns what people like")
    group.add_argument(
        "--events",
        metavar="FILE",
        help="a Parquet or CSV file: which user did something with which item, and when; --method is "
        "co-engagement, bpr or auto",
    )
    for name, what in (("user", "users"), ("item", "items' ids"), ("when", "times")):
        group.add_argument(
            f"--{name}", dest=f"{name}_column", default="", metavar="COLUMN", help=f"the column of {what}"
        )
    group.add_argument(
        "--weight",
        dest="weight_column",
        default="",
        metavar="COLUMN",
        help="how much an event counts, such as its revenue: what is optimised",
    )


def train_events(options: argparse.Namespace) -> int:
    """Learn from events, print what was measured, and save the model if it is better."""
    from lookalike.cli.output import say
    from lookalike.cli.training import learn_and_save
    from lookalike.errors import LookalikeError, NoGainError

    if options.label:
        raise LookalikeError("a model is learned from labels or from events", "leave --label or --events out")
    columns = {f"{name}_column": getattr(options, f"{name}_column") for name in EVENT_COLUMNS}
    try:
        learn_and_save(options, _show, unit="steps", events=options.events, **columns)
    except NoGainError as error:
        if not options.json:
            _show(error.report)
        raise
    words = ["lookalike", "build", options.collection, "--model", options.out, "-c", "NEW.lookalike"]
    say(f"use it: {shlex.join(words)}, then: lookalike recommend NEW.lookalike --user NAME")
    return 0


def _show(report: BehaviourReport) -> None:
    """The events that were used, and a line for each way to recommend."""
    from lookalike.cli.output import show

    told = (
        (report.unknown, "of unknown items"),
        (report.future, "in the future"),
        (report.invalid, "invalid"),
    )
    left_out = ", ".join(f"{count:,} {what}" for count, what in told if count)
    show(
        f"{report.events:,} events of {report.users:,} users with {report.items:,} items"
        + (f"; left out: {left_out}" if left_out else "")
    )
    show(f"the last fifth, of {report.asked:,} users, foreseen from the rest:")
    show(f"{'':14}  recall@20   warm   cold  NDCG@20  weight  coverage")
    for name, one in report.measured.items():
        show(
            f"{name:14}  {one.recall:9.3f}  {one.warm:5.3f}  {one.cold:5.3f}  {one.ndcg:7.3f}"
            f"  {one.weighted:6.3f}  {one.coverage:8.3f}"
        )
    show(str(report))
