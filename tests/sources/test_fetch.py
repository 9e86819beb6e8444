"""Fetching: what is fetched, what is refused, and how politely it is asked."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from contextlib import suppress

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from web_server import jpeg, web

from lookalike.sources.fetch import Fetched, FetchError, FetchOptions
from lookalike.sources.fetch.blocking import BlockingFetcher
from lookalike.sources.fetch.fetcher import Fetcher, _retry_after_s
from lookalike.sources.fetch.guards import check_url, is_public
from lookalike.sources.fetch.robots import check_tags

LOCAL = {"allow_private": True, "rate": 0}


@pytest.fixture
def site():
    with web() as running:
        yield running


def fetch(*urls: str, resolver: object = None, **options: object) -> list[Fetched | FetchError]:
    """What comes of each URL, all fetched at once by one fetcher."""

    async def run() -> list[Fetched | FetchError]:
        async with Fetcher(FetchOptions(**{**LOCAL, **options}), resolver) as fetcher:
            return await asyncio.gather(*map(fetcher.fetch, urls), return_exceptions=True)

    return asyncio.run(run())


def kind(url: str, **options: object) -> str:
    """The kind of error that a URL ends in."""
    (error,) = fetch(url, **options)
    assert isinstance(error, FetchError), error
    return error.kind


def test_the_body_of_an_image_comes_as_it_is(site):
    (fetched,) = fetch(f"{site.url}/ok/7.jpg")

    assert fetched == Fetched(f"{site.url}/ok/7.jpg", jpeg(7), 200)


def test_it_says_who_it_is_and_asks_for_no_packing(site):
    fetch(f"{site.url}/ok/7.jpg")

    assert site.headers["User-Agent"].startswith("lookalike/")
    assert site.headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(
    "url", ["", "no url", "ftp://a/b.jpg", "file:///etc/passwd", "http://", "http://[::1", "http://a:99999/"]
)
def test_what_is_no_web_address_is_not_fetched(url):
    assert kind(url) == "invalid-url"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/status/404", "http-404"),
        ("/status/500", "http-500"),
        ("/loop/0", "redirect"),
        ("/to/file:///etc/passwd", "redirect"),
        ("/truncated", "disconnected"),
        ("/endless", "too-large"),
        ("/endless/announced", "too-large"),
        ("/bomb", "too-large"),
        ("/tagged/noai", "robots"),
        ("/tagged/googlebot:_noindex,_otherbot:_noai", None),
    ],
)
def test_each_misbehaviour_has_its_kind_of_error(site, path, expected):
    (found,) = fetch(site.url + path, max_bytes=1_000_000, retries=0)

    assert getattr(found, "kind", None) == expected


def test_packing_that_nobody_asked_for_is_undone(site):
    (fetched,) = fetch(f"{site.url}/packed")

    assert fetched.data == jpeg(4)


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/never", "/trickle"])
def test_a_host_that_takes_too_long_ends_at_the_limit(site, path):
    started_s = time.monotonic()

    assert kind(site.url + path, timeout_s=0.5, ignore_robots=True) == "timeout"
    assert time.monotonic() - started_s < 2


def test_nobody_listening_is_an_error_of_connecting():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    assert kind(f"http://127.0.0.1:{port}/a.jpg") == "connect"


def test_a_redirect_is_followed(site):
    (fetched,) = fetch(f"{site.url}/to/{site.url}/ok/1.jpg")

    assert fetched.url == f"{site.url}/ok/1.jpg"


# Safe


@pytest.mark.parametrize(
    "address",
    """127.0.0.1 10.0.0.1 172.16.0.1 192.168.1.1 169.254.169.254 0.0.0.0 100.64.0.1 224.0.0.1 255.255.255.255
    240.0.0.1 192.0.2.1 198.18.0.1 ::1 :: fe80::1 fc00::1 fec0::1 ff02::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1
    192.0.0.192 192.88.99.1 3fff::1 5f00::1 4000::1 100::1 2001:2::1 2001:10::1
    64:ff9b::7f00:1 64:ff9b:1::1 2002:7f00:1:: ::127.0.0.1 fe80::1%eth0 2001:db8::1""".split(),
)
def test_addresses_that_are_not_the_internets_are_refused(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_addresses_of_the_internet_are_not(address):
    assert is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "127.1", "2130706433"])
def test_a_private_address_is_refused_however_it_is_spelled(site, host):
    port = site.url.rpartition(":")[2]

    refused = kind(f"http://{host}:{port}/ok/1.jpg", allow_private=False)

    assert refused == "private-address" or (host[-1].isdigit() and refused == "invalid-url")
    assert site.asked == {}


class Rebinding(aiohttp.abc.AbstractResolver):
    """A name server that gives this machine's address for a name that was someone else's a moment ago."""

    asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: int = socket.AF_INET
    ) -> list[dict[str, object]]:
        self.asked += 1
        found = {"hostname": host, "host": "127.0.0.1", "port": port}
        return [{**found, "family": socket.AF_INET, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        pass


def test_a_name_that_resolves_to_this_machine_is_refused_where_the_socket_is_made(site):
    port, resolver = site.url.rpartition(":")[2], Rebinding()

    (error,) = fetch(f"http://public.example:{port}/ok/1.jpg", resolver=resolver, allow_private=False)

    assert resolver.asked > 0
    assert error.kind == "private-address"
    assert site.asked == {}


# Polite


@pytest.mark.slow
def test_a_busy_host_is_asked_again_when_it_said(site):
    started_s = time.monotonic()
    (fetched,) = fetch(f"{site.url}/busy")

    assert fetched.data == jpeg(2)
    assert 1 <= time.monotonic() - started_s < 3
    assert site.asked["/busy"] == 2


@pytest.mark.slow
def test_a_host_without_service_is_asked_again_after_a_while(site):
    (fetched,) = fetch(f"{site.url}/unavailable")

    assert fetched.data == jpeg(2)


@pytest.mark.slow
def test_a_host_that_stays_busy_is_given_up(site):
    assert kind(f"{site.url}/status/503", retries=1) == "busy"
    assert site.asked["/status/503"] == 2


@pytest.mark.parametrize("seconds", ["86400", "Fri, 31 Dec 9999 23:59:59 GMT", "9" * 400])
def test_a_host_that_wants_to_be_left_alone_for_longer_than_a_url_may_take_has_failed(seconds):
    with web(retry_after=seconds) as site:
        started_s = time.monotonic()
        found = fetch(
            f"{site.url}/later", f"{site.url}/ok/1.jpg", timeout_s=3, per_host=1, ignore_robots=True
        )

    assert [(one.kind, one.http_status) for one in found] == [("busy", 503), ("busy", None)]
    assert time.monotonic() - started_s < 2
    assert site.asked == {"/later": 1}


@pytest.mark.slow
def test_all_waits_between_attempts_together_take_no_longer_than_a_url_may():
    with web(retry_after="1") as site:
        started_s = time.monotonic()
        assert kind(f"{site.url}/later", timeout_s=1.5, retries=5, ignore_robots=True) == "busy"

    assert time.monotonic() - started_s < 2.5
    assert site.asked == {"/later": 2}


@given(st.text())
def test_whatever_a_host_says_of_when_to_come_again_is_a_number_of_seconds(value):
    assert _retry_after_s(value) >= 0


@given(st.text(), st.booleans())
def test_any_text_is_a_url_with_a_host_or_a_clear_error(text, has_scheme):
    try:
        url = check_url("http://" + text if has_scheme else text)
    except FetchError as error:
        assert error.kind == "invalid-url"
    else:
        assert url.scheme in ("http", "https")
        assert url.host


@given(st.ip_addresses())
def test_whatever_is_public_is_global_to_the_standard_library_too(address):
    if is_public(str(address)):
        assert address.is_global
        assert not address.is_multicast


@given(st.lists(st.text()))
def test_any_tags_of_robots_are_understood_or_passed_over(values):
    with suppress(FetchError):
        check_tags(values)


def test_so_many_requests_to_a_host_at_once_and_no_more():
    with web(delay_s=0.05) as site:
        found = fetch(*(f"{site.url}/ok/{n}.jpg" for n in range(12)), per_host=3)

    assert all(isinstance(one, Fetched) for one in found)
    assert site.most_at_once == 3


def test_so_many_requests_to_a_host_a_second(site):
    started_s = time.monotonic()
    fetch(*(f"{site.url}/ok/{n}.jpg" for n in range(6)), rate=10, ignore_robots=True)

    assert 0.5 <= time.monotonic() - started_s < 2


def test_robots_txt_is_read_once_and_obeyed():
    with web(robots=b"User-agent: *\nDisallow: /ok/1\n\nUser-agent: lookalike\nDisallow: /ok/*2") as site:
        found = fetch(*(f"{site.url}/ok/{n}.jpg" for n in (1, 2, 3)))

        assert [getattr(one, "kind", None) for one in found] == [None, "robots", None]
        assert site.asked["/robots.txt"] == 1
        assert isinstance(fetch(f"{site.url}/ok/2.jpg", ignore_robots=True)[0], Fetched)


def test_a_site_whose_robots_txt_fails_is_left_alone(site):
    site.answer = broken_robots  # type: ignore[method-assign]

    assert kind(f"{site.url}/ok/1.jpg") == "robots"
    assert site.asked["/ok/1.jpg"] == 0


async def broken_robots(path: str) -> tuple[int, dict[str, str], bytes]:
    return 500, {}, b""


@pytest.mark.parametrize("tag", ["noai", "NoImageAI", "noindex", "nofollow, noimageindex", "lookalike: none"])
def test_a_tag_for_all_or_for_lookalike_refuses(tag):
    with pytest.raises(FetchError, match="X-Robots-Tag"):
        check_tags([tag])


@pytest.mark.parametrize("tag", ["all", "nofollow", "otherbot: noai", "unavailable_after: 25 Jun 2030", ""])
def test_a_tag_for_another_robot_or_purpose_refuses_nothing(tag):
    check_tags([tag])


# From threads


def test_threads_fetch_through_one_loop(site):
    fetcher = BlockingFetcher(FetchOptions(**LOCAL))

    assert fetcher.fetch(f"{site.url}/ok/1.jpg").data == jpeg(1)
    fetcher.close()
    with pytest.raises(FetchError, match="stopped"):
        fetcher.fetch(f"{site.url}/ok/1.jpg")


def test_closing_ends_what_is_under_way(site):
    fetcher = BlockingFetcher(FetchOptions(**LOCAL, ignore_robots=True))
    outcome: list[FetchError] = []

    def wait() -> None:
        try:
            fetcher.fetch(f"{site.url}/never")
        except FetchError as error:
            outcome.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    while not site.asked["/never"]:
        time.sleep(0.01)
    fetcher.close()
    thread.join(5)

    assert [error.kind for error in outcome] == ["stopped"]
