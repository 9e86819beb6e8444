"""Where the files of the page lie, which the server and the exported site both hand out."""

from __future__ import annotations

from pathlib import Path

WEB_FOLDER = Path(__file__).parent / "web"
