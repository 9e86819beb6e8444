"""Checks where a URL may point: http and https, and public addresses only.

The address is checked when the socket is made, so it is exactly the one that is connected to, whatever the
name resolved to before (DNS rebinding), however the address is spelled, and at every redirect.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from typing import Any

from yarl import URL

from lookalike.sources.fetch.outcomes import FetchError

# IPv6 addresses that stand for an IPv4 address in their last 32 bits: NAT64 (RFC 6052), IPv4-compatible.
_CARRIES_IPV4 = [ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96")]
# The addresses that IANA's registries of special addresses (RFC 6890) do not call globally reachable.
# `ipaddress` knows only some, and different ones in each Python. In IPv6 the internet is 2000::/3.
_RESERVED = [
    ipaddress.ip_network(one)
    for one in (
        "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 "
        "192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3 "
        "2001::/23 2001:db8::/32 3fff::/20"
    ).split()
]
_INTERNET = ipaddress.IPv6Network("2000::/3")

# (family, type, protocol, canonical name, (address, port, ...)), as `getaddrinfo` gives them.
AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]


def check_url(url: str | URL) -> URL:
    """The parsed URL; raises `FetchError` for one that is not http or https with a host."""
    try:
        parsed = URL(url.strip()) if isinstance(url, str) else url
        host, port = parsed.host, parsed.port
    except (ValueError, TypeError) as error:
        raise FetchError("invalid-url", f"not a URL: {error}") from None
    if parsed.scheme not in ("http", "https"):
        raise FetchError("invalid-url", f"not an http or https URL: {str(url)[:80]!r}")
    if not host or not port:
        raise FetchError("invalid-url", f"a URL without a host: {str(url)[:80]!r}")
    return parsed


def is_public(address: str) -> bool:
    """Whether an IP address is on the internet: not private, loopback, link-local or reserved."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if any(ip in network for network in _CARRIES_IPV4):
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if ip not in _INTERNET:
            return False
    return ip.is_global and not any(ip in network for network in _RESERVED)


def socket_factory(allow_private: bool) -> Callable[[AddressInfo], socket.socket]:
    """Makes the sockets of a connector; raises `FetchError` for an address that is not public."""

    def make(address_info: AddressInfo) -> socket.socket:
        family, type_, protocol, _, (address, *_) = address_info
        if not allow_private and not is_public(str(address)):
            raise FetchError(
                "private-address", f"{address} is not a public address", "allow it with `allow_private=True`"
            )
        return socket.socket(family, type_, protocol)

    return make
