"""What to install for an optional part, however Lookalike was installed."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest
from conftest import build

from lookalike.extras import install_command

CHECKOUT = Path(__file__).parents[1]


def test_the_packages_of_the_extra_are_named_for_this_python():
    assert install_command("umap") == f"{sys.executable} -m pip install 'umap-learn>=0.5.7'"


def test_an_extra_that_stands_for_another_names_the_packages_of_both():
    assert install_command("s3").endswith(" install 'fsspec>=2025.7' 's3fs>=2025.7'")


def test_an_extra_that_is_not_known_is_named_itself():
    assert install_command("nosuch").endswith(" install 'lookalike[nosuch]'")


def test_every_extra_that_an_error_names_is_one_of_the_package():
    extras = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = set()
    for path in (CHECKOUT / "src").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        for call in (one for one in calls if getattr(one.func, "id", None) in ("ExtraError", "library")):
            named |= {one.value for one in call.args[1:] if isinstance(one, ast.Constant)}
        named |= {
            str(ast.literal_eval(node.value))
            for node in tree.body
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "_EXTRA"
        }

    assert {"timm", "transformers", "open-clip", "hub", "words", "export"} <= named
    assert named <= extras.keys()
    assert [name for name in extras if "_" in name] == []  # metadata has hyphens


@pytest.mark.slow
def test_the_command_works_where_lookalike_came_from_a_folder(tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", CHECKOUT], check=True)
    ask = "from lookalike.extras import install_command; print(install_command('remote'))"
    alone = {"PATH": "/usr/bin:/bin"}
    said = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True, env=alone)

    subprocess.run(said.stdout, shell=True, check=True)

    assert subprocess.run([python, "-c", "import fsspec"], check=False).returncode == 0


@pytest.mark.process
def test_without_pandas_a_data_frame_says_what_to_install(folder, target):
    build(folder, target)
    code = (
        "import sys; sys.modules['pandas'] = None; import lookalike; lookalike.open(sys.argv[1]).to_pandas()"
    )

    ended = subprocess.run([sys.executable, "-c", code, target], capture_output=True, text=True, check=False)

    assert "ExtraError: a DataFrame needs pandas; " in ended.stderr
    assert "-m pip install 'pandas>=" in ended.stderr
