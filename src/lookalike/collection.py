"""The public face: everything a user does with a collection, each method one line into a room below.

    collection = lookalike.build("photos/", "photos.lookalike", label="folder")
    collection.search("query.jpg", k=10)

A collection is a folder that holds the embeddings of images and where they came from; docs/format.md
specifies every file in it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
from numpy.typing import NDArray

from lookalike.checking import checked, checked_methods
from lookalike.errors import LookalikeError, counted
from lookalike.index import IndexInfo, build_index, index_problems, index_state, refresh
from lookalike.models.model import LoadedModel, Model
from lookalike.models.registry import load_model, register
from lookalike.models.spelling import spelling
from lookalike.search.own_words import OwnWord
from lookalike.search.taught import forget, is_taught, teach, teach_from
from lookalike.search.taught_tags import write_taught_tags
from lookalike.storage.items import Item, Items
from lookalike.storage.manifest import Manifest, read_manifest
from lookalike.storage.marks import Mark, Marks, read_marks, write_marks
from lookalike.storage.own_pictures import example_of
from lookalike.storage.parts import FAILURE_SCHEMA, Part, list_parts
from lookalike.storage.state import State
from lookalike.storage.stores import each, place
from lookalike.view import View

if TYPE_CHECKING:  # opening a collection for search need not import what builds one
    from lookalike.analysis.judgement import Evaluation, Splits
    from lookalike.builder.build import Report
    from lookalike.builder.edit import Pictures
    from lookalike.learning.finetune.result import FineTuned
    from lookalike.learning.identify import Proposals
    from lookalike.learning.trained import Trained


@checked_methods
class Collection(View):
    """An open collection; each call reads what is committed at that moment.

    `report` is what the build that returned it did, or None for a collection that was opened.
    """

    def __init__(self, path: Path, report: Report | None = None) -> None:
        super().__init__(path)
        self.report = report

    def __reduce__(self) -> tuple[Any, ...]:
        return Collection, (self.path, self.report)

    @property
    def manifest(self) -> Manifest:
        """Which model made the vectors, and from which sources."""
        return read_manifest(self.path)

    @property
    def model(self) -> LoadedModel:
        """The model that made the vectors; raises `ModelError` if another model has its name here."""
        return self.snapshot.model

    def fingerprint(self) -> str:
        """A name for this state of the collection: the same rows and model give the same text."""
        return State.read(self.path).fingerprint

    def failures(self) -> pa.Table:
        """The images that could not be read, one row each: id, uri, stage, error."""
        read_manifest(self.path)
        tables = list(each(list_parts(self.path, "failures"), Part.failures, self.path))
        return pa.concat_tables(tables) if tables else FAILURE_SCHEMA.empty_table()

    def verify(self) -> Iterator[str]:
        """Read every byte and yield one line for each problem; nothing if all is well."""
        from lookalike.storage.verify import problems

        yield from problems(self.path, self.manifest)
        yield from index_problems(self.path)

    def index(
        self,
        kind: str = "auto",
        *,
        max_memory_bytes: int | None = None,
        min_recall: float = 0.95,
    ) -> IndexInfo:
        """Build and measure an index, which makes search fast; see `index.build_index`."""
        read_manifest(self.path)  # before taking the lock, which would create the folder
        return build_index(self.path, kind, max_memory_bytes=max_memory_bytes, min_recall=min_recall)

    def add(self, pictures: Pictures, *, label: str | None = None) -> Report:
        """Add pictures without a source folder; see `builder.edit.add_pictures`."""
        from lookalike.builder.edit import add_pictures

        report = add_pictures(self.path, pictures, label=label)
        _refresh_index(self.path)
        return report

    def remove(self, ids: str | Iterable[str]) -> int:
        """Remove items by id; returns how many. An unknown id raises `UnknownIdError` and removes none."""
        from lookalike.builder.edit import remove_items

        count = remove_items(self.path, [ids] if isinstance(ids, str) else list(ids))
        _refresh_index(self.path)
        return count

    @property
    def marks(self) -> Marks:
        """What people have said about the pictures up to now; see `storage.marks`."""
        return self.snapshot.marks

    def mark(self, kind: str, ids: str | Sequence[str], value: Any = True) -> None:
        """Mark a picture, or several together; builds and renames keep the mark.

        `value` is anything JSON can hold; None withdraws an earlier mark. Raises `UnknownIdError`.
        """
        names = (ids,) if isinstance(ids, str) else tuple(ids)
        if not names:
            raise LookalikeError("a mark is about at least one item", "give an id, or several")
        snapshot = self.snapshot
        sha256s = tuple(snapshot.values("sha256", snapshot.rows_of(names)))
        write_marks(self.path, [Mark(datetime.now(UTC), kind, names, sha256s, value)])

    def not_duplicates(self, one: str, other: str, value: bool | None = True) -> None:
        """Mark two pictures as not duplicates, whatever is found; None withdraws the mark."""
        self.mark("not_duplicate", (one, other), value)

    def keep(self, id_: str, *, instead_of: str | None = None) -> None:
        """Mark this picture as the duplicate that stays; it is never moved because of another.

        The mark of the picture `instead_of`, if given, is withdrawn.
        """
        if instead_of is not None:
            self.mark("keep", instead_of, None)
        self.mark("keep", id_, True)

    def train(self, label: str | None = None, **options: Any) -> Trained | FineTuned:
        """The same as `lookalike.train(collection, ...)`."""
        return train(self, label=label, **options)

    def identify_missing(
        self,
        label: str = "label",
        *,
        right: float = 0.9,
        write: bool = False,
        on_progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Proposals:
        """Propose a label for each item without one that can be identified.

        `write` keeps them as marks for `confirm`; `on_progress` gets the numbers of items done and to do.
        """
        from lookalike.learning.identify import identify_missing, learned

        return self._ask(
            lambda engine, rows: identify_missing(
                learned(engine, label, rows=rows, right=right), rows, write=write, on_progress=on_progress
            )
        )

    def to_label(self, count: int = 5, label: str = "label") -> Items:
        """The items without a label that a person should label next: their labels would change most."""
        from lookalike.learning.choosing import to_label

        return self._ask(
            lambda engine, rows: Items(
                Item(engine.snapshot, engine.snapshot.row_of(id_))
                for id_ in to_label(engine.snapshot, count, label, rows=rows)
            )
        )

    def confirm(self, ids: str | Iterable[str] | None = None, *, label: str = "label") -> int:
        """Turn proposed labels into labels: all of them, or those of some items; returns how many."""
        from lookalike.learning.identify import confirm

        names = [ids] if isinstance(ids, str) else None if ids is None else list(ids)
        return confirm(self.snapshot, names, label)

    def reject(self, ids: str | Iterable[str], *, label: str = "label") -> None:
        """Withdraw the labels proposed for items; the same ones are not proposed again."""
        from lookalike.learning.identify import reject

        reject(self.snapshot, [ids] if isinstance(ids, str) else list(ids), label)

    def give_label(self, ids: str | Iterable[str], value: str, *, label: str = "label") -> None:
        """Mark the label of items; it replaces what the source said, and builds keep it."""
        from lookalike.learning.identify import give_labels

        give_labels(self.snapshot, dict.fromkeys([ids] if isinstance(ids, str) else ids, value), label)

    def words(self) -> list[OwnWord]:
        """The words of the collection itself, those that precede first; see `search.own_words`."""
        return self._ask(lambda engine, rows: list(engine.own_words.words))

    def teach(
        self,
        word: str | None = None,
        like: str | Path | Sequence[str | Path] = (),
        unlike: str | Path | Sequence[str | Path] = (),
    ) -> list[OwnWord]:
        """Teach a word by items that show it, and items that don't; returns the taught words.

        From now on it is a word to search for, a tag in the column `taught`, and a name for clusters.
        A text is an item's id, a `Path` the file of one. Examples are added to those of earlier calls;
        without a word, only the tags are made again. Raises `QueryError` for an invalid word, one without
        examples or a file that is no item's, and `UnknownIdError`.
        """
        liked, unliked = (
            [example_of(self.snapshot, one) for one in ((some,) if isinstance(some, str | Path) else some)]
            for some in (like, unlike)
        )
        if word is not None:
            teach(self.snapshot, word, liked, unliked, self._taught_names())
        return self._tag()

    def teach_from(self, column: str) -> list[OwnWord]:
        """Teach each value of a column of text, or each folder for `folder`; returns the taught words.

        Unlabelled pictures get the tags too, and later builds bring more examples.
        """
        teach_from(self.snapshot, column, self._taught_names())
        return self._tag()

    def forget(self, word: str) -> None:
        """Take back all that a word was taught; raises `QueryError` if nobody taught it."""
        forget(self.snapshot, word)
        self._tag()

    def _taught_names(self) -> dict[str, str]:
        return {spelling(one.name): one.name for one in self.words() if one.origin == "taught"}

    def _tag(self) -> list[OwnWord]:
        self._ask(lambda engine, rows: write_taught_tags(engine))
        return [one for one in self.words() if one.origin == "taught"]

    def export(
        self,
        target: str | Path,
        to: Literal["site", "npy", "parquet", "clip-retrieval", "image-embeddings"] = "site",
        **options: Any,
    ) -> Path:
        """Write the collection as a static site, or in another tool's format; see `export`."""
        from lookalike.export import export_image_embeddings, export_site, export_tables

        if to == "site":
            return export_site(self.snapshot, target, **options)
        if to == "image-embeddings":
            return export_image_embeddings(self.snapshot, target, **options)
        if to not in ("npy", "parquet", "clip-retrieval"):
            raise LookalikeError(
                f"unknown export format {to!r}",
                "known are: site, npy, parquet, clip-retrieval, image-embeddings",
            )
        return export_tables(self.snapshot, target, to, **options)

    def serve(self, **options: Any) -> None:
        """Serve the page and the API until Ctrl-C; see `server.serve` for the options."""
        from lookalike.server import serve

        serve([self.path], **options)

    def __repr__(self) -> str:
        try:
            count, model = len(self), self.manifest.model.name
            index = {"none": "none", "stale": "older than the collection"}.get(
                index_state(State.read(self.path)), "up to date"
            )
        except (LookalikeError, OSError) as error:  # a repr that fails would hide what it should show
            return f"Collection({self.name!r}: {error})"
        return f"Collection({self.name!r}: {counted(count, 'image')}, {model}, index: {index})"


@checked
def open_collection(
    path: str | os.PathLike[str], *, model: str | os.PathLike[str] | Model | None = None
) -> Collection:
    """Open the collection in a folder; raises `CollectionError` if there is none.

    `model` is its model, or the path of that, where it is not found by itself; it is registered then.
    """
    root = place(path)
    read_manifest(root)
    if model is not None:
        register(load_model(os.fspath(model)) if isinstance(model, str | os.PathLike) else model)
    return Collection(root)


@checked
def build(source: str | Path, collection: str | Path, **options: Any) -> Collection:
    """Build the collection of a source, or bring it and its index, if any, up to date.

    The options are those of `builder.build.build`; the collection's `report` says what was done.
    """
    from lookalike.builder.build import build

    if isinstance(options.get("model"), os.PathLike):
        options["model"] = os.fspath(options["model"])
    report = build(source, collection, **options)
    root = place(collection)
    _refresh_index(root)
    made = Collection(root, report)
    if is_taught(read_marks(root)) and len(made):
        made.teach()
    return made


@checked
def from_vectors(
    path: str | Path,
    vectors: NDArray[Any] | Iterable[Any],
    ids: Iterable[Any],
    *,
    columns: Mapping[str, Sequence[Any]] | pa.Table | None = None,
    model: str = "vectors",
    normalize: bool = True,
) -> Collection:
    """Make a collection from vectors (N, D) made elsewhere; see `builder.vectors.from_vectors`."""
    from lookalike.builder.vectors import from_vectors

    from_vectors(path, vectors, ids, columns=columns, model=model, normalize=normalize)
    return open_collection(path)


@checked
def import_vectors(
    source: str | Path, path: str | Path, *, metadata: str | Path | None = None, model: str = "imported"
) -> Collection:
    """Make a collection from a file of vectors; see `builder.vector_files.import_vectors`."""
    from lookalike.builder.vector_files import import_vectors

    import_vectors(source, path, metadata=metadata, model=model)
    return open_collection(path)


@checked
def evaluate(collection: View, label: str = "label", **options: Any) -> Evaluation | Splits:
    """The same as `collection.evaluate`."""
    found: Evaluation | Splits = collection.evaluate(label, **options)
    return found


@checked
def train(
    collection: Collection,
    *,
    label: str | None = None,
    events: str | Path | None = None,
    pairs: Any = None,
    triplets: Any = None,
    method: str = "auto",
    **options: Any,
) -> Trained | FineTuned:
    """Learn a better model from the labels in a column; see `learning.heads.train_head` for the options.

    The method `finetune` trains the network itself; see `learning.finetune.finetuning.finetune`. Of a Parquet
    or CSV file of `events`, it learns what people like; see `learning.behaviour.training.train_behaviour`.
    `pairs` of ids of the same thing, or `triplets`, a file or a table, are learned from without labels; see
    `learning.pair_heads.train_on_pairs`.

    `model.save(folder)` writes it. Raises `NoGainError` if held-out pictures are not found better by it.
    """
    given = {"label": label, "events": events, "pairs": pairs, "triplets": triplets}
    several = [f"`{name}`" for name, value in given.items() if value is not None]
    if len(several) > 1:
        raise LookalikeError(f"a model learns from one of {' and '.join(several)}", "leave the others out")
    if events is not None:
        from lookalike.learning.behaviour.training import train_behaviour

        return train_behaviour(collection.snapshot, events, objective=method, **options)
    if len(several) == 0:
        raise LookalikeError(
            "nothing to learn from",
            "name a column of labels: `label`, or a file of `pairs`, `triplets` or `events`",
        )
    if method == "finetune":
        from lookalike.learning.finetune.starting import train_network

        return train_network(collection.snapshot, label, pairs=pairs, triplets=triplets, **options)
    if label is None:
        from lookalike.learning.pair_heads import train_on_pairs

        return train_on_pairs(collection.snapshot, pairs=pairs, triplets=triplets, method=method, **options)
    from lookalike.learning.heads import train_head

    return train_head(collection.snapshot, label, method=method, **options)


def _refresh_index(root: Path) -> None:
    state = State.read(root)
    if state.count and index_state(state) == "stale":
        refresh(root)
