"""Runs the server: chooses a port, opens the browser, and stops at Ctrl-C."""

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlencode

import uvicorn
from starlette.applications import Starlette

from lookalike.checking import checked
from lookalike.errors import LookalikeError
from lookalike.images.memory import DECODING
from lookalike.server.app import UPLOAD_MEGAPIXELS, create_app
from lookalike.server.patience import MAX_CONDITION_S
from lookalike.server.pictures import URL_QUERIES
from lookalike.server.security import ANY_ADDRESS, LOOPBACK, Access, is_loopback
from lookalike.storage.stores import place

DEFAULT_PORT = 7171
_PORTS_TRIED = 20
# How long requests in progress may continue after Ctrl-C: the first one may have to load the model.
_GRACE_S = 5
# How long an idle connection stays open: people look at a page before they go on.
_KEEP_ALIVE_S = 60


class ServerError(LookalikeError):
    """The server cannot listen at the requested address."""


@checked
def serve(
    paths: Sequence[Path],
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    token: str | None = None,
    no_auth: bool = False,
    allow_hosts: Sequence[str] = (),
    allow_origins: Sequence[str] = (),
    allow_url_queries: bool = False,
    max_megapixels: float = UPLOAD_MEGAPIXELS,
    max_memory_bytes: int | None = None,
    max_condition_s: float = MAX_CONDITION_S,
    read_only: bool | None = None,
    open_browser: bool = True,
    on_ready: Callable[[str, bool], None] | None = None,
) -> None:
    """Serve the collections at `paths` and the page until Ctrl-C.

    A `port` of None means 7171 or the next free one, 0 any free one. An address that other machines can reach
    needs a `token`, or `no_auth`. `allow_hosts` are further names under which the server is reached,
    `allow_origins` are web sites whose pages may ask it, both as in `Access`.
    `allow_url_queries` lets queries name pictures by URL, which are fetched from public addresses only.
    A picture that is sent or fetched may have at most `max_megapixels`; `max_memory_bytes` limits what all of
    them take while they are decoded (default: 1 GB). A condition may take at most `max_condition_s`.
    With `read_only`, nobody can mark pictures: give labels, teach words, or say what is not a duplicate. None
    means that where `no_auth` lets other machines in without a token. `on_ready` is called with the page's
    address and whether nobody can mark pictures.
    Raises `ServerError` if it cannot or may not listen there, `CollectionError` for an unreadable collection.
    """
    with listen(host, port) as listener:
        is_local = is_loopback(listener.getsockname()[0])
        if not (token or no_auth or is_local):
            raise ServerError(
                f"other machines can reach {host}, so the server needs a token",
                "give a secret as `token`, or `no_auth=True` to let everyone in",
            )
        is_read_only = not (token or is_local) if read_only is None else read_only
        app = create_app(
            paths,
            Access((*allowed_hosts(host), *allow_hosts), token, no_auth, allow_origins),
            URL_QUERIES if allow_url_queries else None,
            max_megapixels=max_megapixels,
            max_condition_s=max_condition_s,
            read_only=is_read_only,
        )
        url = f"http://{_shown(host)}:{listener.getsockname()[1]}/"

        def ready() -> None:
            if on_ready:
                on_ready(url, is_read_only)
            if open_browser and _has_screen():
                _open_browser(f"{url}?{urlencode({'token': token})}" if token else url)

        limited = DECODING.limited_to(max_memory_bytes)
        with suppress(KeyboardInterrupt), closing(app.state.pictures), limited:
            _Server(app, ready).run(sockets=[listener])


def from_environment() -> Starlette:
    """The application for any ASGI server, as in `uvicorn --factory lookalike.server:from_environment`.

    `LOOKALIKE_COLLECTIONS` has the paths, separated as in PATH; `LOOKALIKE_TOKEN` or `LOOKALIKE_NO_AUTH=1`
    lets other machines in; `LOOKALIKE_ALLOW_HOSTS` and `LOOKALIKE_ALLOW_ORIGINS` are comma-separated lists.
    `LOOKALIKE_ALLOW_URL_QUERIES=1` is as in `serve`, `LOOKALIKE_MAX_UPLOAD_MEGAPIXELS` its `max_megapixels`,
    `LOOKALIKE_MAX_CONDITION_SECONDS` its `max_condition_s`, `LOOKALIKE_READ_ONLY` (1 or 0) its `read_only`.
    """
    paths = [path for path in os.environ.get("LOOKALIKE_COLLECTIONS", "").split(os.pathsep) if path]
    if not paths:
        raise ServerError("no collection is named", "set LOOKALIKE_COLLECTIONS to the path of one")
    token, no_auth = os.environ.get("LOOKALIKE_TOKEN"), os.environ.get("LOOKALIKE_NO_AUTH") == "1"
    hosts = (*(allowed_hosts("0.0.0.0") if token or no_auth else LOOPBACK), *_listed("LOOKALIKE_ALLOW_HOSTS"))
    access = Access(hosts, token, no_auth, _listed("LOOKALIKE_ALLOW_ORIGINS"))
    url_queries = URL_QUERIES if os.environ.get("LOOKALIKE_ALLOW_URL_QUERIES") == "1" else None
    megapixels = float(os.environ.get("LOOKALIKE_MAX_UPLOAD_MEGAPIXELS") or UPLOAD_MEGAPIXELS)
    condition_s = float(os.environ.get("LOOKALIKE_MAX_CONDITION_SECONDS") or MAX_CONDITION_S)
    read_only = (os.environ.get("LOOKALIKE_READ_ONLY") or str(int(no_auth and not token))) == "1"
    places = [place(path) for path in paths]
    limits = {"max_megapixels": megapixels, "max_condition_s": condition_s}
    return create_app(places, access, url_queries, **limits, read_only=read_only)


def _listed(variable: str) -> list[str]:
    return [one.strip() for one in os.environ.get(variable, "").split(",") if one.strip()]


class _Server(uvicorn.Server):
    """A server that reports when it is ready; Ctrl-C stops it, then raises `KeyboardInterrupt`."""

    def __init__(self, app: Starlette, ready: Callable[[], None]) -> None:
        config = uvicorn.Config(
            app,
            lifespan="on",
            ws="none",
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_S,
            timeout_keep_alive=_KEEP_ALIVE_S,
        )
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


def listen(host: str, port: int | None) -> socket.socket:
    """Open a socket that listens at exactly this address; raises `ServerError` if that is impossible."""
    if port is not None and not 0 <= port <= 65535:
        raise ServerError(f"{port} is not a port", "give a `port` from 1 to 65535")
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise ServerError(f"the host {host!r} is not known: {error}", "give another `host`") from None
    family, address = found[0][0], found[0][4][0]
    ports = range(DEFAULT_PORT, DEFAULT_PORT + _PORTS_TRIED) if port is None else [port]
    for candidate in ports:
        try:
            made = socket.create_server((str(address), candidate), family=family, backlog=256)
            # asyncio sends small answers at once only if the socket names its protocol; otherwise each one
            # waits for the client's delayed acknowledgement, 40 ms.
            return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, made.detach())
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                reason = error.strerror or str(error)
                raise ServerError(
                    f"cannot listen at {host} port {candidate}: {reason}",
                    "give another `host` or `port`",
                ) from None
    if port is None:
        raise ServerError(f"the ports {ports[0]} to {ports[-1]} are all taken", "give a free one as `port`")
    raise ServerError(
        f"port {port} is taken by another program", "give another `port`, or none for the next free one"
    )


def allowed_hosts(host: str) -> Sequence[str]:
    """The names under which a server listening at `host` answers."""
    if host in ("127.0.0.1", "localhost", "::1"):
        return LOOPBACK
    name = socket.gethostname()
    asked = f"[{host}]" if ":" in host else host
    return (*LOOPBACK, ANY_ADDRESS, asked, name, f"{name}.local")


def _shown(host: str) -> str:
    """The host for a browser on this machine: loopback if the server listens at all addresses."""
    if host in ("0.0.0.0", "::", ""):
        return "[::1]" if host == "::" else "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _open_browser(page: str) -> None:
    # In a thread, because some browsers return only when they are closed.
    threading.Thread(target=webbrowser.open, args=(page,), daemon=True).start()


def _has_screen() -> bool:
    """Whether a browser has a screen to open on; without one, Python would start it in the terminal."""
    screens = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    return sys.platform != "linux" or any(name in os.environ for name in screens)
