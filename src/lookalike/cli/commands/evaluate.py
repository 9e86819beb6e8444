"""lookalike evaluate: are the nearest items of the same class?"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lookalike.cli.arguments import add_json, add_max_memory, names, positive
from lookalike.errors import counted

if TYPE_CHECKING:
    from lookalike.analysis.comparison import Comparison
    from lookalike.analysis.judgement import Evaluation, Splits
    from lookalike.collection import Collection
    from lookalike.storage.snapshot import Snapshot

SUMMARY = "measure how often the nearest images have the same label"
EXAMPLE = (
    "lookalike evaluate photos.lookalike --label label\n"
    "  lookalike evaluate photos.lookalike --label label --split-column split\n"
    "  lookalike evaluate photos/ --label folder --models pixels,sift,efficientnet-lite0 --report r.html\n"
    "  lookalike evaluate photos.lookalike --models efficientnet-lite0,./my-model"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="C", help="a collection, or a folder of images")
    parser.add_argument(
        "--label",
        metavar="COLUMN",
        default="label",
        help="the column of labels, or folder; for a folder of images, the rule as in: lookalike build",
    )
    parser.add_argument("--models", metavar="A,B", type=names, help="compare these models on the images")
    parser.add_argument(
        "--keep", metavar="FOLDER", help="keep the collections of --models here, for next time"
    )
    parser.add_argument(
        "-k",
        dest="ks",
        type=positive,
        nargs="+",
        default=[1, 5, 10],
        metavar="K",
        help="numbers of results (default: 1 5 10)",
    )
    parser.add_argument(
        "--voters",
        type=positive,
        default=5,
        metavar="N",
        help="how many neighbours vote for a class (default: 5)",
    )
    parser.add_argument(
        "--without-duplicates", action="store_true", help="leave out copies of the query, byte for byte"
    )
    parser.add_argument("--gallery", metavar="C", help="find items of this collection instead")
    parser.add_argument("--query-where", metavar="SQL", help="ask only items that meet a condition")
    parser.add_argument("--gallery-where", metavar="SQL", help="find only items that meet a condition")
    parser.add_argument(
        "--seen-where",
        metavar="SQL",
        help="the items that the model has learned from: never asked, and their classes measured apart",
    )
    parser.add_argument(
        "--split-column",
        metavar="COLUMN",
        help="a column such as train and test: items with each value ask those with the others",
    )
    parser.add_argument("--queries", type=positive, metavar="N", help="ask only N queries, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other queries (default: 0)")
    parser.add_argument("--report", metavar="FILE", help="write a page with tables and the worst queries")
    add_max_memory(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    import tempfile
    from contextlib import nullcontext

    from lookalike.analysis.comparison import collection_of
    from lookalike.collection import open_collection
    from lookalike.storage.manifest import is_collection
    from lookalike.storage.stores import place

    if is_collection(place(options.target)) and not options.models:
        _show(_evaluated(options), open_collection(options.target), options)
        return 0
    with nullcontext(options.keep) if options.keep else tempfile.TemporaryDirectory() as folder:
        compared = _compared(options, folder)
        best = collection_of(folder, compared.contenders[0].model)
        # Vectors that the collection has need no other.
        _show(compared, open_collection(best if is_collection(best) else options.target), options)
    return 0


def _evaluated(options: argparse.Namespace) -> Evaluation | Splits:
    from lookalike.analysis.evaluation import evaluate, evaluate_splits
    from lookalike.cli.progress import Progress
    from lookalike.collection import open_collection
    from lookalike.errors import LookalikeError

    snapshot, conditions = open_collection(options.target).snapshot, _conditions(options)
    with Progress("evaluating") as progress:
        wishes = {**_wishes(options), "on_progress": progress}
        if options.split_column is None:
            gallery = _gallery(options)
            return evaluate(snapshot, options.label, gallery=gallery, **conditions, **wishes)
        if options.gallery or any(conditions.values()):
            raise LookalikeError(
                f"{options.split_column} says what asks and what answers", "leave the others out"
            )
        return evaluate_splits(snapshot, options.label, options.split_column, **wishes)


def _gallery(options: argparse.Namespace) -> Snapshot | None:
    from lookalike.collection import open_collection

    return open_collection(options.gallery).snapshot if options.gallery else None


def _compared(options: argparse.Namespace, folder: str) -> Comparison:
    from lookalike.analysis.comparison import compare
    from lookalike.cli.progress import Progress
    from lookalike.collection import open_collection
    from lookalike.errors import LookalikeError
    from lookalike.models.registry import DEFAULT_MODEL
    from lookalike.sources.originals import Originals
    from lookalike.storage.manifest import is_collection
    from lookalike.storage.stores import place

    if options.split_column is not None or options.gallery:
        raise LookalikeError(
            "models are compared on one set of pictures",
            "use `query_where` and `gallery_where` to say which ask and which answer",
        )
    models, wishes = options.models or [DEFAULT_MODEL], {**_wishes(options), **_conditions(options)}
    wishes["progress"] = Progress
    if not is_collection(place(options.target)):
        return compare(options.target, models, options.label, folder, **wishes)
    originals = Originals(open_collection(options.target).snapshot)
    return compare(originals, models, None, folder, column=options.label, **wishes)


def _conditions(options: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(options, name) for name in ("query_where", "gallery_where", "seen_where")}


def _wishes(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "ks": options.ks,
        "voters": options.voters,
        "without_duplicates": options.without_duplicates,
        "max_queries": options.queries,
        "seed": options.seed,
        "max_memory_bytes": options.max_memory_bytes,
    }


def _show(
    judged: Evaluation | Splits | Comparison, collection: Collection, options: argparse.Namespace
) -> None:
    """Print the results, and write the report while the pictures exist."""
    from dataclasses import asdict
    from pathlib import Path

    from lookalike.analysis.comparison import Comparison
    from lookalike.analysis.judgement import Splits
    from lookalike.analysis.report import report_html
    from lookalike.cli.output import print_json, say
    from lookalike.storage.files import write_bytes

    if options.report:
        write_bytes(
            Path(options.report), report_html(judged, collection.snapshot, _gallery(options)).encode()
        )
        say(f"the report is in {options.report}")
    if options.json:
        print_json(asdict(judged))
    elif isinstance(judged, Comparison):
        _print_comparison(judged)
    elif isinstance(judged, Splits):
        _print_splits(judged)
    else:
        _print_evaluation(judged)
    if not options.seen_where and not options.query_where:
        _say_what_was_trained(options.models or [collection.snapshot.manifest.model_path])


def _say_what_was_trained(models: Sequence[str]) -> None:
    """Warn of models that may have learned from what they are asked."""
    from lookalike.cli.output import say
    from lookalike.learning.saving import is_trained

    for one in models:
        if is_trained(one):
            say(
                f"{one} was trained: for items that it learned from, these measures are too good; name them "
                "with --seen-where, or ask others with --query-where"
            )


def _print_comparison(compared: Comparison) -> None:
    from lookalike.cli.output import show

    names = list(compared.contenders[0].evaluation.overall)
    widest = max(20, *(len(one.model) + 1 for one in compared.contenders))
    show(" " * widest + "".join(f"{name:>14}" for name in names) + f"{'images/s':>10}{'bytes':>8}  front")
    for one in compared.contenders:
        values = "".join(f"{measure.value:14.3f}" for measure in one.evaluation.overall.values())
        speed = "-" if one.images_per_s is None else f"{one.images_per_s:,.0f}"
        show(f"{one.model:{widest}}{values}{speed:>10}{one.vector_bytes:8,}  {'*' if one.on_front else ''}")


def _print_splits(judged: Splits) -> None:
    from lookalike.cli.output import show

    for one in judged.splits:
        show(f"{one.value} among the others:")
        _print_evaluation(one.evaluation)


def _print_evaluation(judged: Evaluation) -> None:
    from lookalike.cli.output import say, show

    for name, one in judged.overall.items():
        show(f"{name:14} {one.value:.3f}   {one.low:.3f} to {one.high:.3f}")
    for what, part in (("seen", judged.seen), ("unseen", judged.unseen)):
        if part:
            values = ", ".join(f"{name} {one.value:.3f}" for name, one in part.measures.items())
            show(f"{what} classes, {counted(part.queries, 'query')} of {part.classes:,}: {values}")
    weak = sorted(judged.classes, key=lambda one: one.measures["map@r"].value)[:5]
    show("hardest: " + ", ".join(f"{one.label} {one.measures['map@r'].value:.3f}" for one in weak))
    wrong = judged.mistakes[:5]
    if wrong:
        show("mistaken: " + ", ".join(f"{one.label} for {one.predicted} {one.count:,}" for one in wrong))
    say(
        f"{counted(judged.queries, 'query')} among {counted(judged.gallery, 'item')}, "
        f"of {counted(len(judged.classes), 'class')}; "
        f"{judged.unlabelled:,} without a label left out, {judged.singles:,} not asked: nothing of their "
        "class to find"
    )
