"""What keeps other web pages out: the names that the server answers to, and headers for browsers.

The server has no passwords, so what guards it is that only this machine can reach it. A foreign page
that makes its own name point to 127.0.0.1 (DNS rebinding) would be of the same origin as the server;
it betrays itself by the Host header. No answer carries a CORS header, so no other page reads one.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lookalike.server.problems import Problem

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")

# Stands for every numeric address: a page whose address is a number cannot be rebound to another.
ANY_ADDRESS = "(address)"

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """ASGI middleware: refuses foreign Host headers, and adds the headers to every answer."""

    def __init__(self, app: ASGIApp, allowed_hosts: Sequence[str] = LOOPBACK) -> None:
        self.app = app
        self.allowed = frozenset(host.lower() for host in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-cache")
            await send(message)

        host = Headers(scope=scope).get("host", "")
        app = self.app if self.admits(host) else _refusal(host)
        await app(scope, receive, send_with_headers)

    def admits(self, host: str) -> bool:
        """Whether a Host header, `name` or `name:port`, is one that the server answers to."""
        name = host.lower()
        if not name.endswith("]"):
            before, colon, port = name.rpartition(":")
            if colon and not port.isdecimal():
                return False
            name = before if colon else name
        return name in self.allowed or (ANY_ADDRESS in self.allowed and _is_address(name))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def _refusal(host: str) -> ASGIApp:
    detail = f"the Host header says {host!r}, which is not a name of this server"
    return Problem("foreign-host", detail).response()
