"""Reads images from the web, by a list of their URLs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from lookalike.sources.fetch import FetchError
from lookalike.sources.fetch.blocking import BlockingFetcher
from lookalike.sources.fetch.guards import check_url
from lookalike.sources.sample import Sample
from lookalike.sources.shard import metadata_of
from lookalike.sources.url_lists import UrlList
from lookalike.storage.parts import Failure

_IS_PATH = "not an http or https URL but a path; give paths on the standard input, with - as the source"


@dataclass(frozen=True, slots=True)
class Urls:
    """The images behind a list of URLs; the URL is both id and uri.

    A list adds to a collection: images that it does not name stay. Sizes and modification times are not
    asked for, so an image already in the collection is not fetched again.
    """

    url_list: UrlList
    fetcher: BlockingFetcher

    def __str__(self) -> str:
        return self.url_list.address

    @property
    def uri(self) -> str:
        return "http"  # and https

    @property
    def scope(self) -> tuple[str, ...]:
        return ()

    @property
    def read_ahead(self) -> int:
        return self.fetcher.options.concurrency

    def samples(self) -> Iterator[Sample | Failure]:
        """Yield each URL once; reading a sample fetches it."""
        seen: set[str] = set()
        for url, metadata in self.url_list.rows():
            if url in seen:
                continue
            seen.add(url)
            try:
                check_url(url)
            except FetchError as error:
                yield Failure(url, url, "list", _IS_PATH if _is_path(url) else error.message)
                continue
            yield Sample(url, url, None, 0, partial(self._read, url), metadata_of(metadata))

    def close(self) -> None:
        """Stop the fetches in progress."""
        self.fetcher.close()

    def _read(self, url: str) -> bytes:
        try:
            return self.fetcher.fetch(url).data
        except FetchError as error:
            raise OSError(str(error)) from None


def _is_path(text: str) -> bool:
    return text.startswith(("file:", "/", "./", "../"))
