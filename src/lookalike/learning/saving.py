"""Writes the folder of a model that was learned: whole, or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lookalike.models.class_words import ClassWords, files_of
from lookalike.models.head_model import Branch, Layer, to_files
from lookalike.models.model_folder import check_free, making_folder
from lookalike.models.registry import check_name
from lookalike.models.spec import ModelSpec, check_model_name
from lookalike.storage.columns import jsonable
from lookalike.storage.files import storage_error, sync_folder

REPORT = "report.json"


def save_head(
    folder: str | Path,
    name: str,
    base: ModelSpec,
    layers: Sequence[Layer | Branch],
    *,
    base_path: str = "",
    words: ClassWords | None = None,
    report: Mapping[str, Any] | None = None,
    files: Mapping[str, bytes] | None = None,
    fields: Mapping[str, Any] | None = None,
) -> None:
    """Make the folder of a head on the vectors of `base`, with its own words, its report and other files.

    `base_path` is where a base that is a file or a folder is found, `fields` are further ones of the
    description. Raises `ModelError` if there is something
    at `folder` already or the layers do not fit, `StorageError` if the disk is full or cannot be written.
    """
    written = to_files(name, base, layers, base_path, fields)
    if words is not None:
        written |= files_of(words)
    save_model(folder, name, {**written, **(files or {})}, report)


def save_model(
    folder: str | Path, name: str, files: Mapping[str, bytes], report: Mapping[str, Any] | None = None
) -> None:
    """Make the folder of a model from its files, by name, and its report; raises as `save_head`."""
    check_name(name)
    check_model_name(name)
    target = Path(folder)
    check_free(target)
    if report is not None:
        files = {
            **files,
            REPORT: (json.dumps(jsonable(dict(report)), indent=2, ensure_ascii=False) + "\n").encode(),
        }
    try:
        with making_folder(target) as made:
            for file_name, data in files.items():
                _write(made / file_name, data)
        sync_folder(target.parent)
    except OSError as error:
        raise storage_error(target, error) from error


def is_trained(path: str) -> bool:
    """Whether there is a model at `path` that was learned here."""
    return bool(path) and (Path(path) / REPORT).is_file()


def check_out(folder: str | Path) -> None:
    """Find out, before anything is learned, whether a model can be written to a folder.

    Raises `ModelError` if there is something already, `StorageError` if its folder cannot be written to.
    """
    target = Path(folder)
    check_free(target)
    above = next(one for one in target.absolute().parents if os.path.lexists(one))
    try:
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=above):
            pass
    except OSError as error:
        raise storage_error(above, error) from error


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
