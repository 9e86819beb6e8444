"""The packages that run a model in a browser: where their files come from, and that no others are taken."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from lookalike.errors import ModelError
from lookalike.export.npm import ONNXRUNTIME, TOKENIZERS, Package, package_files

NAMES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "lookalike" / f"onnxruntime-web-{ONNXRUNTIME.version}"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An archive with the files, and one that wants to be elsewhere."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name in (*(f"package/dist/{name}" for name in NAMES), "../../escaped"):
            member = tarfile.TarInfo(name)
            member.size = len(name)
            tar.addfile(member, io.BytesIO(name.encode()))
    path = tmp_path / "onnxruntime-web.tgz"
    path.write_bytes(buffer.getvalue())
    return path


@pytest.fixture
def package(archive: Path) -> Package:
    """The package, with the checksum of the archive."""
    checksum = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    return replace(ONNXRUNTIME, integrity=f"sha512-{checksum}")


@pytest.fixture
def npm(tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of that name which copies the archive and counts its calls."""
    program = tmp_path / "bin" / "npm"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nimport shutil, sys\nopen({str(tmp_path / 'calls')!r}, 'a').write('x')\n"
        f"assert sys.argv[1:3] == ['pack', 'onnxruntime-web@{ONNXRUNTIME.version}']\n"
        f"shutil.copy({str(archive)!r}, sys.argv[-1])\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent) + os.pathsep + os.environ["PATH"])
    return tmp_path / "calls"


def test_npm_is_asked_once_and_the_cache_after_that(package, npm, cache):
    first = package_files(package)
    again = package_files(package)

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


def test_only_the_files_that_are_needed_are_unpacked(package, npm, cache, tmp_path):
    package_files(package)

    assert sorted(path.name for path in cache.iterdir()) == sorted(NAMES)
    assert not list(tmp_path.rglob("escaped"))


def test_an_archive_with_another_checksum_is_refused(package, npm, archive, cache):
    archive.write_bytes(archive.read_bytes() + b"\0")

    with pytest.raises(ModelError, match=r"has the checksum sha512-.*, but it should be sha512-"):
        package_files(package)
    assert not cache.exists()


def test_without_npm_it_says_what_to_do(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(
        ModelError, match=r"npm, which fetches onnxruntime-web, is not installed.*as `onnxruntime_web`"
    ):
        package_files(ONNXRUNTIME)


def test_what_npm_says_is_passed_on(tmp_path, monkeypatch):
    program = tmp_path / "bin" / "npm"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'npm error no such package' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent) + os.pathsep + os.environ["PATH"])

    with pytest.raises(
        ModelError, match=r"npm could not fetch onnxruntime-web@.*: npm error no such package"
    ):
        package_files(ONNXRUNTIME)


def test_a_folder_of_the_user_comes_first(package, tmp_path, npm):
    (tmp_path / "mine").mkdir()
    for name in NAMES:
        (tmp_path / "mine" / name).write_text("mine")

    assert package_files(package, tmp_path / "mine")["onnxruntime.js"].read_text() == "mine"
    assert not npm.exists()


def test_a_folder_without_the_files_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"lacks ort.wasm.min.mjs, .*npm pack onnxruntime-web@"):
        package_files(ONNXRUNTIME, tmp_path)


def test_the_tokenizer_comes_from_its_own_package(tmp_path):
    (tmp_path / "package" / "dist").mkdir(parents=True)
    (tmp_path / "package" / "dist" / "tokenizers.min.mjs").write_text("mine")

    assert package_files(TOKENIZERS, tmp_path)["tokenizers.js"].read_text() == "mine"
    with pytest.raises(ModelError, match=r"lacks tokenizers.min.mjs; .*npm pack @huggingface/tokenizers@0"):
        package_files(TOKENIZERS, tmp_path / "package" / "dist" / "none")
