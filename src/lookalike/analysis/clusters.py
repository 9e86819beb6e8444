"""Clusters: groups of similar items, their number, their names, and how tight they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lookalike.analysis.kmeans import (
    SAMPLE_PER_CENTRE,
    KMeans,
    Labels,
    Vectors,
    silhouette,
    spherical_kmeans,
    train,
)
from lookalike.analysis.naming import COLUMNS, group_names, telling_tags
from lookalike.analysis.projection import project, projection_bytes
from lookalike.checking import checked
from lookalike.errors import ExtraError, LookalikeError, ModelError, counted
from lookalike.search.mentions import kind_columns
from lookalike.storage.derived import Derived, write_derived
from lookalike.storage.selection import Rows, Selection
from lookalike.storage.snapshot import Snapshot
from lookalike.storage.state import State

NAME = "clusters"
Method = Literal["kmeans", "hdbscan"]

# `auto` tries these while there are ten items a group, then some between the neighbours of the best.
_CANDIDATES = (2, 3, 4, 5, 6, 8, 10, 12, 15, 18, 22, 27, 33, 40, 50, 60, 75, 90)
_TRAINED, _BETWEEN = 5000, 6
# Density means little in 1,280 dimensions, but something in the first components (docs/analysis.md).
_HDBSCAN_COMPONENTS = 16
# The number of items that name a group without labels.
_LOOKED_AT = 100
# Measured: the memory that HDBSCAN needs for an item.
_HDBSCAN_ITEM_BYTES = 1500


@dataclass(frozen=True, slots=True)
class Cluster:
    """One group: its number (0 is the largest), its name (`unnamed` if none fits), the tags that set it
    apart from the others, the item nearest to its centre, its size, and its cohesion, the mean cosine of its
    items to the centre.
    """

    cluster: int
    name: str
    tags: tuple[str, ...]
    medoid: str
    size: int
    cohesion: float


@dataclass(frozen=True, slots=True)
class Clusters:
    """The groups of N items, the largest first; `noise` items are in none. `reason` explains their number.

    For each of the `ids`, `labels` int32 (N,) has the number of its group, -1 for none, and `scores` (N,) the
    cosine to its centre. `command`, a list of words, makes the same groups again.
    """

    method: Method
    seed: int
    reason: str
    noise: int
    clusters: tuple[Cluster, ...]
    ids: Sequence[str] = field(repr=False, compare=False)
    labels: Labels = field(repr=False, compare=False)
    scores: Vectors = field(repr=False, compare=False)
    command: Sequence[str] = field(repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.clusters)

    def __repr__(self) -> str:
        return (
            f"Clusters({counted(len(self), 'group')} of {counted(len(self.ids), 'image')} by {self.method})"
        )

    def facts(self) -> dict[str, Any]:
        """The facts about all groups together, ready for JSON."""
        groups = [asdict(one) for one in self.clusters]
        told = {name: getattr(self, name) for name in ("method", "seed", "reason", "noise")}
        return {**told, "clusters": groups}


@checked
def cluster(
    snapshot: Snapshot,
    k: int | Literal["auto"] = "auto",
    *,
    rows: Rows | None = None,
    method: Method = "kmeans",
    min_size: int | None = None,
    seed: int = 0,
    max_memory_bytes: int | None = None,
) -> Clusters:
    """Group all items, or those in `rows` (ascending), and name the groups.

    `kmeans` makes `k` groups of all items, or as many as the silhouette finds best; `hdbscan` finds dense
    groups of at least `min_size` items, and leaves the rest out as noise. The same seed gives
    the same groups. k-means reads the vectors part by part beside a sample of 256 a group; HDBSCAN takes
    about 1.3 kB an item. Uses at most `max_memory_bytes`, if given, beyond the program itself. Raises
    `LookalikeError` if that is not enough, for an impossible k, and if all images are equal.
    """
    _check_wishes(k, method, min_size)
    kinds = kind_columns(snapshot)
    selection = Selection.of(snapshot, (*COLUMNS, *kinds), rows=rows)
    selection.room(max_memory_bytes, _need(selection, k, method), f"clustering by {method}")
    size = max(5, round(len(selection) ** 0.5 / 3)) if min_size is None else min_size
    if method == "hdbscan":
        found, reason = _dense(selection, size)
    else:
        count, reason = _number(selection, k, seed)
        found = _grouped(selection, count, seed)
    command = ["lookalike", "cluster", str(snapshot.root), "--seed", str(seed), "--method", method]
    command += ["--k", str(k)] if method == "kmeans" else ["--min-size", str(size)]
    return Clusters(
        method, seed, reason, int((found.labels < 0).sum()), _described(selection, found, kinds),
        selection.ids, found.labels, found.scores, command,
    )  # fmt: skip


def write_clusters(state: State, found: Clusters) -> None:
    """Store the groups of all items as `derived/clusters.parquet` and `.json`; raises `ChangedError`."""
    names = [one.name for one in found.clusters]
    rows = pa.table(
        {
            "id": pa.array(found.ids, pa.string()),
            "cluster": pa.array(found.labels, pa.int32()),
            "cluster_name": pa.array([names[i] if i >= 0 else None for i in found.labels], pa.string()),
            "cluster_score": pa.array(found.scores, pa.float32()),
        }
    )
    write_derived(state, NAME, Derived(rows, found.facts()), found.command)


def _check_wishes(k: int | Literal["auto"], method: Method, min_size: int | None) -> None:
    """Refuse options that the method would ignore."""
    if method not in ("kmeans", "hdbscan"):
        raise LookalikeError(f"unknown clustering method {method!r}", "known are: kmeans, hdbscan")
    if k != "auto" and not isinstance(k, int | np.integer):
        raise LookalikeError(f"k is a whole number or auto, not {k!r}", "use a number of groups")
    if method == "hdbscan" and k != "auto":
        raise LookalikeError(
            f"hdbscan finds the number of groups itself, so k cannot be {k}",
            "leave `k` out, or give `min_size`; `method='kmeans'` takes a number",
        )
    if method == "kmeans" and min_size is not None:
        raise LookalikeError("kmeans has no minimum group size", "give `k`, or `method='hdbscan'`")


def _need(selection: Selection, k: int | Literal["auto"], method: Method) -> int:
    """The bytes that a method needs, as measured."""
    if method == "hdbscan":
        return projection_bytes(selection, _components(selection)) + _HDBSCAN_ITEM_BYTES * len(selection)
    groups = max(_CANDIDATES) if k == "auto" else k
    # The sample; centres and their sums; the label and the score of each item.
    numbers = (min(_sample_size(groups), len(selection)) + 6 * groups) * selection.dim + 6 * len(selection)
    return 4 * numbers


def _number(selection: Selection, k: int | Literal["auto"], seed: int) -> tuple[int, str]:
    """The number of groups, and why."""
    if k == "auto":
        return _best_number(selection, seed)
    if not 1 <= k <= len(selection):
        raise LookalikeError(
            f"k is {k}, but {selection.snapshot.root} has {counted(len(selection), 'image')}",
            f"use 1 to {len(selection):,}, or auto",
        )
    return k, "k was given"


def _best_number(selection: Selection, seed: int) -> tuple[int, str]:
    """The k with the highest mean silhouette in a sample."""
    sample = selection.sample(_TRAINED, seed)
    _check_unequal(sample)
    values: dict[int, float] = {}

    def judge(k: int) -> float:
        return silhouette(sample, (sample @ train(sample, k, seed).T).argmax(axis=1))

    grid = [k for k in _CANDIDATES if k == 2 or k * 10 <= len(sample)]
    for k in grid:
        values[k] = judge(k)
    at = grid.index(max(values, key=values.__getitem__))
    low, high = grid[max(at - 1, 0)], grid[min(at + 1, len(grid) - 1)]
    for k in np.unique(np.linspace(low, high, _BETWEEN + 2).round().astype(int)).tolist():
        if k not in values:
            values[k] = judge(k)
    best = max(values, key=values.__getitem__)
    return (
        best,
        f"of {counted(len(values), 'number')} tried, {best} has the highest silhouette, {values[best]:.2f}",
    )


def _check_unequal(vectors: Vectors) -> None:
    if np.ptp(vectors, axis=0).max() < 1e-5:
        raise LookalikeError(
            "all images have the same vector, so there are no groups", "use `k=1` for a single group"
        )


def _grouped(selection: Selection, k: int, seed: int) -> KMeans:
    """k-means with the groups sorted by size, and none empty."""
    sample = selection.sample(_sample_size(k), seed)
    return _in_order_of_size(spherical_kmeans(selection.blocks, sample, k, seed))


def _sample_size(k: int) -> int:
    return max(k * SAMPLE_PER_CENTRE, _TRAINED)


def _in_order_of_size(found: KMeans) -> KMeans:
    sizes = np.bincount(found.labels[found.labels >= 0], minlength=len(found.centres))
    order = np.argsort(-sizes, kind="stable")[: int((sizes > 0).sum())]
    new = np.full(len(found.centres) + 1, -1, np.int32)  # the last for noise, -1
    new[order] = np.arange(len(order))
    return KMeans(found.centres[order], new[found.labels], found.scores)


def _dense(selection: Selection, min_size: int) -> tuple[KMeans, str]:
    """HDBSCAN (Campello, Moulavi & Sander 2013) on the first principal components."""
    try:
        from sklearn.cluster import HDBSCAN
    except ImportError:
        raise ExtraError("HDBSCAN needs scikit-learn", "analysis") from None
    if not 2 <= min_size <= len(selection) // 2:
        raise LookalikeError(
            f"{counted(len(selection), 'image')} cannot form groups of at least {min_size}",
            f"use a `min_size` from 2 to {len(selection) // 2:,}",
        )
    places = project(selection, _components(selection))
    _check_unequal(places)
    labels = HDBSCAN(min_cluster_size=min_size, copy=True).fit_predict(places)
    count = int(labels.max()) + 1
    reason = f"{count} groups of at least {min_size} are denser than their surroundings"
    return _in_order_of_size(_centred(selection, labels.astype(np.int32), count)), reason


def _components(selection: Selection) -> int:
    return min(_HDBSCAN_COMPONENTS, selection.dim)


def _centred(selection: Selection, labels: Labels, count: int) -> KMeans:
    """The mean direction of each group, and the items' cosines to it; 0 for items in no group."""
    sums, start = np.zeros((count, selection.dim)), 0
    for block in selection.blocks():
        mine = labels[start : start + len(block)]
        np.add.at(sums, mine[mine >= 0], block[mine >= 0])
        start += len(block)
    centres = (sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)).astype(np.float32)
    scores, start = np.zeros(len(selection), np.float32), 0
    for block in selection.blocks():
        mine = labels[start : start + len(block)]
        if count:
            scores[start : start + len(block)] = np.where(
                mine >= 0, np.einsum("nd,nd->n", block, centres[mine]), 0
            )
        start += len(block)
    return KMeans(centres, labels, scores)


def _described(selection: Selection, found: KMeans, kinds: Sequence[str]) -> tuple[Cluster, ...]:
    """Names, medoids, sizes and cohesions."""
    ids, count = selection.ids, len(found.centres)
    tags = telling_tags(selection.column("tags"), found.labels, count)
    clusters = []
    names = group_names(selection, found.labels, count, lambda group: _seen(selection, found, group), kinds)
    for number, name in enumerate(names):
        members = np.flatnonzero(found.labels == number)
        medoid = ids[int(members[found.scores[members].argmax()])]
        cohesion = float(found.scores[members].mean())
        clusters.append(Cluster(number, name, tuple(tags[number]), medoid, len(members), cohesion))
    return tuple(clusters)


def _seen(selection: Selection, found: KMeans, group: int) -> list[str]:
    """What the network sees in the items nearest to a group's centre; empty if it knows no words."""
    try:
        common_tags = (
            selection.snapshot.model.common_tags if selection.snapshot.manifest.model.sha256 else None
        )
    except ModelError:  # made by a model that is not available
        return []
    inside = np.flatnonzero(found.labels == group)
    if common_tags is None or not len(inside):
        return []
    nearest = inside[np.argsort(-found.scores[inside], kind="stable")[:_LOOKED_AT]]
    return common_tags(selection.take(np.sort(nearest)))


def members(made: Derived, number: int, most: int) -> Sequence[str]:
    """The ids of the items nearest to a group's centre, the nearest first."""
    rows = made.rows.filter(pc.equal(made.rows["cluster"], number))
    ordered: list[str] = rows.sort_by([("cluster_score", "descending")])["id"].to_pylist()[:most]
    return ordered
