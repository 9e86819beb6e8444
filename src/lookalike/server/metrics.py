"""Metrics for Prometheus: number of requests, their duration, and the duration of each step."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
STEPS = ("decode", "embed", "search", "metadata")
_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_BATCHES = (1, 2, 4, 8, 16)
# If set before the workers start, this names the folder where they combine their metrics.
_SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


class Metrics:
    """The metrics of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "lookalike_requests", "Requests answered", ["route", "status"], registry=self.registry
        )
        self._request_s = Histogram(
            "lookalike_request_seconds", "Time from a request to the end of its answer", ["route"],
            registry=self.registry, buckets=_BUCKETS_S,
        )  # fmt: skip
        self._step_s = Histogram(
            "lookalike_step_seconds", "Time that a step of an answer took", ["step"],
            registry=self.registry, buckets=_BUCKETS_S,
        )  # fmt: skip
        self._batches = Histogram(
            "lookalike_batch_pictures", "Pictures embedded by one call of the model",
            registry=self.registry, buckets=_BATCHES,
        )  # fmt: skip
        self._steps = {step: self._step_s.labels(step) for step in STEPS}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time the block as one of `STEPS`."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._steps[name].observe(time.perf_counter() - started)

    def observe(self, route: str, status: int, duration_s: float) -> None:
        """Count an answer."""
        self._requests.labels(route, str(status)).inc()
        self._request_s.labels(route).observe(duration_s)

    def observe_batch(self, pictures: int) -> None:
        """Count a call of the model."""
        self._batches.observe(pictures)

    def text(self) -> bytes:
        """All metrics in Prometheus format; those of all workers if they share a folder."""
        if not os.environ.get(_SHARED_FOLDER):
            return generate_latest(self.registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)


class Measured:
    """ASGI middleware: counts and times every answer, by its route."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, send_and_note)
        finally:
            # The route's pattern, not the path, because there are as many paths as items.
            route = scope.get("route")
            name = getattr(route, "path", "other").replace(":path", "")
            self.metrics.observe(name, status, time.perf_counter() - started)


def metrics(request: Request) -> Response:
    """`GET /metrics`."""
    return Response(request.app.state.metrics.text(), headers={"Content-Type": CONTENT_TYPE})
