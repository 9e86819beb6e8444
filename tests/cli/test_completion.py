"""Completion in the shells themselves: commands, flags and choices."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from lookalike.cli.parser import COMMANDS

_BASH = """
lookalike() {{ {python} -m lookalike "$@"; }}
eval "$(lookalike completion bash)"
COMP_WORDS=({words})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_lookalike
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
CASES = [
    ("lookalike evalu", ["evaluate"]),
    ("lookalike build --dev", ["--device"]),
    ("lookalike build --device m", ["mps"]),
    ("lookalike map photos.lookalike --method u", ["umap"]),
    ("lookalike completion ''", ["bash", "fish", "zsh"]),
]


def of(shell: str, script: str) -> list[str]:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run([shell, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return sorted(line.split("\t")[0] for line in done.stdout.split("\n") if line)


@pytest.mark.process
@pytest.mark.parametrize(("words", "offered"), CASES)
def test_bash_completes(words, offered):
    assert of("bash", _BASH.format(python=sys.executable, words=words)) == offered


@pytest.mark.process
@pytest.mark.parametrize(("words", "offered"), CASES)
def test_fish_completes(words, offered):
    line = words.replace("''", "")
    script = f'{sys.executable} -m lookalike completion fish | source; complete -C "{line}"'
    assert of("fish", script) == offered


def test_zsh_takes_the_completion_of_bash(run):
    bash, zsh = run("completion", "bash")[1], run("completion", "zsh")[1]

    assert zsh.endswith(bash)
    assert of("zsh", f"{zsh}\nprint -r -- $_comps[lookalike]")[0].startswith("_bash_complete")


def test_where_nothing_fits_a_file_is_offered(run):
    assert "complete -o default -F _lookalike lookalike" in run("completion", "bash")[1]


def test_every_command_is_completed(run):
    assert f'choices="{" ".join(COMMANDS)}"' in run("completion", "bash")[1]
