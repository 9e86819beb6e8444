"""A view: the items of a collection that meet some conditions, to browse, search and analyse."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from lookalike.browsing import Answer, Browsed, Rows
from lookalike.checking import checked_methods
from lookalike.errors import ArgumentError, LookalikeError
from lookalike.search.engine import DEFAULT_K
from lookalike.search.grouping import search_groups
from lookalike.search.lexicon import Meant
from lookalike.search.query import Asked, Query, as_item, as_queries, as_query
from lookalike.search.recommend import recommend
from lookalike.search.refine import refine
from lookalike.search.results import Results
from lookalike.storage.selection import Selection
from lookalike.storage.snapshot import Snapshot
from lookalike.storage.state import State

if TYPE_CHECKING:
    from lookalike.analysis.clusters import Clusters
    from lookalike.analysis.duplicates import Duplicates
    from lookalike.analysis.judgement import Evaluation, Splits
    from lookalike.analysis.map import Map
    from lookalike.analysis.neighbours import Neighbours
    from lookalike.analysis.outliers import Outliers
    from lookalike.learning.identify import Identified


@checked_methods
class View(Browsed):
    """The items of a collection that meet all `conditions`; all items without conditions.

    Each call reads the newest state of the collection. Items are in the order in which they are stored.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return View, (self.path, self.conditions)  # open files stay behind

    def where(self, condition: str) -> View:
        """The items of this view that also meet an SQL condition over the columns.

        The condition is checked at once: raises `QueryError` if it is invalid.
        """
        view = View(self.path, (*self.conditions, condition), self._followed())
        view._ask(lambda engine, rows: None)
        return view

    # Search.

    @overload
    def search(
        self,
        query: list[Any] | tuple[Any, ...],
        k: int = DEFAULT_K,
        *,
        where: str | None = None,
        include_query: bool = False,
        min_confidence: float = 0.0,
        group_by: None = None,
    ) -> list[Results]: ...
    @overload
    def search(
        self,
        query: Any,
        k: int = DEFAULT_K,
        *,
        where: str | None = None,
        include_query: bool = False,
        min_confidence: float = 0.0,
        group_by: str | None = None,
    ) -> Results: ...
    def search(
        self,
        query: Any,
        k: int = DEFAULT_K,
        *,
        where: str | None = None,
        include_query: bool = False,
        min_confidence: float = 0.0,
        group_by: str | None = None,
    ) -> Results | list[Results]:
        """The k nearest items to a query, best first; a list of results for a batch of queries.

        A query is a picture (a path, encoded bytes, a Pillow image, a uint8 array), an `Id`, a `Text`, a
        `Vector` or float array (D,), or a sum of them; a batch is a list or tuple of these, or floats (Q, D).
        `where` is an SQL condition over the columns: only rows that meet it are found. Items in the query
        are left out unless `include_query`, and so are hits whose confidence in [0, 1] is below
        `min_confidence`, because chance would find them too.
        With `group_by`, a column, a list is one item with several pictures, and each group of items with the
        same value in that column is represented by its best hit.
        """
        queries = as_queries(query)
        wishes: dict[str, Any] = {
            "where": where, "include_query": include_query, "min_confidence": min_confidence
        }  # fmt: skip
        if group_by is not None:
            pictures = [as_query(query)] if queries is None else queries
            return self._ask(
                lambda engine, rows: search_groups(engine, pictures, group_by, k, rows=rows, **wishes)
            )
        if queries is not None:
            return self._ask(lambda engine, rows: engine.search(queries, k, rows=rows, **wishes))
        asked = [as_query(query)]
        return self._ask(lambda engine, rows: engine.search(asked, k, rows=rows, **wishes)[0])

    def refine(
        self,
        query: Asked,
        like: Asked | Sequence[Asked] = (),
        unlike: Asked | Sequence[Asked] = (),
        k: int = DEFAULT_K,
        **wishes: Any,
    ) -> Results:
        """The k items nearest to a query refined by marks: ids, or pictures, that are like it or not.

        How it is refined is chosen by cross-validation on the marks; `refined` of the results says it. The
        wishes are those of `search`, and the items in the query and the marks are left out too.
        """
        asked = as_query(query)
        liked, unliked = _queries(like), _queries(unlike)
        return self._ask(lambda engine, rows: refine(engine, asked, liked, unliked, k, rows=rows, **wishes))

    def meaning(self, text: str) -> Meant:
        """What a text means here, and whose words they are; raises `UnknownWordError` for unknown words."""
        return self._ask(lambda engine, rows: engine.words.meant(text))

    def recommend(
        self,
        liked: Asked | Sequence[Asked] = (),
        disliked: Asked | Sequence[Asked] = (),
        k: int = DEFAULT_K,
        *,
        user: str | None = None,
        where: str | None = None,
        diverse: float = 0.0,
    ) -> Results:
        """The k items most like the average of the liked items, and unlike the disliked ones.

        A string here is an item's id. `user` is one that the model knows, because it was trained from events;
        it counts like one liked item, and what the user had in them is left out. `diverse` in [0, 1] trades
        similarity for variety.
        """
        more, less = _queries(liked), _queries(disliked)
        return self._ask(
            lambda engine, rows: recommend(
                engine, more, less, k, user=user, where=where, rows=rows, diverse=diverse
            )
        )

    # Analysis: each method returns its result, and stores it in `derived/` if `write` is true.

    def cluster(self, k: int | Literal["auto"] = "auto", *, write: bool = False, **options: Any) -> Clusters:
        """Group similar items and name the groups; see `analysis.clusters.cluster` for the options."""
        from lookalike.analysis.clusters import cluster, write_clusters

        return self._analysed(
            lambda snapshot, rows: cluster(snapshot, k, rows=rows, **options),
            write_clusters if write else None,
        )

    def duplicates(self, **options: Any) -> Duplicates:
        """Find images that show the same; see `analysis.duplicates.find_duplicates` for the options.

        With more than 20,000 items it uses the index, and builds one if there is none.
        """
        from lookalike.analysis.duplicates import find_duplicates

        return self._analysed(lambda snapshot, rows: find_duplicates(snapshot, rows=rows, **options))

    def outliers(self, label: str = "label", *, write: bool = False, **options: Any) -> Outliers:
        """Find items unlike all others, and probably mislabelled ones; see `analysis.outliers.find_outliers`.

        With more than 20,000 items it uses the index, and builds one if there is none.
        """
        from lookalike.analysis.outliers import find_outliers, write_outliers

        return self._analysed(
            lambda snapshot, rows: find_outliers(snapshot, label, rows=rows, **options),
            write_outliers if write else None,
        )

    def map(self, method: Literal["pca", "umap"] = "pca", *, write: bool = False, **options: Any) -> Map:
        """Place each item in the plane, near similar ones; see `analysis.map.make_map`."""
        from lookalike.analysis.map import make_map, write_map

        return self._analysed(
            lambda snapshot, rows: make_map(snapshot, method, rows=rows, **options),
            write_map if write else None,
        )

    @overload
    def evaluate(self, label: str = "label", *, split_column: None = None, **options: Any) -> Evaluation: ...
    @overload
    def evaluate(self, label: str = "label", *, split_column: str, **options: Any) -> Splits: ...
    def evaluate(
        self, label: str = "label", *, split_column: str | None = None, **options: Any
    ) -> Evaluation | Splits:
        """Measure whether the nearest items share a column's value; see `analysis.evaluation.evaluate`.

        With `split_column`, items with one of its values ask those with others; see `evaluate_splits`. A
        `gallery` is another collection, whose items are found instead.
        """
        from lookalike.analysis.evaluation import evaluate, evaluate_splits

        if isinstance(options.get("gallery"), View):
            options["gallery"] = options["gallery"].snapshot
        if split_column is None:
            return self._analysed(lambda snapshot, rows: evaluate(snapshot, label, rows=rows, **options))
        return self._analysed(
            lambda snapshot, rows: evaluate_splits(snapshot, label, split_column, rows=rows, **options)
        )

    def neighbors(self, k: int = DEFAULT_K, **options: Any) -> Neighbours:
        """Find the k nearest neighbours of every item; their row numbers refer to this view's items.

        With more than 20,000 items it uses the index, and builds one if there is none.
        """
        from lookalike.analysis.neighbours import nearest_others

        return self._analysed(
            lambda snapshot, rows: nearest_others(Selection.of(snapshot, rows=rows), k, **options)
        )

    # Labels.

    @overload
    def identify(
        self, picture: list[Any] | tuple[Any, ...], label: str = "label", *, right: float = 0.9
    ) -> list[Identified]: ...
    @overload
    def identify(self, picture: Any, label: str = "label", *, right: float = 0.9) -> Identified: ...
    def identify(
        self, picture: Any, label: str = "label", *, right: float = 0.9
    ) -> Identified | list[Identified]:
        """Say which label of a column a picture has, or that it is unknown; a list for a list of pictures.

        A picture is anything that `search` takes, except words. The share `right` of the answers should be.
        """
        from lookalike.learning.identify import identify, learned

        queries = as_queries(picture)
        asked = [as_query(picture)] if queries is None else queries
        found = self._ask(
            lambda one, rows: identify(one, asked, lambda: learned(one, label, rows=rows, right=right))
        )
        return found[0] if queries is None else found

    # Display.

    def __repr__(self) -> str:
        try:
            holds = f"{len(self):,} images"
        except (LookalikeError, OSError) as error:
            holds = str(error)
        return f"View({self.name!r} where {' AND '.join(self.conditions)}: {holds})"

    def _analysed(
        self,
        work: Callable[[Snapshot, Rows | None], Answer],
        keep: Callable[[State, Answer], None] | None = None,
    ) -> Answer:
        """Return the result of `work`; `keep` stores it, for the state that it was computed from."""
        if keep is not None and self.conditions:
            raise LookalikeError(
                "an analysis of a part of a collection cannot be stored",
                "leave `write` out, or analyse all of it",
            )
        state, found = self._ask(lambda engine, rows: (engine.snapshot.state, work(engine.snapshot, rows)))
        if keep is not None:
            keep(state, found)
        return found


def _queries(asked: Asked | Sequence[Asked]) -> list[Query]:
    if isinstance(asked, list | tuple):
        return [as_item(one) for one in asked]
    if isinstance(asked, Mapping):
        raise ArgumentError("give a list of ids or queries")
    if isinstance(asked, np.ndarray) and asked.ndim == 2 and asked.dtype.kind == "f":
        return [as_query(one) for one in asked]
    return [as_item(asked)]  # type: ignore[arg-type]
