"""The folder with the page's files, which the server and the exported site share."""

from __future__ import annotations

from pathlib import Path

WEB_FOLDER = Path(__file__).parent / "web"
