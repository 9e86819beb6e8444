"""The commands of docs/api.md are executed as they stand."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from serving import running

import lookalike
from lookalike.demo.flowers import write_flowers

pytestmark = pytest.mark.process

DOCUMENT = Path(__file__).parents[2] / "docs" / "api.md"


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_every_command_is_answered(tmp_path: Path) -> None:
    first, *_ = write_flowers(tmp_path / "photos", count=36)
    shutil.copy(first, tmp_path / "photos" / "query.jpg")
    shutil.copy(first, tmp_path / "query.jpg")
    made = lookalike.build(tmp_path / "photos", tmp_path / "photos.lookalike", label="folder")
    blocks = re.findall(r"```bash\n(.*?)```", DOCUMENT.read_text(), re.S)
    with running(made) as url:
        for block in blocks:
            done = subprocess.run(
                ["bash", "-euc", re.sub(r"(\ncurl)", r"\necho\1", block)],
                capture_output=True, text=True, cwd=tmp_path, check=True,
                env={**os.environ, "S": url.rstrip("/")},
            )  # fmt: skip
            answers = [json.loads(line) for line in done.stdout.splitlines() if line.strip()]
            problems = [one for one in answers if isinstance(one, dict) and "status" in one]
            assert answers
            assert [one.get("field") for one in problems] == (["where"] if "colour" in block else [])
    assert (tmp_path / "original.jpg").read_bytes() == first.read_bytes()
