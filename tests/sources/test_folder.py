"""A folder as a source: what is listed, in which order and under which names."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from source_files import ids, only_sample, touch

from lookalike.sources.folder import Folder
from lookalike.storage.parts import Failure


def path_of(uri: str) -> bytes:
    """The file that a URI names, by the standard library's reading of URIs."""
    parts = urlsplit(uri)
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("file", "", "", "")
    return unquote_to_bytes(parts.path)


# What is listed


def test_a_folder_is_listed_with_everything_below_it_sorted_by_name(tmp_path: Path) -> None:
    touch(tmp_path, "b.jpg", "a/z.png", "a/b/c/d.gif", "C.jpg", "a/a.webp", "d/e.jpg")
    assert ids(tmp_path) == ["C.jpg", "a/a.webp", "a/b/c/d.gif", "a/z.png", "b.jpg", "d/e.jpg"]


def test_an_empty_folder_has_no_samples(tmp_path: Path) -> None:
    assert ids(tmp_path) == []


@pytest.mark.parametrize(
    "suffix",
    (
        ".jpg .jpeg .JPG .Jpeg .png .PNG .webp .gif .tif .tiff .TIFF .bmp .avif .heic .HEIC .heif .mpo .jp2 "
        ".tga .pnm"
    ).split(),
)
def test_a_picture_is_known_by_its_suffix_in_upper_or_lower_case(suffix: str, tmp_path: Path) -> None:
    touch(tmp_path, "a" + suffix)
    assert ids(tmp_path) == ["a" + suffix]


def test_files_that_are_no_pictures_are_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "a.txt", "jpg", "b.jpg.txt", "c", "d.jpg~", "e.svg", "f.mp4", "a.jpg")
    assert ids(tmp_path) == ["a.jpg"]


def test_what_is_passed_over_is_counted_by_its_ending(tmp_path: Path) -> None:
    touch(tmp_path, "a.txt", "b/c.TXT", "d", "e.mp4", "f.jpg", ".hidden.txt")
    folder = Folder(tmp_path)
    for _ in range(2):  # each listing counts anew
        assert ids_of(folder) == ["f.jpg"]
        assert folder.passed_over == {".txt": 2, "": 1, ".mp4": 1}


def ids_of(folder: Folder) -> list[str]:
    return [one.id for one in folder.samples()]


def test_hidden_files_and_folders_are_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, ".a.jpg", ".git/b.jpg", "c/.d/e.jpg", ".jpg", "f.jpg")
    assert ids(tmp_path) == ["f.jpg"]


def test_a_hidden_folder_that_is_asked_for_is_listed(tmp_path: Path) -> None:
    touch(tmp_path, ".pictures/a.jpg")
    assert ids(tmp_path / ".pictures") == ["a.jpg"]


def test_a_folder_with_a_collection_json_of_another_kind_is_listed(tmp_path: Path) -> None:
    touch(tmp_path, "stac/a.jpg")
    (tmp_path / "stac" / "collection.json").write_text('{"type": "Collection"}')
    assert ids(tmp_path) == ["stac/a.jpg"]


def test_a_collection_in_the_folder_is_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "flowers.lookalike/thumbnails/a.jpg", "a.jpg")
    manifest = '{"format": "lookalike-collection"}'
    (tmp_path / "flowers.lookalike" / "collection.json").write_text(manifest)
    assert ids(tmp_path) == ["a.jpg"]


def test_a_folder_named_like_a_picture_is_descended_into(tmp_path: Path) -> None:
    touch(tmp_path, "x.jpg/a.jpg")
    assert ids(tmp_path) == ["x.jpg/a.jpg"]


def test_a_sample_tells_the_size_and_the_time_of_its_file_and_reads_its_bytes(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    os.utime(tmp_path / "a.jpg", ns=(1, 1_234_567_890_123_456_789))
    sample = only_sample(tmp_path)
    assert sample.size_bytes == len(b"bytes of a.jpg")
    assert sample.mtime_ns == 1_234_567_890_123_456_789
    assert sample.read() == b"bytes of a.jpg"
    assert dict(sample.metadata) == {}


def test_the_uri_of_a_source_is_the_prefix_of_its_samples_and_failures(tmp_path: Path) -> None:
    touch(tmp_path, "a b/c.jpg")
    (tmp_path / "a b" / "d.jpg").symlink_to("nowhere")
    source = Folder(tmp_path / "a b")
    assert source.uri == f"file://{tmp_path}/a%20b/"
    assert [one.uri for one in source.samples()] == [source.uri + "c.jpg", source.uri + "d.jpg"]


def test_the_uri_of_the_root_of_the_file_system_is_the_prefix_of_every_other() -> None:
    assert Folder(Path("/")).uri == "file:///"


def test_a_relative_path_and_a_link_to_a_folder_give_the_uris_of_the_real_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "real/a.jpg")
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    expected = f"file://{tmp_path}/real/a.jpg"
    assert [only_sample(Path(name)).uri for name in ("real", "link", "link/../real/")] == [expected] * 3


# Names


@pytest.mark.parametrize(
    "name",
    [
        "a'b\"c.jpg",
        "a\nb.jpg",
        "100%25.jpg",
        "a b#c?d&e.jpg",
        "ünï-日本-🌼.jpg",
        "a\\b.jpg",
        "-rf.jpg",
        "a:b;c.jpg",
    ],
)
def test_an_unusual_name_is_the_id_and_its_uri_leads_to_the_file(name: str, tmp_path: Path) -> None:
    touch(tmp_path, f"{name}/{name}")
    sample = only_sample(tmp_path)
    assert sample.id == f"{name}/{name}"
    assert path_of(sample.uri) == os.fsencode(tmp_path / name / name)
    assert sample.uri.isascii()
    assert sample.read() == f"bytes of {name}/{name}".encode()


@pytest.fixture
def latin_1_file(tmp_path: Path) -> bytes:
    """The path of a file whose name is not UTF-8, where there can be one."""
    path = os.path.join(os.fsencode(tmp_path), b"caf\xe9.jpg")
    try:
        with open(path, "wb") as file:
            file.write(b"coffee")
    except OSError:
        pytest.skip("the file system refuses names that are not UTF-8")
    return path


def test_bytes_of_a_name_that_are_not_utf_8_are_shown_in_the_id_and_kept_in_the_uri(
    latin_1_file: bytes, tmp_path: Path
) -> None:
    sample = only_sample(tmp_path)
    assert sample.id == "caf\\xe9.jpg"
    assert sample.uri == f"file://{tmp_path}/caf%E9.jpg"
    assert path_of(sample.uri) == latin_1_file
    assert sample.read() == b"coffee"


@given(st.binary(min_size=1, max_size=40).filter(lambda name: not set(name) & set(b"/\0") and name[0] != 46))
def test_whatever_its_name_a_picture_is_listed_and_its_uri_leads_to_it(name: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(os.fsencode(os.path.realpath(folder)), name + b".jpg")
        try:
            with open(path, "wb") as file:
                file.write(b"content")
        except OSError:
            return  # the file system refuses the name
        sample = only_sample(Path(folder))
        assert sample.id.encode("utf-8")
        assert path_of(sample.uri) == path
        assert sample.read() == b"content"


# Size


@pytest.mark.slow
def test_a_folder_of_100000_files_is_listed_in_seconds(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        for number in range(100_000):
            os.close(os.open(f"{number:06d}.jpg", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))
    finally:
        os.close(descriptor)
    start = time.perf_counter()
    listed = ids(tmp_path)
    elapsed_s = time.perf_counter() - start
    shutil.rmtree(tmp_path)
    assert listed == [f"{number:06d}.jpg" for number in range(100_000)]
    assert elapsed_s < 10


@pytest.fixture
def deep_path(tmp_path: Path) -> Iterator[Path]:
    """A folder whose content may be too deep for Python to remove."""
    if os.name != "posix":
        pytest.skip("so deep a folder cannot be made here")
    path = tmp_path / "deep"
    path.mkdir()
    yield path
    subprocess.run(["rm", "-rf", str(path)], check=True)


def nest(path: Path, levels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders in folders and a picture at the end, made from within, since the path may be too long."""
    with monkeypatch.context() as patch:
        patch.chdir(path)
        for _ in range(levels):
            os.mkdir("d")
            os.chdir("d")
        Path("x.jpg").touch()


@pytest.mark.process
def test_a_picture_1500_folders_deep_is_listed(deep_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nest(deep_path, 1500, monkeypatch)
    if len(os.fsencode(deep_path)) + 3_010 > os.pathconf("/", "PC_PATH_MAX"):
        pytest.skip("the path would be too long for this system")
    assert ids(deep_path) == ["d/" * 1500 + "x.jpg"]


@pytest.mark.process
def test_folders_too_deep_for_the_system_are_a_failure_and_the_rest_is_listed(
    deep_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(deep_path, "a.jpg", "e.jpg")
    nest(deep_path, 2500, monkeypatch)
    first, failure, last = Folder(deep_path).samples()
    assert (first.id, last.id) == ("a.jpg", "e.jpg")
    assert isinstance(failure, Failure)
    assert failure.error == os.strerror(errno.ENAMETOOLONG)
