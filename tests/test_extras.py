"""What to install for an optional part, however Lookalike was installed."""

from __future__ import annotations

import subprocess
import sys
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
