"""The manifest of a collection, `collection.json`: which model made the vectors, and from which sources."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lookalike.errors import CollectionError, StoreError, call_of_build
from lookalike.models.spec import ModelSpec
from lookalike.storage.files import write_bytes

FORMAT, FORMAT_VERSION = "lookalike-collection", 1
MANIFEST_NAME = "collection.json"


@dataclass(frozen=True, slots=True)
class Manifest:
    """The contents of `collection.json`.

    `sources` maps the address of each source to the options that made the labels of its rows. `model_path`
    is where a model that is a file or a folder was found; it may be elsewhere by now. `tags` is the
    user's list of tags, empty for those of the model.
    """

    model: ModelSpec
    dtype: str = "float32"
    sources: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)
    model_path: str = ""
    tags: tuple[str, ...] = ()

    def to_json(self) -> bytes:
        """The text of the file, sorted and indented so that people can read it too."""
        written = {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "model": self.model.to_fields(),
            "dtype": self.dtype,
            "sources": dict(self.sources),
            **({"model_path": self.model_path} if self.model_path else {}),
            **({"tags": list(self.tags)} if self.tags else {}),
        }
        return (json.dumps(written, indent=2, ensure_ascii=False) + "\n").encode()

    def with_source(self, uri: str, options: Mapping[str, str | None]) -> Manifest:
        """Return the manifest with a source and the options of its last build."""
        return replace(self, sources={**self.sources, uri: dict(options)})

    def without_source(self, uri: str) -> Manifest:
        """The manifest without a source."""
        return replace(self, sources={one: given for one, given in self.sources.items() if one != uri})

    @staticmethod
    def read(path: Path) -> Manifest:
        """Read and check a manifest; raises `CollectionError` if the file is not one.

        Unknown fields are ignored, and a whole number serves as a float.
        """
        try:
            return Manifest.parse(path.read_bytes(), path)
        except StoreError:
            raise
        except OSError as error:
            raise CollectionError(f"{path} cannot be read: {error}") from None

    @staticmethod
    def parse(data: bytes, path: Path) -> Manifest:
        """Parse the bytes of the manifest at `path`; raises `CollectionError`."""
        try:
            found = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise CollectionError(f"{path} cannot be read: {error}") from None
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise CollectionError(f"{path} is not the manifest of a Lookalike collection")
        version = found.get("version")
        if type(version) is not int or version < 1:
            raise CollectionError(f"{path} has an invalid version: {version}")
        if version > FORMAT_VERSION:
            raise CollectionError(
                f"{path.parent} has format version {version}, this Lookalike reads up to {FORMAT_VERSION}",
                "upgrade Lookalike",
            )
        try:
            return Manifest(
                ModelSpec.from_fields(found["model"]),
                check_dtype(found["dtype"]),
                _sources(found["sources"]),
                _path(found.get("model_path", "")),
                _tags(found.get("tags", [])),
            )
        except (KeyError, TypeError, ValueError, CollectionError) as error:
            raise CollectionError(f"{path} lacks a field or has an invalid one: {error}") from None


def _sources(given: Any) -> Mapping[str, Mapping[str, str | None]]:
    if not isinstance(given, dict) or not all(isinstance(one, dict) for one in given.values()):
        raise TypeError(f"sources {given}")
    return given


def _path(given: Any) -> str:
    if not isinstance(given, str):
        raise TypeError(f"model_path {given}")
    return given


def _tags(given: Any) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise TypeError("tags")
    return tuple(given)


def check_dtype(dtype: str) -> str:
    """Return the dtype of stored vectors if it is valid; raises `CollectionError` otherwise."""
    if dtype not in ("float32", "float16"):
        raise CollectionError(f"unknown dtype {dtype!r}", "known are: float32, float16")
    return dtype


def is_collection(root: Path) -> bool:
    """Whether a folder holds a collection, judged by its manifest."""
    return (root / MANIFEST_NAME).is_file()


def read_manifest(root: Path) -> Manifest:
    """Read the manifest of the collection in a folder; raises `CollectionError` if there is none."""
    if not root.is_dir():
        hint = f"make one with: {call_of_build(root)}"
        raise CollectionError(f"there is no collection at {root}", hint)
    if not is_collection(root):
        raise CollectionError(
            f"{root} is not a collection: it holds no {MANIFEST_NAME}",
            f"make one with: `lookalike.build({str(root)!r}, collection=path)`",
        )
    return Manifest.read(root / MANIFEST_NAME)


def write_manifest(root: Path, manifest: Manifest) -> None:
    """Put a manifest into force atomically."""
    write_bytes(root / MANIFEST_NAME, manifest.to_json())
