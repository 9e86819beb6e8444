"""Schemathesis asks whatever the description allows, and much that it does not."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from serving import running
from test_server_views import analysed

from lookalike.server import Access

# Which base64 is a picture and which numbers are a vector of this collection, no schema can say.
_UNSAID = "positive_data_acceptance"


@pytest.mark.slow
def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    """With a token, and a collection that has all the views."""
    program = shutil.which("schemathesis")
    if program is None:
        pytest.skip("needs: pip install schemathesis")
    with running(analysed(tmp_path), access=Access(token="SECRET")) as url:
        words = [
            program,
            "run",
            f"{url}openapi.json",
            "--url",
            url,
            "--header",
            "Authorization: Bearer SECRET",
        ]
        words += [
            "--exclude-checks",
            _UNSAID,
            "--phases",
            "examples,coverage,fuzzing",
            "--max-examples",
            "50",
        ]
        done = subprocess.run(words, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout
