"""The output folder of a download: its lock, its file names, and the clean-up after a kill.

shards/
  download.json     how the images are made; a later run must make them the same way
  00000.tar         images
  00000.parquet     one row for every URL of the shard; it is what commits the shard
  report.json       of the last run
  .begun-00001      while a shard is written: proof that its files belong to the download
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock

from lookalike.acquire.shards import FORMATS, shard_path
from lookalike.acquire.status import status_files
from lookalike.errors import LockedError, LookalikeError
from lookalike.sources.notes import DOWNLOAD_NOTES, DOWNLOADED
from lookalike.storage.files import TEMPORARY_SUFFIX, storage_error, temporary_name, write_bytes

REPORT, LOCK = "report.json", ".lock"
_BEGUN = re.compile(r"\.begun-(\d{5,})")


@dataclass(frozen=True, slots=True)
class Output:
    """An open output folder."""

    path: Path
    format: str

    @property
    def status_folder(self) -> Path:
        """Beside the shards, unless these are Parquet or a folder; readers skip names with `_`."""
        return self.path / "_status" if self.format in ("parquet", "folder") else self.path

    def shard(self, number: int) -> Path:
        return shard_path(self.path, number, self.format)

    def status(self, number: int) -> Path:
        return self.status_folder / f"{number:05d}.parquet"

    def key(self, number: int, row: int) -> str:
        """Name an image by its shard and row; in the format `folder`, each shard has a folder."""
        key = f"{number:05d}{row:05d}"
        return f"{number:05d}/{key}" if self.format == "folder" else key

    def is_free(self, number: int) -> bool:
        """Whether nothing in the folder has the name of the shard, or that of one of its files."""
        mine = (self.shard(number), self.status(number), self.path / f"{number:05d}")
        return not any(os.path.lexists(one) for path in mine for one in (path, temporary_name(path)))

    def begin(self, number: int) -> None:
        """Note that the files of a shard, before any exist, are the download's own."""
        self._note(number).touch()

    def finish(self, number: int) -> None:
        """Note that the shard is committed."""
        self._note(number).unlink(missing_ok=True)

    def remove_unfinished(self) -> None:
        """Remove the files of shards that were begun but not committed, and nothing else."""
        committed = status_files(self.status_folder)
        for entry in list(self.path.iterdir()):
            if match := _BEGUN.fullmatch(entry.name):
                if int(match[1]) not in committed:
                    self._remove_shard(int(match[1]))
                entry.unlink()
        for path in (self.path / DOWNLOAD_NOTES, self.path / REPORT):
            temporary_name(path).unlink(missing_ok=True)

    def _note(self, number: int) -> Path:
        return self.path / f".begun-{number:05d}"

    def _remove_shard(self, number: int) -> None:
        for path in (self.shard(number), self.status(number)):
            path.unlink(missing_ok=True)
            temporary_name(path).unlink(missing_ok=True)
        folder = self.path / f"{number:05d}"
        if self.format != "folder" or not folder.is_dir() or folder.is_symlink():
            return
        images = re.compile(rf"{number:05d}\d{{5,}}(\.\w+){{0,3}}")
        for entry in list(folder.iterdir()):
            if images.fullmatch(entry.name) and entry.is_file() and not entry.is_symlink():
                entry.unlink()
        with suppress(OSError):  # it has other files
            folder.rmdir()

    def write_report(self, report: Mapping[str, Any]) -> None:
        write_bytes(self.path / REPORT, (json.dumps(report, indent=2) + "\n").encode())


@contextmanager
def open_output(path: Path, format_: str, recipe: Mapping[str, Any]) -> Iterator[Output]:
    """Open and lock the folder, and remove what a killed run left unfinished.

    `recipe` says how images are made. Raises `LookalikeError` if the folder has anything else, or
    images made in another way.
    """
    if format_ not in FORMATS:
        raise LookalikeError(f"unknown format {format_!r}", f"known are: {', '.join(FORMATS)}")
    wanted = {"made_by": DOWNLOADED, "format": format_, **recipe}
    _check(path, wanted)
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(path / LOCK, blocking=False)
        with lock:
            write_bytes(path / DOWNLOAD_NOTES, (json.dumps(wanted, indent=2) + "\n").encode())
            output = Output(path, format_)
            output.remove_unfinished()
            try:
                yield output
            finally:
                with suppress(OSError):
                    output.remove_unfinished()
    except filelock.Timeout:
        raise LockedError(f"another download is writing {path}", "wait until it finishes") from None
    except OSError as error:
        raise storage_error(path, error) from error


def _check(path: Path, wanted: Mapping[str, Any]) -> None:
    """Raise `LookalikeError` unless a folder is free, or has a download with the wanted options."""
    another = "give another folder"
    if path.exists() and not path.is_dir():
        raise LookalikeError(f"{path} is a file", another)
    if not path.is_dir() or all(
        entry.name in (LOCK, DOWNLOAD_NOTES + TEMPORARY_SUFFIX) for entry in path.iterdir()
    ):
        return
    try:
        found = json.loads((path / DOWNLOAD_NOTES).read_bytes())
        if not isinstance(found, dict):
            raise ValueError(found)
    except (OSError, ValueError):
        raise LookalikeError(f"{path} has other files, not a download", another) from None
    for name, value in wanted.items():
        if found.get(name) != value:
            raise LookalikeError(
                f"{path} has images made with {name} = {found.get(name)}, not {value}",
                f"use the same options to continue there, or {another}",
            )
