"""Schemathesis asks whatever the description allows, and much that it does not."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from serving import running

import lookalike

# Which base64 is a picture and which numbers are a vector of this collection, no schema can say.
_UNSAID = "positive_data_acceptance"


@pytest.mark.slow
def test_schemathesis_finds_nothing(collection: lookalike.Collection) -> None:
    program = shutil.which("schemathesis")
    if program is None:
        pytest.skip("needs: pip install schemathesis")
    with running(collection) as url:
        words = [program, "run", f"{url}openapi.json", "--url", url, "--exclude-checks", _UNSAID]
        words += ["--phases", "examples,coverage,fuzzing", "--max-examples", "50"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout
