"""Recommendation learned from clicks: are later choices foreseen better than by the mean of what one liked?

    python benchmarks/behaviour.py --flowers FOLDER --clothing FOLDER --grocery FOLDER

The clicks are made up, with hidden tastes: `lookalike.demo.behaviour` says what that assumes. Learned from
the first four fifths of the time, asked about the last. Cold are the items that nobody had clicked before.
The last lines are of the same visitors, learned by weight or by revenue: how much later revenue is found.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq
from labels import collections, parser_of

import lookalike
from lookalike.demo.behaviour import make_events
from lookalike.learning.behaviour.training import LIKED, OURS, BehaviourReport

TUNED_ON = "clothing"


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--users", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=1, help="of the visitors")
    options = parser.parse_args()
    print(f"tuned on: {TUNED_ON}, with other visitors")
    print("| | | recall@20 | warm | cold | NDCG@20 | coverage | revenue found |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, made, labels in collections(options, Path(folder)):
            if name == "drawn":
                continue
            path = Path(folder) / f"{name}.parquet"
            ids = made.items(["id"])["id"].to_pylist()
            vectors = made.embeddings()
            who = {"users": options.users, "seed": options.seed}
            pq.write_table(make_events(ids, vectors, labels, **who), path)
            started_s = time.perf_counter()
            report = _report(made, path, "weight")
            took_s = time.perf_counter() - started_s
            for what, one in report.measured.items():
                print(
                    f"| {name} | {what} | {one.recall:.3f} | {one.warm:.3f} | {one.cold:.3f} "
                    f"| {one.ndcg:.3f} | {one.coverage:.0%} | |"
                )
            ours, liked = report.measured[OURS], report.measured[LIKED]
            print(
                f"| {name} | {report.objective} {report.correction} over {LIKED}, {took_s:.0f} s "
                f"| {ours.recall / liked.recall:.2f} | {ours.warm / liked.warm:.2f} "
                f"| {ours.cold / liked.cold:.2f} | {ours.ndcg / liked.ndcg:.2f} | | |",
                flush=True,
            )
            for column in ("weight", "revenue"):
                print(f"| {name} | by {column} | | | | | | {_revenue(made, path, column):.3f} |", flush=True)


def _report(collection: lookalike.Collection, path: Path, column: str) -> BehaviourReport:
    report: BehaviourReport = lookalike.train(collection, events=path, weight_column=column).report
    return report


def _revenue(collection: lookalike.Collection, path: Path, column: str) -> float:
    """The share of the later revenue that is found by a model that was learned by a column."""
    from lookalike.learning.behaviour.events import read_events
    from lookalike.learning.behaviour.measuring import judge, later, split
    from lookalike.learning.behaviour.training import Study

    snapshot = collection.snapshot
    learned, asked = (read_events(snapshot, path, weight=one) for one in (column, "revenue"))
    vectors = collection.embeddings()
    study, end = Study(learned, vectors, 0), split(learned, 0.8)
    towers = study.learn(end, ("co-engagement", 0.5))
    return judge(later(asked, end, len(asked), len(vectors)), study.scorer(towers)).measured.weighted


if __name__ == "__main__":
    main()
