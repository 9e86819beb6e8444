"""Serves collections over HTTP: the page, and the JSON API behind it."""

from __future__ import annotations

from lookalike.server.app import create_app
from lookalike.server.run import ServerError, from_environment, serve
from lookalike.server.security import Access

__all__ = ["Access", "ServerError", "create_app", "from_environment", "serve"]
