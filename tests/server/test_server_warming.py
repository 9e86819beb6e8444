"""What is ready before somebody asks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import lookalike
from lookalike.server.live import served
from lookalike.server.warmup import warm_up

LOADED = """
import sys, time
from pathlib import Path
from starlette.testclient import TestClient
from lookalike.server import create_app
from lookalike.models import words
app = create_app([Path(sys.argv[1])])
assert "sqlglot" not in sys.modules
with TestClient(app):
    deadline = time.monotonic() + 30
    while not ("sqlglot" in sys.modules and words.vocabulary.cache_info().currsize):
        assert time.monotonic() < deadline
        time.sleep(0.01)
"""


@pytest.mark.process
def test_a_server_that_starts_loads_conditions_and_words_unasked(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "red.png")
    lookalike.build(tmp_path, tmp_path / "known.lookalike")
    subprocess.run([sys.executable, "-c", LOADED, str(tmp_path / "known.lookalike")], check=True)


def test_a_collection_without_rows_words_or_model_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    nothing = lookalike.from_vectors(tmp_path / "made.lookalike", [[1.0, 2.0]], ["a"])
    warm_up(served([nothing.path]).values())


def test_words_of_the_collection_are_learnt_before_anyone_asks(copied: lookalike.Collection) -> None:
    warm_up(served([copied.path]).values())

    assert (copied.path / "derived" / "own_words.npz").exists()
