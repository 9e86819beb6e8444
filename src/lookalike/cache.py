"""The user's cache folder: for what can be fetched or computed again."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """The user's cache folder: $XDG_CACHE_HOME/lookalike, or the system's usual place."""
    home = Path.home()
    base = {"darwin": home / "Library" / "Caches", "win32": home / "AppData" / "Local"}
    chosen = os.environ.get("XDG_CACHE_HOME") or base.get(sys.platform, home / ".cache")
    return Path(chosen) / "lookalike"


def checkpoint_folder() -> Path:
    """Where a training that was killed goes on from, unless another folder is given."""
    return cache_folder() / "training"
