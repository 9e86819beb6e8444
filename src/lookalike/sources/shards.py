"""Shards: files with many images each, in the formats of WebDataset, TensorFlow and Parquet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from lookalike.errors import SourceError
from lookalike.sources import table, tar, tfrecord
from lookalike.sources.addresses import bare_name, is_pattern, kind_of
from lookalike.sources.notes import notes_beside
from lookalike.sources.sample import Sample
from lookalike.sources.shard import Columns, Shard, folder_uri, shard_uri
from lookalike.storage.parts import Failure


@dataclass(frozen=True, slots=True)
class Shards:
    """The images in some shards, all of one kind.

    `root` is the folder that their names in ids are relative to. `whole` is true if the address means
    everything below it; if a shard is gone, its rows then go too. `passed_over` counts the files in the
    shards of the last listing that are not named like pictures, by their ending.
    """

    address: str
    root: Path
    paths: tuple[Path, ...]
    columns: Columns = Columns()
    whole: bool = False
    passed_over: Counter[str] = field(default_factory=Counter, compare=False)

    def __str__(self) -> str:
        return self.address

    @property
    def uri(self) -> str:
        if len(self.paths) == 1 and not self.whole and not is_pattern(self.address):
            return shard_uri(self.paths[0])
        return folder_uri(self.root)

    @property
    def scope(self) -> tuple[str, ...]:
        return (self.uri,) if self.whole else tuple(shard_uri(path) for path in self.paths)

    def samples(self) -> Iterator[Sample | Failure]:
        """Raise `SourceError` if none of the shards has images, naming the columns of the first."""
        self.passed_over.clear()
        refused: list[SourceError] = []
        notes = {folder: notes_beside(folder) for folder in {path.parent for path in self.paths}}
        for path in self.paths:
            name = bare_name(path.relative_to(self.root).as_posix())
            shard = Shard(path, name, self.columns, notes=notes[path.parent], passed_over=self.passed_over)
            try:
                shard = replace(shard, mtime_ns=path.stat().st_mtime_ns)
                yield from _reader(kind_of(path))(shard)
            except OSError as error:
                yield shard.failure("", error.strerror or str(error))
            except SourceError as error:
                refused.append(error)
                yield shard.failure("", error.message)
        if refused and len(refused) == len(self.paths):
            raise refused[0]


def _reader(kind: str | None) -> Callable[[Shard], Iterator[Sample | Failure]]:
    readers = {"tar": tar.samples, "tfrecord": tfrecord.samples, "table": table.samples}
    return readers[kind or ""]
