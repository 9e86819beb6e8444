"""Names for groups: which tags tell a group from all the others?

Log-odds, by items, with an informative Dirichlet prior (Monroe, Colaresi & Quinn, Fightin' Words, 2008,
section 3.3): how much likelier a tag is in the group than outside, in standard deviations, so that a tag
seen once names nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Of a name: 1.96 standard deviations are not chance (5%), and it should be true of a good part of the group.
_LEAST_Z, _LEAST_SHARE = 1.96, 0.15
# The prior: as if ten more items of the average kind had been seen, inside and outside.
_PRIOR_ITEMS = 10


def telling_tags(
    tags: Sequence[Sequence[str] | None], labels: NDArray[np.int32], count: int, most: int = 5
) -> list[list[str]]:
    """For each of `count` groups the tags that tell it from the others, the most telling first.

    `tags` has those of each of N items, `labels` (N,) its group; -1 is no group, and counts with the others.
    """
    inside = [Counter[str]() for _ in range(count)]
    total = Counter[str]()
    sizes = np.bincount(labels[labels >= 0], minlength=count)
    for label, words in zip(labels.tolist(), tags, strict=True):
        total.update(words or ())
        if label >= 0:
            inside[label].update(words or ())
    return [
        _telling(words, total, int(size), len(labels), most)
        for words, size in zip(inside, sizes, strict=True)
    ]


def _telling(inside: Counter[str], total: Counter[str], size: int, items: int, most: int) -> list[str]:
    names = [word for word, count in inside.items() if count >= _LEAST_SHARE * size]
    if not names or size == items:
        return []
    here, everywhere = np.array([(inside[word], total[word]) for word in names], float).T
    rest, prior = everywhere - here, everywhere / items * _PRIOR_ITEMS
    odds = np.log((here + prior) / (size + _PRIOR_ITEMS - here - prior + 1e-9))
    odds_outside = np.log((rest + prior) / (items - size + _PRIOR_ITEMS - rest - prior + 1e-9))
    z = (odds - odds_outside) / np.sqrt(1 / (here + prior) + 1 / (rest + prior))
    order = np.argsort(-z, kind="stable")
    return [names[i] for i in order if z[i] >= _LEAST_Z][:most]


def unique_names(tags: Sequence[Sequence[str]]) -> list[str]:
    """A name for each group: its two most telling tags, or `group N`; a number keeps those of equal tags
    apart, in whatever order.
    """
    names, seen = [], Counter[frozenset[str]]()
    for number, words in enumerate(tags):
        two = words[:2] or [f"group {number}"]
        seen[frozenset(two)] += 1
        again = seen[frozenset(two)]
        names.append(", ".join(two) + (f" ({again})" if again > 1 else ""))
    return names
