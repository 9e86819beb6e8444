"""lookalike duplicates: finds duplicates and moves them away."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lookalike.analysis.tiers import DUPLICATES, TIERS, check_tiers
from lookalike.cli.arguments import add_json, add_max_memory, names
from lookalike.errors import counted

if TYPE_CHECKING:
    from lookalike.analysis.plan import Plan

SUMMARY = "find duplicates, and move them away; --undo moves them back"
EXAMPLE = (
    "lookalike duplicates photos.lookalike --plan plan.json\n"
    "  lookalike duplicates --apply plan.json --to trash/\n"
    "  lookalike duplicates --undo trash/"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("collection", metavar="C", nargs="?", help="the folder of a collection")
    parser.add_argument(
        "--tiers",
        metavar="A,B",
        type=names,
        default=",".join(DUPLICATES),
        help=f"what counts as a duplicate, of {', '.join(TIERS)} (default: {','.join(DUPLICATES)})",
    )
    parser.add_argument(
        "--keep",
        choices=["largest", "oldest"],
        default="largest",
        help="which file to keep (default: largest)",
    )
    parser.add_argument(
        "--not-duplicate",
        metavar=("ID", "ID"),
        nargs=2,
        help="mark two items as not duplicates: no plan moves one because of the other",
    )
    parser.add_argument("--stays", metavar="ID", help="mark an item as staying: no plan moves it")
    parser.add_argument("--plan", metavar="FILE", help="write a plan of the files to move, for you to review")
    parser.add_argument("--apply", metavar="FILE", help="move the files of this plan, all or none")
    parser.add_argument("--to", metavar="FOLDER", help="the folder that --apply moves them to")
    parser.add_argument("--undo", metavar="FOLDER", help="move all files in FOLDER back to their old places")
    add_max_memory(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    from lookalike.errors import LookalikeError

    if options.apply:
        if not options.to:
            raise LookalikeError(
                "--apply needs the folder to move to", f"--apply {options.apply} --to trash/"
            )
        return _apply(options)
    if options.undo:
        return _undo(options)
    if not options.collection:
        raise LookalikeError(
            "give a collection, or --apply FILE, or --undo FOLDER",
            "such as: lookalike duplicates photos.lookalike",
        )
    if options.not_duplicate or options.stays:
        return _mark(options)
    return _find(options)


def _mark(options: argparse.Namespace) -> int:
    """Note what somebody says of pictures, without looking for duplicates."""
    from lookalike.cli.output import say
    from lookalike.collection import open_collection

    collection = open_collection(options.collection)
    if options.not_duplicate:
        collection.not_duplicates(*options.not_duplicate)
    if options.stays:
        collection.keep(options.stays)
    say("noted; the next run will respect it")
    return 0


def _find(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from lookalike.analysis.duplicates import find_duplicates
    from lookalike.analysis.plan import keep_plan, make_plan, write_plan
    from lookalike.cli.output import print_json, say, say_recall
    from lookalike.cli.progress import Progress
    from lookalike.collection import open_collection

    check_tiers(options.tiers)
    snapshot = open_collection(options.collection).snapshot
    with Progress("comparing") as progress:
        found = find_duplicates(
            snapshot,
            tiers=options.tiers,
            max_memory_bytes=options.max_memory_bytes,
            on_progress=progress,
        )
    say_recall(found.recall, options.collection)
    plan = make_plan(found, str(options.collection), keep=options.keep, tiers=options.tiers)
    if options.plan:
        write_plan(plan, options.plan)
    keep_plan(found.state, found.items, plan, tiers=options.tiers)
    if options.json:
        print_json(asdict(plan))
    else:
        _print(plan)
    moves = plan.moves()
    size = sum(move.file.size_bytes for move in moves)
    images = counted(len(found.items), "image")
    say(
        f"{len(moves):,} of {images} could go, {size / 1e6:,.1f} MB"
        if moves
        else f"none of {images} could go"
    )
    if plan.left_out:
        say(f"{plan.left_out:,} more have duplicates, but are not files that can be moved")
    if options.plan and moves:
        say(f"review {options.plan}, then: lookalike duplicates --apply {options.plan} --to trash/")
    return 0


def _print(plan: Plan) -> None:
    from lookalike.cli.output import show

    for group in plan.groups:
        show(f"{group.keep.id}  ({group.why})")
        for move in group.move:
            show(f"    {move.file.id}  {TIERS[move.tier]}: {move.reason}")


def _apply(options: argparse.Namespace) -> int:
    from lookalike.analysis.moving import apply_plan
    from lookalike.analysis.plan import read_plan
    from lookalike.cli.output import print_json, say

    plan = read_plan(options.apply)
    count = apply_plan(plan, options.to)
    if options.json:
        print_json({"moved": count, "to": options.to})
    say(f"moved {counted(count, 'file')} to {options.to}; to undo: lookalike duplicates --undo {options.to}")
    say(f"update the collection with: lookalike build SOURCE -c {plan.collection}")
    return 0


def _undo(options: argparse.Namespace) -> int:
    from lookalike.analysis.moving import undo_moves
    from lookalike.cli.output import print_json, say

    count = undo_moves(options.undo)
    if options.json:
        print_json({"moved": count, "from": options.undo})
    say(f"moved {counted(count, 'file')} back")
    return 0
