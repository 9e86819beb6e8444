"""Controls access: only this machine, or whoever has the token, may ask; other web pages are kept out.

A foreign page that makes its own name point to 127.0.0.1 (DNS rebinding) would have the server's origin,
but the Host header gives it away. A page that only sends requests is given away by the Origin header,
which browsers add to all but the plainest. Answers carry CORS headers only for named origins.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lookalike.page import WEB_FOLDER
from lookalike.server.problems import Problem

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")

# Stands for every numeric address: a page whose address is a number cannot be rebound to another.
ANY_ADDRESS = "(address)"

COOKIE = "lookalike_session"
# For load balancers, which have no token, to see that the server runs; and the files of the login page.
_FREE_PATHS = ("/healthz", "/web/style.css", "/web/icon.svg")
_LOGIN = (WEB_FOLDER / "login.html").read_text(encoding="utf-8")
_READING = ("GET", "HEAD", "OPTIONS")
# Addresses whose answers take work; any site may link to the page itself.
_WORKING = ("/api/", "/metrics")

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
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Max-Age": "600",
}


@dataclass(frozen=True)
class Access:
    """Who may ask. Without a `token` only this machine may, unless `no_auth` opens the server to all.

    `hosts` are the accepted names in Host headers; `origins`, such as `https://example.org`, are
    other web sites whose pages may read the answers.
    """

    hosts: Sequence[str] = LOOPBACK
    token: str | None = None
    no_auth: bool = False
    origins: Sequence[str] = ()


class Guard:
    """ASGI middleware: admits only permitted requests, and adds security headers to every answer."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app, self.access = app, access
        self.hosts = frozenset(host.lower() for host in access.hosts)
        self.origins = frozenset(origin.lower().rstrip("/") for origin in access.origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin", "").lower()
        unread = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers

        async def receive_and_note() -> Message:
            nonlocal unread
            message = await receive()
            unread = unread and bool(message.get("more_body"))
            return message

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    answer.setdefault(name, value)
                if unread:  # nobody will read it, and a client that keeps sending would never be cut off
                    answer["Connection"] = "close"
                answer.setdefault("Cache-Control", "no-cache")
                if self.origins:
                    answer.add_vary_header("Origin")
                if origin in self.origins:
                    answer["Access-Control-Allow-Origin"] = origin
            await send(message)

        app = self._other_answer(scope, headers, origin) or self.app
        await app(scope, receive_and_note, send_with_headers)

    def admits(self, host: str) -> bool:
        """Whether a Host header, `name` or `name:port`, is one that the server answers to."""
        name = host.lower()
        if not name.endswith("]"):
            before, colon, port = name.rpartition(":")
            if colon and not port.isdecimal():
                return False
            name = before if colon else name
        return name in self.hosts or (ANY_ADDRESS in self.hosts and _is_address(name))

    def _refused_page(self, scope: Scope, headers: Headers, origin: str, host: str) -> Problem | None:
        """The problem if another site's page sends this to change something or keep the server busy.

        Browsers add Sec-Fetch-Site to requests without an Origin, such as pictures; programs do not.
        """
        try:
            own = origin in self.origins or urlsplit(origin).netloc == host.lower()
        except ValueError:
            return Problem("bad-header", f"the Origin {origin!r} is not an address")
        foreign = bool(origin)
        if scope["method"] in _READING:
            foreign = foreign or headers.get("sec-fetch-site", "none") not in ("same-origin", "none")
            foreign = foreign and scope["path"].startswith(_WORKING)
        if own or not foreign:
            return None
        detail = f"a page of {origin or 'another site'!r} sent this, not one of this server"
        return Problem("foreign-origin", detail)

    def _other_answer(self, scope: Scope, headers: Headers, origin: str) -> Response | None:
        """A refusal, a preflight's permission or a login; None if the application should answer."""
        host = ",".join(headers.getlist("host"))  # with two, a proxy may use one and this server the other
        if not self.access.token and not self.access.no_auth and not _is_near(scope):
            return Problem("foreign-client", "this server only answers its own machine").response()
        if not self.admits(host):
            detail = f"the Host header says {host!r}, which is not a name of this server"
            return Problem("foreign-host", detail).response()
        if origin in self.origins and "access-control-request-method" in headers:
            return Response(status_code=204, headers=_PREFLIGHT)
        if refused := self._refused_page(scope, headers, origin, host):
            return refused.response()
        if self.access.token and scope["path"] not in _FREE_PATHS:
            return _without_token(scope, headers, self.access.token)
        return None


def _without_token(scope: Scope, headers: Headers, token: str) -> Response | None:
    """None for a request that has the token or the cookie; else a login for the page, or a problem."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and _same(given.strip(), token):
        return None
    session = _session(token)
    if _same(_cookie(headers), session):
        return None
    if scope["path"] == "/" and scope["method"] == "GET":
        asked = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if any(name == "token" and _same(value, token) for name, value in asked):
            rest = urlencode([pair for pair in asked if pair[0] != "token"])
            return _welcome(f"./?{rest}" if rest else "./", session, scope["scheme"] == "https")
        return _login("That is not the token." if dict(asked).get("token") else "")
    hint = "send the header: Authorization: Bearer TOKEN"
    problem = Problem("unauthorized", "this server needs a token", hint=hint)
    return problem.response({"WWW-Authenticate": "Bearer"})


def _welcome(target: str, session: str, is_secure: bool) -> Response:
    """Set the cookie and continue from a page of this site, because after a redirect from another site's
    link, a browser would not send a strict cookie. If scripts run, one does it, to keep the fragment."""
    goes_on = f'<noscript><meta http-equiv="refresh" content="0; url={html.escape(target)}"></noscript>'
    script = '<script src="web/entered.js"></script>'
    answer = HTMLResponse(f"<!doctype html><title>Lookalike</title>{goes_on}{script}")
    answer.set_cookie(COOKIE, session, path="/", httponly=True, samesite="strict", secure=is_secure)
    return answer


def _login(complaint: str) -> Response:
    page = _LOGIN.replace('role="alert">', f'role="alert">{complaint}')
    policy = _POLICY.replace("form-action 'none'", "form-action 'self'")
    return HTMLResponse(page, 401, {"Content-Security-Policy": policy, "WWW-Authenticate": "Bearer"})


def _session(token: str) -> str:
    """The cookie's value: proof of the token, but not the token itself."""
    return hmac.new(token.encode(), b"lookalike session", hashlib.sha256).hexdigest()


def _cookie(headers: Headers) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def _same(given: str, secret: str) -> bool:
    """Compare in a time that does not reveal where they differ."""
    return hmac.compare_digest(given.encode(errors="replace"), secret.encode())


def _is_near(scope: Scope) -> bool:
    """Whether the client is on this machine; the client of a local socket has no address."""
    client = scope.get("client")
    return not client or not client[0] or is_loopback(client[0])


def is_loopback(address: str) -> bool:
    """Whether a numeric address is a loopback address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
