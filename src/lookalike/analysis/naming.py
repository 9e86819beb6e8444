"""Names groups by words that fit most of a group and set it apart from the others.

People's words come first: those they taught, labels, then the values of columns, the names of folders and
files, and captions. What the network sees comes last. A group that none of these fits has no name.

A word sets a group apart by its log-odds, counted in items, with an informative Dirichlet prior (Monroe,
Colaresi & Quinn, Fightin' Words, 2008, section 3.3): how much likelier it is in the group than outside, in
standard deviations, so that a word seen once names nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from lookalike.search.mentions import CAPTIONS
from lookalike.storage.selection import Selection

Labels = NDArray[np.int32]
Words = Sequence[Sequence[str] | None]

UNNAMED = "unnamed"
COLUMNS = ("id", "tags", "label", "taught", *CAPTIONS)
# A name fits at least this share of a group; a label, of the group's labelled items, if there are enough.
_HOLDS, _LEAST_LABELLED = 0.5, 0.2
# 1.96 standard deviations are not chance (5%), and a name should fit a good part of the group.
_LEAST_Z, _LEAST_SHARE = 1.96, 0.15
# The prior: as if ten more items of the average kind had been seen, inside and outside.
_PRIOR_ITEMS = 10


def telling_tags(
    tags: Words, labels: Labels, count: int, most: int = 5, least_share: float = _LEAST_SHARE
) -> list[list[str]]:
    """For each of `count` groups, the tags that set it apart from the others, the most telling first.

    `tags` has the tags of each of N items, `labels` (N,) its group; items with -1 are in none, and count with
    the others. At least `least_share` of a group has each tag.
    """
    inside = [Counter[str]() for _ in range(count)]
    total = Counter[str]()
    sizes = np.bincount(labels[labels >= 0], minlength=count)
    for label, words in zip(labels.tolist(), tags, strict=True):
        total.update(words or ())
        if label >= 0:
            inside[label].update(words or ())
    found = []
    for counted, size in zip(inside, sizes.tolist(), strict=True):
        frequent = {word: number for word, number in counted.items() if number >= least_share * size}
        found.append(_telling(frequent, total, size, len(labels))[:most])
    return found


def _telling(inside: Mapping[str, int], total: Counter[str], size: int, items: int) -> list[str]:
    """The words inside a group of this size that set it apart from all items, the most telling first."""
    names = list(inside)
    if not names or size == items:
        return []
    here, everywhere = np.array([(inside[word], total[word]) for word in names], float).T
    rest, prior = everywhere - here, everywhere / items * _PRIOR_ITEMS
    odds = np.log((here + prior) / (size + _PRIOR_ITEMS - here - prior + 1e-9))
    odds_outside = np.log((rest + prior) / (items - size + _PRIOR_ITEMS - rest - prior + 1e-9))
    z = (odds - odds_outside) / np.sqrt(1 / (here + prior) + 1 / (rest + prior))
    return [names[i] for i in np.argsort(-z, kind="stable") if z[i] >= _LEAST_Z]


def group_names(
    selection: Selection,
    labels: Labels,
    count: int,
    seen: Callable[[int], Sequence[str]],
    kinds: Sequence[str] = (),
) -> list[str]:
    """A name for each of `count` groups, `unnamed` if nothing fits; numbers keep equal names apart.

    `labels` (N,) has the group of each item, -1 for none. `seen` returns what the network sees in a group;
    `kinds` are the columns whose values may name one.
    """
    taught = telling_tags(selection.column("taught"), labels, count, least_share=_HOLDS)
    by_label = _by_label(selection.column("label"), labels, count)
    names = [words[0] if words else label for words, label in zip(taught, by_label, strict=True)]
    for words in _sources(selection, kinds):
        if None not in names:
            break
        found = telling_tags(words, labels, count, least_share=_HOLDS)
        names = [name or (one[0] if one else None) for name, one in zip(names, found, strict=True)]
    return unique_names([name or next(iter(seen(group)), UNNAMED) for group, name in enumerate(names)])


def _by_label(labels: Sequence[str | None], groups: Labels, count: int) -> list[str | None]:
    """The label that most of a group's labelled items have, or its two commonest; None if few have one."""
    inside = [Counter[str]() for _ in range(count)]
    for group, label in zip(groups.tolist(), labels, strict=True):
        if group >= 0 and label is not None:
            inside[group][label] += 1
    sizes = np.bincount(groups[groups >= 0], minlength=count)
    names: list[str | None] = []
    for found, size in zip(inside, sizes.tolist(), strict=True):
        labelled = found.total()
        first = found.most_common(2)
        one = bool(first) and first[0][1] >= _HOLDS * labelled
        named = ", ".join(label for label, _ in first[: 1 if one else 2])
        names.append(named if labelled and labelled >= _LEAST_LABELLED * size else None)
    return names


def _sources(selection: Selection, kinds: Sequence[str]) -> Iterator[Words]:
    """Yield words that may name the items, the surest first: values, folders, words of files and captions."""
    for column in kinds:
        yield [[value] if value else None for value in selection.column(column)]
    paths = [PurePosixPath(id_) for id_ in selection.ids]
    yield [[path.parent.name] if path.parent.name else None for path in paths]
    yield [_words_in(path.stem) for path in paths]
    for column in CAPTIONS:
        if column in selection.items.column_names:
            yield [_words_in(text) for text in selection.column(column)]


def _words_in(text: object) -> list[str]:
    """The words of a text, of at least three letters each. Digits may only follow: `f1ffe8` has none."""
    found = r"(?<![^\W_])([^\W\d_]{3,})\d*(?![^\W_])"
    return sorted(set(re.findall(found, text.lower()))) if isinstance(text, str) else []


def unique_names(names: Sequence[str]) -> list[str]:
    """The same names; a number keeps equal ones apart."""
    found, seen = [], Counter[str]()
    for name in names:
        seen[name] += 1
        found.append(name + (f" ({seen[name]})" if seen[name] > 1 else ""))
    return found
