"""The output folder of a download: its lock, its file names, and the clean-up after a kill.

shards/
  download.json     how the images are made; a later run has to make them the same way
  00000.tar         images
  00000.parquet     one row for every URL of the shard; it is what commits the shard
  report.json       of the last run
"""

from __future__ import annotations

import json
import re
import shutil
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
from lookalike.storage.files import TEMPORARY_SUFFIX, storage_error, write_bytes

REPORT, LOCK = "report.json", ".lock"
_SHARD = re.compile(r"(\d{5,})(\..+)?")


@dataclass(frozen=True, slots=True)
class Output:
    """An open output folder."""

    path: Path
    format: str

    @property
    def status_folder(self) -> Path:
        """Beside the shards, unless Parquet files are there already; readers pass over names with `_`."""
        return self.path / "_status" if self.format in ("parquet", "folder") else self.path

    def shard(self, number: int) -> Path:
        return shard_path(self.path, number, self.format)

    def status(self, number: int) -> Path:
        return self.status_folder / f"{number:05d}.parquet"

    def key(self, number: int, row: int) -> str:
        """Name an image by its shard and row; in the format `folder`, each shard has a folder."""
        key = f"{number:05d}{row:05d}"
        return f"{number:05d}/{key}" if self.format == "folder" else key

    def write_report(self, report: Mapping[str, Any]) -> None:
        write_bytes(self.path / REPORT, (json.dumps(report, indent=2) + "\n").encode())


@contextmanager
def open_output(path: Path, format_: str, recipe: Mapping[str, Any]) -> Iterator[Output]:
    """Open and lock the folder, and remove what a killed run left unfinished.

    `recipe` says how images are made. Raises `LookalikeError` where the folder holds anything else, or
    images that were made in another way.
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
            _remove_unfinished(output)
            try:
                yield output
            finally:
                with suppress(OSError):
                    _remove_unfinished(output)
    except filelock.Timeout:
        raise LockedError(f"another download is writing {path}", "wait until it has finished") from None
    except OSError as error:
        raise storage_error(path, error) from error


def _check(path: Path, wanted: Mapping[str, Any]) -> None:
    another = "give another folder"
    if path.exists() and not path.is_dir():
        raise LookalikeError(f"{path} is a file", another)
    if not path.is_dir() or all(
        entry.name in (LOCK, DOWNLOAD_NOTES + TEMPORARY_SUFFIX) for entry in path.iterdir()
    ):
        return
    try:
        found = json.loads((path / DOWNLOAD_NOTES).read_bytes())
    except (OSError, ValueError):
        raise LookalikeError(f"{path} holds other files, not a download", another) from None
    for name, value in wanted.items():
        if found.get(name) != value:
            raise LookalikeError(
                f"{path} holds images made with {name} = {found.get(name)}, not {value}",
                f"use the same options to go on there, or {another}",
            )


def _remove_unfinished(output: Output) -> None:
    """Remove shards without a status table, and temporary files."""
    committed = status_files(output.status_folder)
    for entry in output.path.iterdir():
        match = _SHARD.fullmatch(entry.name)
        if match and int(match[1]) not in committed:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    for folder in {output.path, output.status_folder}:
        for leftover in folder.glob(f"*{TEMPORARY_SUFFIX}"):
            leftover.unlink(missing_ok=True)
