"""Links in a folder, what is no file, and what cannot be read: a failure each, and the rest is listed."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from source_files import failures, ids, only_sample, touch

from lookalike.errors import SourceError
from lookalike.sources.folder import Folder
from lookalike.sources.opening import open_source
from lookalike.sources.sample import Sample
from lookalike.storage.parts import Failure

# Links, and things that are no files


def test_links_to_files_and_folders_are_followed_under_their_own_names(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/a.jpg", "photos/b.jpg")
    (tmp_path / "photos" / "c.jpg").symlink_to("../elsewhere/a.jpg")
    (tmp_path / "photos" / "d").symlink_to("../elsewhere")
    assert ids(tmp_path / "photos") == ["b.jpg", "c.jpg", "d/a.jpg"]
    reads = [one.read() for one in Folder(tmp_path / "photos").samples() if isinstance(one, Sample)]
    assert reads == [b"bytes of photos/b.jpg", b"bytes of elsewhere/a.jpg", b"bytes of elsewhere/a.jpg"]


def test_two_links_to_one_folder_are_both_listed(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.jpg")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "c").symlink_to("a")
    assert ids(tmp_path) == ["a/x.jpg", "b/x.jpg", "c/x.jpg"]


def test_a_broken_link_is_a_failure(tmp_path: Path) -> None:
    touch(tmp_path, "b.jpg")
    (tmp_path / "a.jpg").symlink_to("nowhere.jpg")
    assert failures(tmp_path) == [("a.jpg", "a broken link")]


def test_a_broken_link_that_is_not_named_like_a_picture_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("nowhere")
    assert ids(tmp_path) == []


@pytest.mark.parametrize("target", [".", "..", "../..", "{root}"])
def test_a_link_to_a_folder_above_it_is_a_failure_and_not_a_loop(target: str, tmp_path: Path) -> None:
    touch(tmp_path, "pictures/a/b.jpg")
    (tmp_path / "pictures" / "a" / "up").symlink_to(target.format(root=tmp_path / "pictures"))
    entries = list(Folder(tmp_path / "pictures").samples())
    assert entries[0].id == "a/b.jpg"
    found = [one for one in entries if isinstance(one, Failure)]
    assert {one.error for one in found} == {"a link that leads back to a folder above it"}
    assert all(one.uri.endswith("/") for one in found)


def test_two_folders_that_link_to_each_other_are_not_a_loop(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.jpg", "b/y.jpg")
    (tmp_path / "a" / "b").symlink_to("../b")
    (tmp_path / "b" / "a").symlink_to("../a")
    listed = [one.id for one in Folder(tmp_path).samples()]
    assert listed == ["a/b/a/", "a/b/y.jpg", "a/x.jpg", "b/a/b/", "b/a/x.jpg", "b/y.jpg"]


def test_a_link_to_itself_that_is_named_like_a_picture_is_a_failure(tmp_path: Path) -> None:
    touch(tmp_path, "b.jpg")
    (tmp_path / "a.jpg").symlink_to("a.jpg")
    assert failures(tmp_path) == [("a.jpg", os.strerror(errno.ELOOP))]


def test_a_link_to_itself_does_not_stop_the_listing(tmp_path: Path) -> None:
    touch(tmp_path, "b.jpg")
    (tmp_path / "a").symlink_to("a")
    assert "b.jpg" in [one.id for one in Folder(tmp_path).samples()]


def test_a_link_through_a_file_does_not_stop_the_listing(tmp_path: Path) -> None:
    touch(tmp_path, "b.jpg", "notes.txt")
    (tmp_path / "a.jpg").symlink_to("notes.txt/a.jpg")
    assert [one.id for one in Folder(tmp_path).samples()] == ["a.jpg", "b.jpg"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_named_pipe_is_a_failure_and_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")  # opening it would wait for ever
    assert failures(tmp_path) == [("a.jpg", "not a regular file")]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_link_to_a_named_pipe_is_a_failure_and_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a.jpg").symlink_to("pipe")
    assert failures(tmp_path) == [("a.jpg", "not a regular file")]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_named_pipe_in_the_place_of_a_manifest_is_never_waited_for(tmp_path: Path) -> None:
    touch(tmp_path, "a/b.jpg")
    os.mkfifo(tmp_path / "a" / "collection.json")
    list_it = "import sys; from pathlib import Path; from lookalike.sources.folder import Folder; "
    list_it += "print([one.id for one in Folder(Path(sys.argv[1])).samples()])"
    done = subprocess.run(
        [sys.executable, "-c", list_it, tmp_path], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "['a/b.jpg']\n"


# What changes or cannot be read

LIST_AS_NOBODY = """
import json, os, sys
from pathlib import Path
from lookalike.storage.parts import Failure
from lookalike.sources.folder import Folder
if os.geteuid() == 0:
    os.setgroups([])
    os.setegid(65534)
    os.seteuid(65534)
def read(sample):
    try:
        return sample.read().decode()
    except OSError as error:
        return type(error).__name__
entries = Folder(Path(sys.argv[1])).samples()
print(json.dumps([[one.id, one.error if isinstance(one, Failure) else read(one)] for one in entries]))
"""


@pytest.fixture
def public_path() -> Iterator[Path]:
    """A folder that another user reaches, which pytest's own are not."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    for folder in path.glob("**/"):
        folder.chmod(0o755)
    shutil.rmtree(path)


def listed_by_nobody(path: Path) -> list[list[str]]:
    """[id, what reading it gives] of a listing in a process that permissions bind, even if we are root."""
    command = [sys.executable, "-c", LIST_AS_NOBODY, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    entries: list[list[str]] = json.loads(done.stdout)
    return entries


needs_users = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions work in another way here")


@pytest.mark.process
@needs_users
def test_a_folder_without_permission_is_a_failure_and_the_rest_is_listed(public_path: Path) -> None:
    touch(public_path, "a.jpg", "closed/b.jpg", "d.jpg")
    (public_path / "closed").chmod(0)
    assert listed_by_nobody(public_path) == [
        ["a.jpg", "bytes of a.jpg"],
        ["closed/", "Permission denied"],
        ["d.jpg", "bytes of d.jpg"],
    ]


@pytest.mark.process
@needs_users
def test_a_file_without_permission_is_listed_and_reading_it_is_an_os_error(public_path: Path) -> None:
    touch(public_path, "a.jpg")
    (public_path / "a.jpg").chmod(0)
    assert listed_by_nobody(public_path) == [["a.jpg", "PermissionError"]]


@pytest.mark.process
@needs_users
def test_a_link_into_a_folder_without_permission_is_a_failure_and_the_rest_is_listed(
    public_path: Path,
) -> None:
    touch(public_path, "closed/b.jpg", "open/c.jpg")
    (public_path / "open" / "a.jpg").symlink_to("../closed/b.jpg")
    (public_path / "closed").chmod(0)
    assert listed_by_nobody(public_path / "open") == [
        ["a.jpg", "Permission denied"],
        ["c.jpg", "bytes of open/c.jpg"],
    ]


def test_a_file_that_is_gone_before_it_is_read_is_a_file_not_found_error(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    sample = only_sample(tmp_path)
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(FileNotFoundError):
        sample.read()


def test_a_folder_that_is_gone_is_a_failure_below_the_uri_of_the_source(tmp_path: Path) -> None:
    source = Folder(tmp_path / "gone")
    (failure,) = source.samples()
    assert isinstance(failure, Failure)
    assert failure.error == "No such file or directory"
    assert failure.uri == source.uri


def test_a_file_or_nothing_in_place_of_a_folder_is_a_source_error_that_names_it(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    assert isinstance(open_source(str(tmp_path)), Folder)
    with pytest.raises(SourceError) as caught:
        open_source(tmp_path / "a.jpg")
    assert caught.value.message == f"{tmp_path}/a.jpg is a file, but not a shard of images"
    with pytest.raises(SourceError) as caught:
        open_source(tmp_path / "gone")
    assert caught.value.message == f"there is no folder {tmp_path}/gone"
