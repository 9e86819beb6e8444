"""Write the files of an export, into a folder that has no name yet: nobody sees half of one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lookalike.storage.columns import jsonable


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON; what has no form there is written as text."""
    text = json.dumps(jsonable(value), ensure_ascii=False, separators=(",", ":"), default=str)
    write(path, text.encode())


def write(path: Path, data: bytes) -> None:
    """Write a file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
