"""URLs in, shards of resized images out, with one row of status for every URL.

One event loop does the network and hands the bodies to threads, one a core, that decode and resize: the
decoders leave the interpreter lock alone. The list is read as it is needed, a few shards are open at a
time, and so memory does not grow with the list.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from lookalike.acquire.output import Output, open_output
from lookalike.acquire.report import DownloadReport, Tally
from lookalike.acquire.resize import Resize
from lookalike.acquire.seen import Seen
from lookalike.acquire.shards import writing_shard
from lookalike.acquire.status import (
    DUPLICATE,
    FAILED,
    FIELDS,
    SUCCESS,
    Chunk,
    chunks_left,
    column_name,
    failed_chunks,
    write_status,
)
from lookalike.errors import ImageError
from lookalike.fetch import FetchError, FetchOptions
from lookalike.fetch.fetcher import Fetcher
from lookalike.sources.url_lists import UrlList, open_url_list

SHARD_SIZE = 1000

# While the last URLs of a shard wait for slow hosts, this many further shards may be begun.
_OPEN_SHARDS = 4
_REPORT_EVERY_S = 0.5

# What is written beside each image, of its row in the status table.
_BESIDE = ("url", "width", "height", "original_width", "original_height", "sha256")

OnProgress = Callable[[DownloadReport], None]
Chunks = Iterator[tuple[Chunk, Sequence[bool]]]


def download(
    urls: str | Path,
    out: str | Path,
    *,
    url_column: str | None = None,
    metadata_columns: Sequence[str] | None = None,
    format: str = "tar",
    resize: Resize = Resize(),
    fetch: FetchOptions = FetchOptions(),
    shard_size: int = SHARD_SIZE,
    count: int | None = None,
    retry_failed: bool = False,
    threads: int | None = None,
    on_progress: OnProgress | None = None,
) -> DownloadReport:
    """Download a list of URLs into a folder of shards; goes on where an earlier run stopped.

    `count` limits the rows of the list, `retry_failed` takes only URLs that failed before, into new shards.
    `on_progress` is called twice a second.
    Raises `LookalikeError` for a list or a folder that cannot be used; a URL that fails is a row of status.
    """
    url_list = open_url_list(urls, url_column, metadata_columns)
    with open_output(Path(out), format, asdict(resize)) as output:
        if retry_failed:
            chunks = failed_chunks(output.status_folder, url_list.columns, shard_size)
        else:
            rows = islice(url_list.rows(), count)
            chunks = chunks_left(rows, output.status_folder, shard_size, Seen())
        run = _Run(output, url_list, resize, fetch, threads or os.cpu_count() or 1)
        try:
            asyncio.run(run.all(chunks, on_progress))
        except BaseExceptionGroup as group:
            raise _first(group) from None
        finally:
            output.write_report(run.report().as_dict())
    return run.report()


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


class _Shard:
    """A shard that is being filled: images go to its file as they come, rows wait for the commit."""

    def __init__(self, output: Output, chunk: Chunk, columns: Mapping[str, pa.DataType]) -> None:
        self.chunk = chunk
        self.left = len(chunk.rows)
        self._output, self._columns = output, columns
        self._rows: list[dict[str, Any]] = [
            {
                "key": output.key(chunk.number, index),
                "url": url,
                **{column_name(name): value for name, value in metadata.items()},
            }
            for index, (url, metadata) in enumerate(chunk.rows)
        ]
        self._listed = [column_name(name) for name in columns]
        types = {field.name: field.type for field in FIELDS if field.name in _BESIDE}
        types |= dict(zip(self._listed, columns.values(), strict=True))
        self._stack = ExitStack()
        self._add = self._stack.enter_context(writing_shard(output.shard(chunk.number), output.format, types))

    def add(self, index: int, outcome: Mapping[str, Any], data: bytes | None = None) -> None:
        """Complete a row, and write its image where there is one."""
        row = self._rows[index]
        row.update(outcome)
        if data is not None:
            self._add(row["key"], data, {name: row[name] for name in (*_BESIDE, *self._listed)})
        self.left -= 1

    def commit(self) -> None:
        self._stack.close()
        write_status(self._output.status(self.chunk.number), self.chunk, self._rows, self._columns)

    def abandon(self) -> None:
        """Remove what is written; does nothing after a commit."""
        error = InterruptedError("abandoned")
        with self._stack:  # the file removes itself when it sees an error
            raise error


class _Run:
    """One run of a download."""

    def __init__(
        self, output: Output, url_list: UrlList, resize: Resize, options: FetchOptions, threads: int
    ) -> None:
        self._output, self._columns, self._resize = output, url_list.columns, resize
        self._decoders = ThreadPoolExecutor(threads, "decode")
        self._tally = Tally()
        self._fetcher = Fetcher(options)
        self._window = asyncio.Semaphore(16 * options.concurrency)
        self._open_shards = asyncio.Semaphore(_OPEN_SHARDS)
