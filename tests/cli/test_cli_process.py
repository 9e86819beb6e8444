"""The program as a process: how it starts and stops, serves, and meets other terminals and names."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from conftest import build, command_process, strict_json, write_picture
from pictures import encoded
from PIL import Image

import lookalike

pytestmark = pytest.mark.process


def serving(*words: object) -> tuple[int, str, str]:
    """Run a command that serves until its page answers, then press Ctrl-C; exit code, page, stderr."""
    process = subprocess.Popen(
        [sys.executable, "-m", "lookalike", *map(str, words), "--no-browser", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = ""
    for line in process.stderr:
        said += line
        if address := re.search(r"http://\S+", line):
            break
    with urllib.request.urlopen(address[0], timeout=10) as answer:
        page = answer.read().decode()
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=20)
    assert stdout == ""
    return process.returncode, page, said + stderr


def test_serve_opens_a_page_until_ctrl_c(collection):
    code, page, stderr = serving("serve", collection.path)

    assert code in (0, 130)
    assert "<html" in page
    assert re.fullmatch(r"42 images at http://127\.0\.0\.1:\d+/ \(Ctrl-C stops\)\n(.*\n)?", stderr)


def test_a_path_alone_builds_and_serves(folder):
    code, page, stderr = serving(folder, "--model", "colors")

    assert code in (0, 130)
    assert "<html" in page
    assert re.search(
        r"12 embedded\nmade the .* in [\d.]+ s\nthe collection is in .*\n12 images at http://", stderr
    )
    assert len(lookalike.open(folder.with_name("pictures.lookalike"))) == 12


def test_a_collection_alone_is_served(collection):
    assert "42 images at http://" in serving(collection.path)[2]


@pytest.mark.parametrize("words", [["-m", "lookalike", "--help"], ["-c", "import lookalike; dir(lookalike)"]])
def test_help_and_import_are_instant_and_load_nothing_heavy(words):
    durations_s = []
    for _ in range(3):
        before_s = computed_s()
        timed = [sys.executable, "-X", "importtime", *words]
        ended = subprocess.run(timed, capture_output=True, text=True, check=False)
        durations_s.append(computed_s() - before_s)
        assert ended.returncode == 0
    loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in ended.stderr.splitlines()}

    assert "lookalike" in loaded
    assert not loaded & {
        "numpy",
        "pyarrow",
        "onnxruntime",
        "PIL",
        "simplejpeg",
        "starlette",
        "uvicorn",
        "tqdm",
    }
    assert min(durations_s) < 0.3


def computed_s() -> float:
    """How long the programs that have ended computed: longer waits on a busy machine are left out."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_the_public_names_are_there():
    assert sorted(lookalike.__all__) == dir(lookalike)
    assert all(getattr(lookalike, name) is not None for name in lookalike.__all__)
    with pytest.raises(AttributeError, match="module 'lookalike' has no attribute 'nosuch'"):
        _ = lookalike.nosuch


def test_the_installed_command_is_the_same(collection):
    script = Path(sys.executable).with_name("lookalike")
    words = [script, "info", collection.path, "--json"]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert strict_json(ended.stdout)["images"] == 42


def test_a_reader_that_goes_away_is_no_traceback(collection):
    words = [sys.executable, "-m", "lookalike", "search", str(collection.path), "id:sea/sea-002.png"]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=buffered)
    process.stdout.close()
    stderr = process.stderr.read()
    process.stderr.close()

    assert (process.wait(), stderr) == (1, b"")


def test_what_libtiff_says_of_a_damaged_picture_stands_in_its_failure_and_not_in_the_terminal(
    tmp_path, target
):
    write_picture(tmp_path / "pile" / "good.png", 1)
    for number in range(6):
        for packing in ("tiff_lzw", "tiff_adobe_deflate"):
            packed = encoded(
                Image.effect_mandelbrot((200, 200), (-2, -1, 1, 1), 99), "TIFF", compression=packing
            )
            middle = len(packed) // 2
            damaged = packed[:middle] + bytes(500) + packed[middle + 500 :]
            (tmp_path / "pile" / f"{packing}-{number}.tif").write_bytes(damaged)

    ended = command_process(
        *("build", tmp_path / "pile", "-c", target, "--model", "colors", "--threads", 4, "--json")
    )

    assert not [line for line in ended.stderr.splitlines() if "Decode" in line or "PIL" in line]
    rows = json.loads(command_process("failures", target, "--json").stdout)
    assert len(rows) == 12
    for row in rows:
        packing = row["id"].split("-")[0]
        said = {"tiff_lzw": "Not enough data at scanline", "tiff_adobe_deflate": "Decoding error at scanline"}
        assert row["error"].startswith(f"damaged TIFF, packed as {packing}: {said[packing]}")


def test_a_crash_is_told_though_libraries_are_silenced(tmp_path):
    crash = "import os, sys; from lookalike.cli.noise import without_noise\nwith without_noise(): os.abort()"
    ended = subprocess.run([sys.executable, "-c", crash], capture_output=True, text=True, check=False)
    assert ended.returncode == -6
    assert "Fatal Python error: Aborted" in ended.stderr


def test_names_that_the_terminal_cannot_show_are_shown_as_escapes(folder, target):
    write_picture(folder / "雪.png", 100)
    build(folder, target)
    plain = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}

    ended = command_process("search", target, "id:sea/sea-002.png", "-k", 12, env=plain)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert r"\u96ea.png" in ended.stdout


def test_a_collection_whose_name_is_not_utf8_is_read(folder, tmp_path):
    name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    build(folder, Path(name))

    for words in (["info", name], ["info", name, "--json"], ["verify", name, "--json"]):
        ended = command_process(
            *words, errors="replace", env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
        )
        assert "Traceback" not in ended.stderr
        assert ended.returncode == 0


def test_ctrl_c_while_it_starts_is_no_traceback(collection):
    words = [sys.executable, "-m", "lookalike", "verify", str(collection.path)]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    maps = Path(f"/proc/{process.pid}/maps")
    while "numpy" not in maps.read_text():  # it is importing
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    stderr = process.communicate()[1]

    assert stderr == "\nlookalike: stopped; what was committed is kept\n"
    assert process.returncode in (130, -signal.SIGINT)  # Python may end itself so, after a module in C
