"""A collection over HTTP: a page to look with, and the JSON behind it."""

from __future__ import annotations

from lookalike.server.app import create_app
from lookalike.server.run import ServerError, serve
from lookalike.server.security import LOOPBACK

__all__ = ["LOOPBACK", "ServerError", "create_app", "serve"]
