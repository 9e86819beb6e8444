"""The scripts of the page by themselves: their own tests under Node, and their size."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from lookalike.server.app import WEB_FOLDER

NODE = shutil.which("node")


@pytest.mark.process
@pytest.mark.skipif(NODE is None, reason="Node.js is not installed")
def test_the_tests_of_the_scripts_pass() -> None:
    files = sorted(map(str, (Path(__file__).parent / "js").glob("*.test.js")))
    done = subprocess.run([str(NODE), "--test", *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_scripts_of_the_first_page_have_less_than_150_kb() -> None:
    # The views are loaded when they are opened.
    assert sum(path.stat().st_size for path in WEB_FOLDER.glob("*.js")) < 150_000


def test_no_file_of_the_page_names_another_host() -> None:
    for path in (
        *WEB_FOLDER.glob("*.[hcj]*"),
        *WEB_FOLDER.glob("views/*.js"),
        *WEB_FOLDER.glob("learning/*.js"),
    ):
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text, path.name
