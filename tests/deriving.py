"""A collection with everything that can be derived from it, for the tests of the views."""

from __future__ import annotations

import lookalike
from lookalike.analysis.clusters import cluster
from lookalike.analysis.duplicates import find_duplicates
from lookalike.analysis.map import make_map
from lookalike.analysis.outliers import find_outliers
from lookalike.analysis.plan import keep_plan, make_plan


def derive_all(made: lookalike.Collection) -> None:
    """Three clusters, a map, outliers by five neighbours, and duplicates of all kinds but edits."""
    cluster(made, 3)
    make_map(made)
    find_outliers(made, k=5)
    tiers = ("bytes", "pixels", "copy")
    found = find_duplicates(made, edits=False)
    keep_plan(made, found.items, make_plan(found, made.path, tiers=tiers), tiers=tiers)
