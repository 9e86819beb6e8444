"""The engine: finds the items of one snapshot that are nearest to any query.

Scores are cosines: vectors have unit length, so the dot product is the cosine. Without an index, search is
exact, a product with every vector; an index of exactly this state replaces it. The library, the command
line and the server all use this engine.
"""

from __future__ import annotations

import operator
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from itertools import pairwise
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ImageError, ModelError, QueryError, UnknownWordError
from lookalike.index import Index, open_index
from lookalike.search.colored import find_colored
from lookalike.search.confidence import Background, background_of
from lookalike.search.evidence import (
    NEIGHBOURS,
    ORDERED,
    by_confidence,
    confidence_of,
    known_here,
    sharpened,
)
from lookalike.search.exact import nearest
from lookalike.search.lexicon import Lexicon, Meant, lexicon_of
from lookalike.search.own_words import OwnWords, own_words
from lookalike.search.query import Direction, Image, Query, Text, as_query, query_direction
from lookalike.search.results import Results
from lookalike.search.taught import is_lost
from lookalike.search.where import condition_for, matching_rows
from lookalike.storage.marks import marks_stamp
from lookalike.storage.part_state import PartState
from lookalike.storage.snapshot import Snapshot
from lookalike.storage.stores import each

Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]
Vectors = NDArray[np.float32]

DEFAULT_K = 10

# The number of cached answers, such as the rows that meet a condition: a page asks for them again and again.
_KEPT = 16
# Vectors are held in memory if they take at most this share of it.
_HELD_SHARE = 1 / 4


class Engine:
    """Answers queries from one snapshot; safe to use from several threads."""

    def __init__(self, snapshot: Snapshot, before: Engine | None = None) -> None:
        """`before` is the engine of an earlier snapshot: what it holds of unchanged parts is reused."""
        self.snapshot = snapshot
        self._kept: OrderedDict[tuple[str, str], Any] = OrderedDict()
        self._lock = threading.Lock()
        self._held: Vectors | None = None
        self._exact_searches = 0
        if before is not None and before._held is not None and self.index is None:
            same = before.snapshot.stored is snapshot.stored
            self._held = before._held if same else _moved(before.snapshot, before._held, snapshot)

    def __len__(self) -> int:
        return len(self.snapshot)

    @cached_property
    def index(self) -> Index | None:
        """The index of exactly this state, or None; raises `CollectionError` if it is damaged."""
        return open_index(self.snapshot.state)

    @cached_property
    def background(self) -> Background | None:
        """The scores that chance gives, to measure confidences against; None for fewer than two items."""
        return background_of(self.snapshot)

    # Queries.

    def search(
        self,
        queries: Sequence[Query],
        k: int = DEFAULT_K,
        *,
        where: str | None = None,
        rows: Rows | None = None,
        include_query: bool = False,
        min_confidence: float = 0.0,
    ) -> list[Results]:
        """The k items most like each query, best first, or all items if there are fewer.

        Only rows that meet the condition `where`, and are among `rows` if given, can be found. Items in a
        query are left out of its results unless `include_query`, and so are hits with a confidence below
        `min_confidence`, in [0, 1]. Raises `QueryError` for an invalid number, condition or query,
        `ImageError` for an unreadable picture.
        """
        k = check_numbers(k, min_confidence)
        mask = self.allowed(where, rows)
        directions = [self.direction(query) for query in queries]
        hidden = [
            () if include_query or not query.ids else self.snapshot.rows_of(sorted(query.ids)).tolist()
            for query in queries
        ]
        return self.find(directions, k, mask=mask, hidden=hidden, min_confidence=min_confidence)

    def direction(self, query: Query) -> Direction:
        """The direction of a query; raises as `query_direction`."""
        try:
            return query_direction(self.snapshot, query, self.vectors_of, self.meant)
        except UnknownWordError as error:
            raise known_here(error, self.shows) from None
        except ImageError as error:
            named = [
                one.image for one, _ in query.terms if isinstance(one, Image) and isinstance(one.image, str)
            ]
            item = next((one for one in named if self.snapshot.find(one) is not None), None)
            if item is None:
                raise
            raise ImageError(error.message, f"the item of that name is `Id({item!r})`") from None

    def find(
        self,
        directions: Sequence[Direction],
        k: int,
        *,
        mask: Mask | None = None,
        hidden: Sequence[Collection[int]] = (),
        min_confidence: float = 0.0,
    ) -> list[Results]:
        """The k nearest rows in each direction that `mask` allows, without the rows `hidden` for it.

        Of pictures found by words alone, the nearest are ordered by confidence; see `by_confidence`.
        """
        hidden = hidden or [()] * len(directions)
        if any(one.colors for one in directions):
            return [
                find_colored(self, one, k, mask=mask, hidden=rows, min_confidence=min_confidence)
                if one.colors
                else self.find([one], k, mask=mask, hidden=[rows], min_confidence=min_confidence)[0]
                for one, rows in zip(directions, hidden, strict=True)
            ]
        looked_at = -(-k // ORDERED) * ORDERED if any(one.is_words for one in directions) else k
        most = max(looked_at, NEIGHBOURS) + max(map(len, hidden), default=0)
        vectors = [one.vector for one in directions]
        nearest = self.nearest(vectors, most, mask)
        # Only labels need them, and most collections with a condition have none.
        around = cache(lambda: nearest if mask is None else self.nearest(vectors, most))
        return [
            self._results(
                direction,
                _without(*nearest[number], rows, looked_at if direction.is_words else k),
                lambda number=number, rows=rows: _without(*around()[number], rows, NEIGHBOURS),  # type: ignore[misc]
                k,
                min_confidence,
            )
            for number, (direction, rows) in enumerate(zip(directions, hidden, strict=True))
        ]

    def nearest(
        self, queries: Sequence[Vectors], k: int, mask: Mask | None = None
    ) -> list[tuple[Rows, Vectors]]:
        """For each query (D,) of unit length, the k nearest matching rows and their cosines, descending.

        Equal cosines keep the order of rows.
        """
        k = min(k, len(self))
        if not k or not queries:
            return [(np.empty(0, np.int64), np.empty(0, np.float32)) for _ in queries]
        if self.index is None:
            return self._exact(queries, k, mask)
        scores, rows = self.index.search(np.stack(queries), k, mask)
        if rows.min() >= 0:
            return list(zip(rows, scores, strict=True))
        return [(one[one >= 0], its[one >= 0]) for one, its in zip(rows, scores, strict=True)]

    def confidences(self, scores: Vectors) -> NDArray[np.float64] | None:
        """The confidence of hits by cosines alone, (n,) in [0, 1]; None for a collection of one item."""
        return None if self.background is None else self.background.confidence(scores)

    @property
    def own_words(self) -> OwnWords:
        """The words of the collection itself as of now, which need no model."""
        stamp = marks_stamp(self.snapshot.root)
        own: OwnWords = self.kept("words", repr(stamp), lambda: own_words(self.snapshot, self.vectors_at))
        return own

    @property
    def words(self) -> Lexicon:
        """What can be searched for by words: the collection's own as of now, and the model's."""
        snapshot = self.snapshot
        reads_text = bool(snapshot.manifest.model.text_sha256)
        return lexicon_of(self.own_words, lambda: snapshot.model, snapshot.dim, reads_text)

    def meant(self, text: str) -> Meant:
        """What a text means here, and whose words they are; raises as `Lexicon.meant`."""
        try:
            return self.words.meant(text)
        except (UnknownWordError, ModelError):
            if is_lost(self.snapshot, text):
                raise QueryError(
                    f"the pictures that taught {text!r} are no longer in {self.snapshot.name}",
                    "teach it by others",
                ) from None
            raise

    def shows(self, word: str) -> bool:
        """Whether a picture here shows what a word names that the model knows, more likely than not."""
        (found,) = self.search([as_query(Text(word))], NEIGHBOURS)
        return bool(found.confidences is not None and (found.confidences >= 0.5).any())

    # Conditions.

    def mask(self, where: str) -> Mask:
        """The rows that meet an SQL condition, as bool (N,); raises `QueryError` if it is invalid."""
        found: Mask = self.kept(
            "mask", where, lambda: matching_rows(self.snapshot, condition_for(self.snapshot, where))
        )
        return found

    def matching(self, where: str | None) -> Rows:
        """The rows that meet a condition, in order; all rows without one."""
        return np.arange(len(self)) if where is None else np.flatnonzero(self.mask(where))

    def allowed(self, where: str | None, rows: Rows | None) -> Mask | None:
        """The rows that meet the condition and are among `rows`, as bool (N,); None for all rows."""
        if rows is None:
            return None if where is None else self.mask(where)
        among = np.zeros(len(self), np.bool_)
        among[rows] = True
        return among if where is None else among & self.mask(where)

    # Vectors.

    def vectors_of(self, ids: Iterable[str]) -> Mapping[str, Vectors]:
        """The vectors of items, as `vectors_at`; raises `UnknownIdError` for an unknown id."""
        names = list(ids)
        return dict(zip(names, self.vectors_at(self.snapshot.rows_of(names)), strict=True))

    def vectors_at(self, rows: Rows) -> Vectors:
        """The unit vectors (n, D) of these rows, decoded from the index if only that is in memory.

        Reading one vector from its part takes twenty times as long as the search itself, so parts are read
        only if the index has less than 8 bits a number.
        """
        if self._held is not None:
            return self._held[rows]
        indexed = self.index.vectors(rows) if self.index else None
        return self.snapshot.vectors(rows) if indexed is None else indexed

    # Cached answers.

    def kept(self, kind: str, key: str, compute: Callable[[], Any]) -> Any:
        """The result of `compute`, cached for this state; the least recently used is dropped."""
        with self._lock:
            if (kind, key) in self._kept:
                self._kept.move_to_end((kind, key))
                return self._kept[kind, key]
        value = compute()
        with self._lock:
            self._kept[kind, key] = value
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return value

    # Exact search.

    def _exact(self, queries: Sequence[Vectors], k: int, mask: Mask | None) -> list[tuple[Rows, Vectors]]:
        self._exact_searches += 1
        held = self._held if self._exact_searches == 1 else self.hold()
        return nearest(queries, self._blocks(mask) if held is None else [(0, held)], k, mask)

    def _blocks(self, mask: Mask | None) -> Iterator[tuple[int, Vectors]]:
        """The vectors of the parts that have matching rows, and the number of each part's first row."""
        bounds = pairwise(self.snapshot.state.starts.tolist())
        wanted = [
            (start, state)
            for (start, end), state in zip(bounds, self.snapshot.parts, strict=True)
            if mask is None or mask[start:end].any()
        ]
        blocks = each([state for _, state in wanted], PartState.embeddings, self.snapshot.root)
        for (start, _), vectors in zip(wanted, blocks, strict=True):
            yield start, vectors

    def hold(self) -> Vectors | None:
        """Hold all vectors in memory, float32 (N, D), for exact search; None if they do not fit.

        Every search but the first does this by itself; the first reads part by part: a command asks once.
        """
        with self._lock:
            if self._held is None and _fits(len(self), self.snapshot.dim):
                self._held = _moved(None, None, self.snapshot)
            return self._held

    def _results(
        self,
        direction: Direction,
        found: tuple[Rows, Vectors],
        near: Callable[[], tuple[Rows, Vectors]],
        k: int,
        min_confidence: float,
    ) -> Results:
        """The first k of the rows and scores with their confidences, if those are high enough.

        `near` gives those nearest to the query, which a condition may have kept from the results.
        """
        rows, scores = found
        if self.background is None or not len(rows):
            none = None if self.background is None else np.empty(0)
            return Results(self.snapshot, rows[:k], scores[:k], none, direction.meant, direction.refined)
        confidences = confidence_of(
            self.background, direction, scores, lambda: self.snapshot.model, lambda: self.vectors_at(rows)
        )
        labels = self.snapshot.values("label", rows) if direction.is_likeness else []
        if any(label is not None for label in labels):
            near_rows, near_scores = near()
            near_labels = self.snapshot.values("label", near_rows)
            confidences = sharpened(confidences, labels, near_scores, near_labels)
        if direction.is_words:
            order = by_confidence(confidences)[:k]
            rows, scores, confidences = rows[order], scores[order], confidences[order]
        results = Results(self.snapshot, rows, scores, confidences, direction.meant, direction.refined)
        return results.sure(min_confidence)


def check_numbers(k: SupportsIndex, min_confidence: float) -> int:
    """Return the number of results as an int; raises `QueryError` if it or the confidence is invalid."""
    try:
        count = operator.index(k)
    except TypeError:
        raise QueryError(f"k is the number of results, a whole number, not {k!r}") from None
    if count < 1:
        raise QueryError(f"k is the number of results, at least 1, not {k}")
    if not 0 <= min_confidence <= 1:
        raise QueryError(f"the minimum confidence is {min_confidence}, it has to be from 0 to 1")
    return count


def _without(rows: Rows, scores: Vectors, hidden: Collection[int], k: int) -> tuple[Rows, Vectors]:
    """The first k that are not hidden."""
    if not hidden:
        return rows[:k], scores[:k]
    kept = np.flatnonzero(~np.isin(rows, list(hidden)))[:k]
    return rows[kept], scores[kept]


def _fits(count: int, dim: int) -> bool:
    """Whether that many vectors may be held in memory."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        memory = 8 << 30
    return 4 * count * dim <= memory * _HELD_SHARE


def _moved(old: Snapshot | None, held: Vectors | None, new: Snapshot) -> Vectors:
    """The vectors of a snapshot, (N, D); those of parts that the old one shares are copied from `held`."""
    known = {}
    if old is not None and held is not None:
        bounds = pairwise(old.state.starts.tolist())
        known = {
            (state.part.number, state.checksum): held[start:end]
            for (start, end), state in zip(bounds, old.parts, strict=True)
        }
    found = np.empty((len(new), new.dim), np.float32)
    missing = [state for state in new.parts if (state.part.number, state.checksum) not in known]
    read = each(missing, PartState.embeddings, new.root)
    for start, state in zip(new.state.starts.tolist(), new.parts, strict=False):
        block = known.get((state.part.number, state.checksum))
        found[start : start + state.count] = next(read) if block is None else block
    return found
