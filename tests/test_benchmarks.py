"""Every figure of the documents comes from a command in benchmarks/: each has to start."""

import runpy
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
PARTS = {"http_load.py", "index_systems.py", "index_vectors.py"}  # of others, which import them


@pytest.mark.parametrize("name", sorted({path.name for path in FOLDER.glob("*.py")} - PARTS))
def test_a_benchmark_says_how_it_is_run(name, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(FOLDER / name), run_name="__main__")
    assert ended.value.code == 0
    assert f"python benchmarks/{name}" in capsys.readouterr().out
