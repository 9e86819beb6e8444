"""The routes: what the server answers at each address."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from lookalike.page import WEB_FOLDER
from lookalike.server import browsing, clip_retrieval, identifying, marking, searching, views
from lookalike.server.bodies import Bodies
from lookalike.server.docs import docs, docs_style
from lookalike.server.ending import Ending
from lookalike.server.facets import facets
from lookalike.server.live import served
from lookalike.server.metrics import Measured, Metrics, metrics
from lookalike.server.openapi import openapi
from lookalike.server.patience import MAX_CONDITION_S, attending
from lookalike.server.pictures import Pictures
from lookalike.server.problems import HANDLERS
from lookalike.server.security import Access, Guard
from lookalike.server.warmup import warm_up
from lookalike.server.workers import Workers
from lookalike.sources.fetch import FetchOptions

# How large a picture may be that is sent: 50 megapixels take 0.2 GB while they are decoded.
UPLOAD_MEGAPIXELS = 50.0

# Do not rely on the operating system's table: on Windows it lists scripts as plain text.
_WEB_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def create_app(
    paths: Sequence[Path],
    access: Access | None = None,
    url_queries: FetchOptions | None = None,
    *,
    max_megapixels: float = UPLOAD_MEGAPIXELS,
    max_condition_s: float = MAX_CONDITION_S,
    read_only: bool = False,
) -> Starlette:
    """Make the ASGI application that serves the collections at `paths` and the page, and follows changes.

    Without `access`, only this machine may ask. Pictures that queries name by URL are fetched according to
    `url_queries`, and refused without it; `app.state.pictures.close()` stops fetches in progress. A picture
    that is sent or fetched may have at most `max_megapixels`, and a condition take at most
    `max_condition_s`. With `read_only`, no marks are kept.
    Raises `CollectionError` if a collection cannot be read.
    """
    figures = Metrics()
    app = Starlette(
        routes=_routes(Page(directory=WEB_FOLDER)),
        middleware=[
            Middleware(Measured, figures),
            Middleware(Ending),
            Middleware(Guard, access=access or Access()),
        ],
        exception_handlers=HANDLERS,
        lifespan=_warmed,
    )
    app.router.redirect_slashes = False
    app.state.collections = served(paths)
    app.state.bodies = Bodies()
    app.state.max_megapixels = max_megapixels
    app.state.max_condition_s = max_condition_s
    app.state.read_only = read_only
    app.state.pictures = Pictures(url_queries, app.state.bodies)
    app.state.metrics = figures
    app.state.workers = Workers(figures.observe_batch)
    return app


def _routes(page: Page) -> list[Route | Mount]:
    """What answers at each address."""

    async def index(request: Request) -> Response:
        return await page.get_response("index.html", request.scope)

    return [
        Route("/", index),
        Mount("/web", page),
        Route("/healthz", health),
        Route("/metrics", metrics),
        Route("/docs", docs),
        Route("/docs/style.css", docs_style),
        Route("/openapi.json", openapi),
        Route("/api/collections", browsing.collections),
        Route("/api/{c}/items", attending(browsing.items)),
        Route("/api/{c}/items/{id:path}", browsing.item),
        Route("/api/{c}/words", browsing.words),
        Route("/api/{c}/thumbnails/{id:path}", browsing.thumbnail),
        Route("/api/{c}/images/{id:path}", browsing.image),
        Route("/api/{c}/facets", attending(facets)),
        Route("/api/{c}/clusters", views.clusters),
        Route("/api/{c}/duplicates", views.duplicates),
        Route("/api/{c}/marks", marking.marks, methods=["GET", "POST"]),
        Route("/api/{c}/outliers", views.outliers),
        Route("/api/{c}/middle", attending(views.middle)),
        Route("/api/{c}/map", views.map_places),
        Route("/api/{c}/map/colors", attending(views.map_colors)),
        Route("/api/{c}/map/cards", views.map_cards),
        Route("/api/{c}/search", searching.search, methods=["POST"]),
        Route("/api/{c}/embed", searching.embed, methods=["POST"]),
        Route("/api/{c}/identify", identifying.identify, methods=["POST"]),
        Route("/api/{c}/proposals", identifying.waiting),
        Route("/indices-list", clip_retrieval.indices_list, methods=["GET", "POST"]),
        Route("/knn-service", clip_retrieval.knn_service, methods=["POST"]),
        Route("/metadata", clip_retrieval.metadata, methods=["POST"]),
    ]


@asynccontextmanager
async def _warmed(app: Starlette) -> AsyncIterator[None]:
    # Not a daemon: stopping a thread inside a C++ library takes the process down with it.
    threading.Thread(target=warm_up, args=(app.state.collections.values(),)).start()
    yield
    app.state.workers.close()


async def health(request: Request) -> Response:
    """`GET /healthz`: says that the server is answering."""
    return PlainTextResponse("ok")


class Page(StaticFiles):
    """The page's files; a browser asks each time whether its copy is still current."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        kind = _WEB_TYPES.get(Path(args[0]).suffix)
        if kind and "content-type" in response.headers:
            response.headers["Content-Type"] = kind
        return response
