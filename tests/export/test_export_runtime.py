"""onnxruntime-web: where its files come from, and that no others are taken."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import sys
import tarfile
from pathlib import Path

import pytest

from lookalike.errors import ModelError
from lookalike.export import runtime

NAMES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "lookalike" / f"onnxruntime-web-{runtime.VERSION}"


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive with the files, and one that wants to be elsewhere; its checksum is the expected one."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name in (*(f"package/dist/{name}" for name in NAMES), "../../escaped"):
            member = tarfile.TarInfo(name)
            member.size = len(name)
            tar.addfile(member, io.BytesIO(name.encode()))
    checksum = base64.b64encode(hashlib.sha512(buffer.getvalue()).digest()).decode()
    monkeypatch.setattr(runtime, "INTEGRITY", f"sha512-{checksum}")
    path = tmp_path / "onnxruntime-web.tgz"
    path.write_bytes(buffer.getvalue())
    return path


@pytest.fixture
def npm(tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of that name which copies the archive and counts its calls."""
    program = tmp_path / "bin" / "npm"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nimport shutil, sys\nopen({str(tmp_path / 'calls')!r}, 'a').write('x')\n"
        f"assert sys.argv[1:3] == ['pack', 'onnxruntime-web@{runtime.VERSION}']\n"
        f"shutil.copy({str(archive)!r}, sys.argv[-1])\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent) + os.pathsep + os.environ["PATH"])
    return tmp_path / "calls"


def test_npm_is_asked_once_and_the_cache_after_that(npm, cache):
    first = runtime.runtime_files()
    again = runtime.runtime_files()

    assert npm.read_text() == "x"
    assert (
        first
        == again
        == {
            "onnxruntime.js": cache / NAMES[0],
            "onnxruntime-wasm.js": cache / NAMES[1],
            "onnxruntime.wasm": cache / NAMES[2],
        }
    )
    assert first["onnxruntime.js"].read_text() == "package/dist/ort.wasm.min.mjs"


def test_only_the_files_that_are_needed_are_unpacked(npm, cache, tmp_path):
    runtime.runtime_files()

    assert sorted(path.name for path in cache.iterdir()) == sorted(NAMES)
    assert not list(tmp_path.rglob("escaped"))


def test_an_archive_with_another_checksum_is_refused(npm, archive, cache):
    archive.write_bytes(archive.read_bytes() + b"\0")

    with pytest.raises(ModelError, match=r"has the checksum sha512-.*, but it should be sha512-"):
        runtime.runtime_files()
    assert not cache.exists()


def test_without_npm_it_says_what_to_do(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(ModelError, match=r"npm, which fetches it, is not installed.*as `onnxruntime_web`"):
        runtime.runtime_files()


def test_what_npm_says_is_passed_on(tmp_path, monkeypatch):
    program = tmp_path / "bin" / "npm"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'npm error no such package' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent) + os.pathsep + os.environ["PATH"])

    with pytest.raises(
        ModelError, match=r"npm could not fetch onnxruntime-web@.*: npm error no such package"
    ):
        runtime.runtime_files()


def test_a_folder_of_the_user_comes_first(tmp_path, npm):
    (tmp_path / "mine").mkdir()
    for name in NAMES:
        (tmp_path / "mine" / name).write_text("mine")

    assert runtime.runtime_files(tmp_path / "mine")["onnxruntime.js"].read_text() == "mine"
    assert not npm.exists()


def test_a_folder_without_the_files_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"lacks ort.wasm.min.mjs, .*npm pack onnxruntime-web@"):
        runtime.runtime_files(tmp_path)
