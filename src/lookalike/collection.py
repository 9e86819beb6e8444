"""THE format: a collection is a folder that holds the embeddings of images and where they came from.

    flowers.lookalike/
      collection.json               format version, model, sources
      model-….npz                   what a model like `sift` learned from the images; others have none
      items/part-000000.parquet     one row an embedded image
      failures/part-000000.parquet  one row an image that could not be read
      thumbnails/part-000000-….tar  JPEGs; a row of items knows its byte range
      derived/                      what can be rebuilt

Only `items/`, `collection.json` and what the model learned are truth. docs/format.md specifies every field.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, astuple, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, overload

import filelock
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lookalike.builder.learned import FILE_NAME, read_learned, remove_others, write_learned
from lookalike.errors import CollectionError, LockedError, ModelError
from lookalike.models.model import LoadedModel
from lookalike.models.registry import load_model
from lookalike.models.spec import ModelSpec
from lookalike.storage.files import (
    TEMPORARY_SUFFIX,
    check_writable,
    remove_temporary,
    remove_tree,
    storage_error,
    write_bytes,
)
from lookalike.storage.leases import lease
from lookalike.storage.parts import FAILURE_SCHEMA, ITEM_FIELDS, Part, list_parts
from lookalike.storage.stores import each, is_remote, place

if TYPE_CHECKING:
    from lookalike.search.query import Asked
    from lookalike.search.results import Results

FORMAT, FORMAT_VERSION = "lookalike-collection", 1
MANIFEST_NAME, LOCK_NAME = "collection.json", ".lock"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What `collection.json` says: which model made the vectors, and from which sources.

    `sources` maps the address of each source to the options that its rows were labelled with.
    """

    model: ModelSpec
    dtype: str = "float32"
    sources: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)

    def to_json(self) -> bytes:
        """The text of the file: sorted and indented, to be read by people too."""
        fields = {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "model": asdict(self.model),
            "dtype": self.dtype,
            "sources": dict(self.sources),
        }
        return (json.dumps(fields, indent=2, ensure_ascii=False) + "\n").encode()

    @staticmethod
    def read(path: Path) -> Manifest:
        """Read and check a manifest; raises `CollectionError` for anything that is not one."""
        try:
            fields = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise CollectionError(f"{path} cannot be read: {error}") from None
        if not isinstance(fields, dict) or fields.get("format") != FORMAT:
            raise CollectionError(f"{path} is not the manifest of a Lookalike collection")
        version = fields.get("version")
        if type(version) is not int or version < 1:
            raise CollectionError(f"{path} states no version that could be: {version}")
        if version > FORMAT_VERSION:
            raise CollectionError(
                f"{path.parent} has format version {version}, this Lookalike reads up to {FORMAT_VERSION}",
                "upgrade with: pip install --upgrade lookalike",
            )
        try:
            spec = ModelSpec(**fields["model"])
            manifest = Manifest(spec, check_dtype(fields["dtype"]), fields["sources"])
            if not all(map(isinstance, astuple(spec), (str, str, int, int, float))):
                raise TypeError(f"model {fields['model']}")
            sources = manifest.sources
            if not isinstance(sources, dict) or not all(isinstance(one, dict) for one in sources.values()):
                raise TypeError(f"sources {sources}")
        except (KeyError, TypeError, CollectionError) as error:
            raise CollectionError(f"{path} lacks a field or has one that makes no sense: {error}") from None
        return manifest


@dataclass(frozen=True)
class Collection:
    """An open collection; its methods read what is committed at the time of the call."""

    path: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        """The folder's name without its ending."""
        return self.path.name.removesuffix(".lookalike")

    def parts(self) -> list[Part]:
        """The parts with committed rows, in order."""
        return list_parts(self.path, "items")

    def __len__(self) -> int:
        return sum(each(self.parts(), Part.num_rows, self.path))

    def items(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows without the embedding, part after part."""

        def rows(part: Part) -> pa.Table:
            return part.items(columns) if columns else part.described()

        tables = list(each(self.parts(), rows, self.path))
        if tables:
            return pa.concat_tables(tables, promote_options="permissive")
        schema = pa.schema(ITEM_FIELDS)
        return schema.empty_table().select(columns or schema.names)

    def embeddings(self) -> NDArray[np.float32]:
        """(N, D) float32, C-contiguous, unit length; rows in the order of `items()`."""
        vectors = np.empty((len(self), self.manifest.model.dim), np.float32)
        start = 0
        for rows in each(self.parts(), Part.embeddings, self.path):
            vectors[start : start + len(rows)] = rows
            start += len(rows)
        return vectors

    def failures(self) -> pa.Table:
        """One row an image that could not be read: id, uri, stage, error."""
        tables = list(each(list_parts(self.path, "failures"), Part.failures, self.path))
        return pa.concat_tables(tables) if tables else FAILURE_SCHEMA.empty_table()

    def thumbnails(self, ids: Iterable[str]) -> dict[str, bytes]:
        """The JPEGs of these items by id, those that have none left out; reads each part once."""
        wanted, found = set(ids), dict[str, bytes]()
        for part in self.parts():
            here = [id_ for id_ in part.items(["id"])["id"].to_pylist() if id_ in wanted]
            if here:
                found |= {id_: jpeg for id_, jpeg in zip(here, part.thumbnails(here), strict=True) if jpeg}
        return found

    def fingerprint(self) -> str:
        """Names this state of the collection: the same rows of the same model give the same text."""
        state = hashlib.sha256(json.dumps(asdict(self.manifest.model)).encode())
        parts = self.parts()
        for part, checksum in zip(parts, each(parts, Part.checksum, self.path), strict=True):
            state.update(f"{part.number} {checksum}\n".encode())
        return state.hexdigest()

    @cached_property
    def model(self) -> LoadedModel:
        """The model that made the vectors; raises `ModelError` where another has its name here."""
        return self.load_model("cpu")

    def load_model(self, device: str) -> LoadedModel:
        """The model that made the vectors, on the device; `ModelError` where it is another one."""
        pinned = self.manifest.model
        if not pinned.sha256:
            raise ModelError(
                f"the vectors of {self.path} were made elsewhere, by {pinned.name}, which is not here",
                "search by id:… or by a vector",
            )
        model = load_model(pinned.name, device=device, learned=read_learned(self.path, pinned))
        if model.spec != pinned:
            raise ModelError(
                f"{self.path} was embedded with another version of {pinned.name}, whose vectors "
                "cannot be compared with this one's",
                f"embed it again with: lookalike build SOURCE -c {self.path} --rebuild",
            )
        return model

    # The imports that point up: a method is where a reader looks for search.
    @overload
    def search(
        self,
        query: Asked,
        k: int = 10,
        *,
        where: str | None = None,
        include_query: bool = False,
        min_confidence: float = 0.0,
    ) -> Results: ...
    @overload
    def search(
        self,
        query: list[Asked],
        k: int = 10,
        *,
        where: str | None = None,
        include_query: bool = False,
        min_confidence: float = 0.0,
    ) -> list[Results]: ...
    def search(
        self,
        query: Asked | list[Asked],
        k: int = 10,
        *,
        where: str | None = None,
        include_query: bool = False,
        min_confidence: float = 0.0,
    ) -> Results | list[Results]:
        """The k nearest items of a query, or of each in a list of queries.

        A query is a picture (a path, encoded bytes, a Pillow image, an array), an `Id`, a `Text`, a
        `Vector`, or a sum of them. `where` is an SQL condition over the columns: only rows for which it
        holds are found. Items that stand in the query are left out, unless `include_query`, and so are hits
        whose confidence in [0, 1] is below `min_confidence`: those that chance would give too.
        """
        from lookalike.search.search import search_many

        queries = query if isinstance(query, list) else [query]
        found = search_many(
            self, queries, k, where=where, include_query=include_query, min_confidence=min_confidence
        )
        return found if isinstance(query, list) else found[0]

    def recommend(
        self,
        liked: Sequence[Asked],
        disliked: Sequence[Asked] = (),
        k: int = 10,
        *,
        where: str | None = None,
        diverse: float = 0.0,
    ) -> Results:
        """The k items most like the average of what is liked, and unlike what is disliked."""
        from lookalike.search.recommend import recommend

        return recommend(self, liked, disliked, k, where=where, diverse=diverse)

    def verify(self) -> Iterator[str]:
        """Read every byte and say what is wrong, a line each; nothing where all is well."""
        try:
            read_learned(self.path, self.manifest.model)
        except ModelError as error:
            yield str(error)
        seen: set[str] = set()
        parts = sorted({*self.parts(), *list_parts(self.path, "failures")}, key=lambda p: p.number)
        for part, problems in zip(parts, each(parts, Part.problems, self.path), strict=True):
            yield from problems
            if not problems and part.items_path.exists():
                yield from _row_problems(part, self.manifest.model.dim, seen)

    def with_source(self, uri: str, options: Mapping[str, str | None]) -> Collection:
        """Record a source and the options of its last build in the manifest."""
        sources = {**self.manifest.sources, uri: dict(options)}
        manifest = replace(self.manifest, sources=sources)
        if manifest != self.manifest:
            write_bytes(self.path / MANIFEST_NAME, manifest.to_json())
        return replace(self, manifest=manifest)


def open_collection(path: str | os.PathLike[str]) -> Collection:
    """Open the collection in a folder; raises `CollectionError` where there is none."""
    root = place(path)
    if not root.is_dir():
        hint = f"make one with: lookalike build FOLDER -c {root}"
        raise CollectionError(f"there is no collection at {root}", hint)
    if not (root / MANIFEST_NAME).is_file():
        raise CollectionError(
            f"{root} is not a collection: it holds no {MANIFEST_NAME}",
            f"make one with: lookalike build {root}",
        )
    return Collection(root, Manifest.read(root / MANIFEST_NAME))


def check_dtype(dtype: str) -> str:
    """The dtype of stored vectors; raises `CollectionError` for one that cannot be."""
    if dtype not in ("float32", "float16"):
        raise CollectionError(f"unknown dtype {dtype!r}", "known are: float32, float16")
    return dtype


def check_target(root: Path) -> None:
    """Raise `CollectionError` where a collection cannot be made or updated: other files are there."""
    check_writable(root)
    if root.exists() and not root.is_dir():
        raise CollectionError(f"{root} is a file", "give another path with -c")
    strange = root.is_dir() and not is_collection(root)
    own = {LOCK_NAME, MANIFEST_NAME + TEMPORARY_SUFFIX}  # what a build killed at its start leaves
    if strange and any(one.name not in own and not FILE_NAME.match(one.name) for one in root.iterdir()):
        raise CollectionError(f"{root} holds other files and is no collection", "give another path with -c")


def create_collection(root: Path, manifest: Manifest, learned: bytes | None = None) -> Collection:
    """Make an empty collection, in place of the one that is there; call with the lock held.

    `learned` is what the model learned from the images: the manifest then names that.
    """
    check_target(root)
    for name in ("items", "failures", "thumbnails", "derived"):
        remove_tree(root / name)
    if learned is not None:
        model = replace(manifest.model, sha256=write_learned(root, learned))
        manifest = replace(manifest, model=model)
    write_bytes(root / MANIFEST_NAME, manifest.to_json())
    remove_others(root, manifest.model)
    return Collection(root, manifest)


@contextmanager
def writing(root: Path) -> Iterator[Callable[[], None]]:
    """Hold the lock that one writer of the folder `root` has; `LockedError` where another holds it.

    What a killed writer left half written is removed. Yields a function that raises `LockedError` once the
    lock is lost, which only happens in an object store, to a writer that was stopped for long.
    """
    path = root / LOCK_NAME
    with lease(path) if is_remote(path) else _file_lock(path) as check:
        try:
            _remove_leftovers(root)
            yield check
            check()
        except BaseException:
            with suppress(CollectionError, OSError):  # a full disk needs the room of what is half done
                check()
                _remove_leftovers(root)
            raise


@contextmanager
def _file_lock(path: Path) -> Iterator[Callable[[], None]]:
    """A lock on a local file, which the operating system frees when its holder dies: it is never lost."""
    lock = filelock.FileLock(path, blocking=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except filelock.Timeout:
        raise LockedError(
            f"{path.parent} is being written by another process, which holds {path}",
            "wait until it has finished",
        ) from None
    except OSError as error:
        raise storage_error(path, error) from error
    try:
        yield lambda: None
    finally:
        lock.release()


def _remove_leftovers(root: Path) -> None:
    """Files that a killed writer left: temporary ones, and tars that no committed part names."""
    if not is_collection(root):
        return
    remove_temporary(root)
    remove_others(root, Manifest.read(root / MANIFEST_NAME).model)
    named = set(each(list_parts(root), Part.thumbnails_path, root))
    for tar in (root / "thumbnails").glob("*.tar"):
        if tar not in named:
            tar.unlink()


def is_collection(path: Path) -> bool:
    """Whether a folder is a collection, by its manifest."""
    return (path / MANIFEST_NAME).is_file()


def _row_problems(part: Part, dim: int, seen: set[str]) -> Iterator[str]:
    """What is wrong with rows that were written as they are: ids twice, vectors that are none."""
    rows = part.items(["id", "thumb_offset", "thumb_size"])
    ids = rows["id"].to_pylist()
    for id_ in ids:
        if id_ in seen:
            yield f"{part.items_path}: the id {id_} is there twice"
        seen.add(id_)
    vectors = part.embeddings()
    if vectors.shape[1] != dim:
        yield f"{part.items_path}: {vectors.shape[1]} dimensions, the model has {dim}"
    norms = np.linalg.norm(vectors, axis=1)
    for row in np.flatnonzero(~(np.abs(norms - 1) < 0.01)):
        yield f"{part.items_path}: the embedding of {ids[row]} is not of unit length"
    tar_size = part.thumbnails_path().stat().st_size
    ends = pc.add(rows["thumb_offset"], rows["thumb_size"])
    starts = [pc.min(rows[name]).as_py() or 0 for name in ("thumb_offset", "thumb_size")]
    if min(starts) < 0 or (pc.max(ends).as_py() or 0) > tar_size:
        yield f"{part.items_path}: a thumbnail lies outside its tar"
