"""Opens sources of images: an address goes in, Samples come out."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from lookalike.errors import SourceError
from lookalike.sources.addresses import expand, is_pattern, kind_of, shards_below
from lookalike.sources.described import described
from lookalike.sources.fetch import FetchOptions
from lookalike.sources.folder import Folder
from lookalike.sources.paths import read_paths
from lookalike.sources.sample import Sample
from lookalike.sources.shard import Columns
from lookalike.sources.shards import Shards
from lookalike.sources.store import StoreFolder
from lookalike.sources.url_lists import is_url_list, open_url_list
from lookalike.storage.parts import Failure
from lookalike.storage.stores import is_remote, place


@runtime_checkable
class Source(Protocol):
    """A source of images.

    `uri` is the prefix that all its samples' URIs share, and no other source's.
    `scope` are the prefixes for which its listing is complete: an image there that is not listed is gone.
    Its `str` is the address as a person gave it.
    """

    @property
    def uri(self) -> str: ...

    @property
    def scope(self) -> tuple[str, ...]: ...

    def samples(self) -> Iterator[Sample | Failure]:
        """Yield every image in a fixed order, unread, and a failure for whatever could not be listed.

        A failure whose URI ends in `/` or `#` stands for everything below it.
        """
        ...


@runtime_checkable
class SlowSource(Source, Protocol):
    """A source that waits for the network, so `read_ahead` samples should be read at once."""

    @property
    def read_ahead(self) -> int: ...

    def close(self) -> None:
        """Stop the reads in progress; they raise."""
        ...


def closing_source(source: Source) -> AbstractContextManager[object]:
    """Return a context that closes a slow source on exit."""
    return closing(source) if isinstance(source, SlowSource) else nullcontext()


def reading_ahead(samples: Sequence[Sample], source: Source) -> Generator[Sample, None, None]:
    """Yield the samples in order; for a slow source, threads read ahead.

    If stopped early, it closes the source, because others may be waiting for reads in progress.
    """
    if not isinstance(source, SlowSource):
        yield from samples
        return
    reading: deque[Sample] = deque()
    pool = ThreadPoolExecutor(source.read_ahead, "read")
    try:
        for sample in samples:
            reading.append(replace(sample, read=pool.submit(sample.read).result))
            if len(reading) > source.read_ahead:
                yield reading.popleft()
        yield from reading
        pool.shutdown()  # the last ones are still being read
    except BaseException:
        source.close()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def open_source(
    address: str | Path | Source,
    image_column: str | None = None,
    name_column: str | None = None,
    fetch: FetchOptions = FetchOptions(),
) -> Source:
    """Open the source at an address; raises `SourceError` if there is none.

    An address is a folder of images or of shards, a shard (a tar, TFRecord, Parquet or Arrow file), several
    with brace ranges (`{000..099}`) or wildcards, or a list of URLs, which are fetched as `fetch` says, each
    also in a store (`s3://…`); `-` for paths on the standard input, `hf:NAME` or `tfds:NAME`. The columns are
    those with an image (or its URL) and its name, if they cannot be inferred.
    """
    if isinstance(address, Source):
        return address
    if isinstance(address, list | tuple):
        raise SourceError(
            "a source is one folder, file or address, not a list", "add single pictures with `Collection.add`"
        )
    text, columns = str(address), Columns(image_column, name_column)
    if text == "-":
        return read_paths(sys.stdin.buffer)
    if text.startswith(("hf:", "tfds:")):
        from lookalike.sources import datasets

        return datasets.open_dataset(text)
    path = place(address)
    if path.is_dir():
        return _folder(text, path, columns)
    if path.exists():
        return _file(text, path, columns, fetch)
    return _pattern(text, columns)


def lists_urls(address: str, url_column: str | None = None) -> bool:
    """Return whether an address is a list of URLs: `-`, or a file named like one that has no images."""
    if address == "-":
        return True
    if address.startswith(("hf:", "tfds:")) or is_pattern(address):
        return False
    path = place(address)
    if path.is_dir() or kind_of(path) in ("tar", "tfrecord"):
        return False
    if not path.exists():
        return kind_of(path) is None and is_url_list(path)
    return kind_of(path) is None or is_url_list(path, url_column)


def _file(text: str, path: Path, columns: Columns, fetch: FetchOptions) -> Source:
    if is_url_list(path, columns.image):
        return _urls(path, columns.image, fetch)
    if kind_of(path) is None:
        raise SourceError(
            f"{path} is a file, but not a shard of images",
            "a source is a folder, .tar, .tfrecord, .parquet or .arrow files, a list of URLs (.txt, .csv "
            "or .jsonl), - for a list of paths, hf:NAME or tfds:NAME",
        )
    return Shards(text, path.parent, (path,), columns)


def _folder(text: str, path: Path, columns: Columns) -> Source:
    """Open a folder of shards if it has any, else a folder of images."""
    shards = tuple(shards_below(path))
    if shards:
        return Shards(text, path, shards, columns, whole=True)
    return StoreFolder(path) if is_remote(path) else described(Folder(path))


def _urls(path: Path, url_column: str | None, fetch: FetchOptions) -> Source:
    from lookalike.sources.fetch.blocking import BlockingFetcher
    from lookalike.sources.urls import Urls

    url_list = open_url_list(path, url_column, argument="image_column")
    return Urls(url_list, BlockingFetcher(fetch))


def _pattern(address: str, columns: Columns) -> Shards:
    """Open the shards that a pattern matches; a missing one becomes a failure."""
    paths = expand(address) if is_pattern(address) else []
    shards = tuple(path for path in paths if kind_of(path))
    if not any(path.exists() for path in shards):
        raise SourceError(
            f"there are no shards {address}"
            if is_pattern(address)
            else f"there is no folder {place(address)}",
            "give a folder of pictures, shards, a list of URLs, hf:NAME or tfds:NAME",
        )
    root = shards[0].parent
    while not all(path.is_relative_to(root) for path in shards):
        root = root.parent
    return Shards(address, root, shards, columns)
