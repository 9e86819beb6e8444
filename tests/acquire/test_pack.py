"""Packing into shards and back: byte for byte, and through any kill."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import pandas
import pyarrow as pa
import pytest
import webdataset
from conftest import build, command, write_pictures
from hypothesis import given
from hypothesis import strategies as some
from pictures import quick
from PIL import Image
from source_files import images, jpeg, listed, metadata, tar_of, written
from web_server import web

from lookalike.acquire.pack import pack
from lookalike.acquire.shards import FORMATS, safe_key, suffix_of, writing_shard
from lookalike.errors import LookalikeError, SourceError
from lookalike.sources.tfrecord_format import decode_example, walk_records
from lookalike.storage.stores import place

TYPES = {"caption": pa.string(), "n": pa.int64(), "x": pa.float64()}


def tree(folder: Path) -> dict[str, bytes]:
    """The images of a folder by their relative paths."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".jpg", ".png")
    }


def by_webdataset(tar: Path) -> list[dict]:
    """The samples as the webdataset library reads them; it would leave a file of its own open."""
    with tar.open("rb") as file:
        members = webdataset.tariterators.tar_file_iterator(file)
        return list(webdataset.tariterators.group_by_keys({**one, "__url__": str(tar)} for one in members))


def shard(folder: Path, format_: str) -> Path:
    """A shard of two images, one with all columns and one with none."""
    path = folder / ("0.parquet" if format_ == "folder" else f"0.{format_}")
    with writing_shard(path, format_, TYPES) as add:
        add("2021/a.b.jpg", jpeg(0), {"caption": "müde", "n": -(2**40), "x": 0.1})
        add("2021/c", jpeg(1), {"caption": None})
    return path


@pytest.mark.parametrize("format_", ["tar", "tfrecord", "parquet"])
def test_a_folder_comes_back_byte_for_byte(folder, tmp_path, format_):
    packed = pack(folder, tmp_path / "shards", format=format_, shard_size=5)
    unpacked = pack(tmp_path / "shards", tmp_path / "again", format="folder")

    assert packed.images == unpacked.images == 12
    assert packed.bytes == unpacked.bytes == sum(map(len, tree(folder).values()))
    assert (packed.shards, packed.failed) == (3, 0)
    assert tree(tmp_path / "again") == tree(folder)


@pytest.mark.parametrize("first", FORMATS)
@pytest.mark.parametrize("second", FORMATS)
def test_columns_and_labels_come_along(folder, tmp_path, target, first, second):
    (tmp_path / "rows.csv").write_text("id,price,note\nsea/sea-002.png,3,wavy\nbrick/brick-000.jpg,,red\n")
    pack(folder, tmp_path / "1", format=first, label="folder", metadata=tmp_path / "rows.csv")
    pack(tmp_path / "1", tmp_path / "2", format=second)

    rows = build(tmp_path / "2", target)[0].items(["id", "label", "price", "note"]).to_pylist()

    found = {row.pop("id").removeprefix("00000/"): tuple(row.values()) for row in rows}
    assert len(found) == 12
    assert found["sea/sea-002.png"] == ("sea", 3, "wavy")
    assert found["brick/brick-000.jpg"] == ("brick", None, "red")
    assert found["meadow/meadow-001.jpg"] == ("meadow", None, None)


def test_a_tar_is_read_by_webdataset(tmp_path):
    path = shard(tmp_path, "tar")

    samples = by_webdataset(path)

    assert [one["__key__"] for one in samples] == ["2021/a%2Eb", "2021/c"]
    assert [one["jpg"] for one in samples] == [jpeg(0), jpeg(1)]
    columns = {"caption": "müde", "n": -(2**40), "x": 0.1}
    assert json.loads(samples[0]["json"]) == {**columns, "path": "2021/a.b.jpg"}
    assert json.loads(samples[1]["json"]) == {"path": "2021/c"}


def test_a_tar_that_webdataset_wrote_is_read(tmp_path):
    with webdataset.TarWriter(str(tmp_path / "000.tar")) as writer:
        writer.write({"__key__": "x/1", "jpg": jpeg(0), "json": {"n": 1}, "cls": 3, "txt": "dawn"})

    assert images(tmp_path / "000.tar") == {"000/x/1.jpg": jpeg(0)}
    assert metadata(tmp_path / "000.tar") == {"000/x/1.jpg": {"n": 1, "label": "3", "caption": "dawn"}}


def test_parquet_is_read_by_pandas(tmp_path):
    frame = pandas.read_parquet(shard(tmp_path, "parquet"))

    assert list(frame.columns) == ["path", "caption", "n", "x", "image"]
    assert frame["caption"][0] == "müde"
    assert frame["n"][0] == -(2**40)
    assert Image.open(io.BytesIO(frame["image"][1]["bytes"])).size == (16, 12)


def test_a_record_has_the_features_of_the_original_library(tmp_path):
    with shard(tmp_path, "tfrecord").open("rb") as file:
        features = [decode_example(file, place) for place in walk_records(file)]

        assert list(features[0]) == ["caption", "n", "x", "image_name", "image"]
        (name,) = features[0]["image_name"]
        file.seek(name.start)
        assert file.read(name.stop - name.start) == b"2021/a.b.jpg"


def test_two_packs_of_one_source_are_the_same_bytes(folder, tmp_path):
    for format_ in ("tar", "tfrecord", "parquet"):
        for name in ("one", "two"):
            pack(folder, tmp_path / name / format_, format=format_)
        name = f"{format_}/00000.{format_}"
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_images_of_one_name_and_two_kinds_do_not_meet(tmp_path, folder):
    for name in ("a.jpg", "a.png", "a_.jpg", "a.b.jpg", "a%2Eb.jpg"):
        written(tmp_path / "in" / name, jpeg(len(name)))
    pack(tmp_path / "in", tmp_path / "tars")

    assert len({one["__key__"] for one in by_webdataset(tmp_path / "tars" / "00000.tar")}) == 5
    pack(tmp_path / "tars", tmp_path / "out", format="folder")
    assert tree(tmp_path / "out") == tree(tmp_path / "in")


def test_no_name_leads_out_of_the_folder(tmp_path):
    written(tmp_path / "0.tar", tar_of({"../../evil.jpg": jpeg(0), "/abs/../evil.jpg": jpeg(1)}))

    report = pack(tmp_path / "0.tar", tmp_path / "out" / "deep", format="folder")

    assert report.images == 2
    assert sorted(tree(tmp_path)) == ["out/deep/0/abs/evil.jpg", "out/deep/0/evil.jpg"]


@quick
@given(some.text("a./\\\0", max_size=12))
def test_a_safe_key_is_a_relative_path(name):
    key = safe_key(name)

    assert os.path.normpath(key) == key
    assert not {"", ".."}.intersection(key.split("/"))
    assert safe_key(key) == key


def test_by_label_makes_a_folder_a_class(folder, tmp_path):
    pack(folder, tmp_path / "tars", label="folder")

    report = pack(tmp_path / "tars", tmp_path / "out", format="folder", by_label=True, count=5)

    assert report.images == 5
    assert sorted(tree(tmp_path / "out"))[::4] == [
        "brick/brick-brick-000.jpg",
        "meadow/meadow-meadow-001.jpg",
    ]


def test_what_cannot_be_read_is_listed_and_the_rest_is_packed(folder, tmp_path):
    pack(folder, tmp_path / "0", format="tfrecord")
    path = tmp_path / "0" / "00000.tfrecord"
    data = bytearray(path.read_bytes()[:-10])
    data[data.index((folder / "brick" / "brick-000.jpg").read_bytes()) + 500] ^= 1
    path.write_bytes(data)

    report = pack(path, tmp_path / "out")

    notes = json.loads((tmp_path / "out" / "_pack.json").read_text())
    errors = [one["error"] for one in notes["failures"] + notes["shards"]["00000.tar"]["failures"]]
    assert (report.images, report.failed) == (10, 2)
    assert "breaks off" in errors[0]
    assert "checksum" in errors[1]


@pytest.mark.parametrize("format_", FORMATS)
def test_a_shard_that_fails_leaves_no_shard(tmp_path, format_):
    with pytest.raises(RuntimeError), writing_shard(tmp_path / "0.x", format_, TYPES) as add:
        add("a.jpg", jpeg(), {})
        raise RuntimeError

    assert [path.name for path in tmp_path.iterdir() if path.name != "a.jpg"] == []


def test_names_of_255_bytes_are_packed_as_files_and_longer_ones_are_failures(tmp_path):
    source = tmp_path / "a.tar"
    names = ["b" * 251 + ".jpg", "c" * 253, "d.jpg"]  # the second gets a suffix by its bytes
    source.write_bytes(tar_of([(name + (".jpg" if name[0] == "c" else ""), jpeg(1)) for name in names]))
    report = pack(source, tmp_path / "out", format="folder")

    assert (report.images, report.failed) == (2, 1)
    packed = sorted(path.name for path in (tmp_path / "out").rglob("*.jpg"))
    assert packed == [names[0], names[2]]
    (failure,) = json.loads((tmp_path / "out" / "_pack.json").read_bytes())["shards"]["00000.parquet"][
        "failures"
    ]
    assert (failure["stage"], "c" * 253 in failure["error"]) == ("write", True)
    assert not list((tmp_path / "out").rglob("*.tmp"))


def test_halves_of_characters_are_packed_as_escapes(tmp_path):
    beside = b'{"caption": "half \\ud83d", "\\udc00": 1, "both": "\\ud83d\\ude00"}'
    (tmp_path / "a.tar").write_bytes(tar_of([("b.jpg", jpeg(1)), ("b.json", beside)]))
    for format_ in ("tar", "tfrecord", "parquet", "folder"):
        assert pack(tmp_path / "a.tar", tmp_path / format_, format=format_).images == 1


def test_other_files_in_the_folder_are_a_clear_error(folder, tmp_path):
    written(tmp_path / "out" / "00000.tar", b"years of work")

    with pytest.raises(SourceError, match="has other files"):
        pack(folder, tmp_path / "out")
    assert (tmp_path / "out" / "00000.tar").read_bytes() == b"years of work"


def test_a_pack_of_something_else_in_the_folder_is_a_clear_error(folder, tmp_path):
    pack(folder, tmp_path / "out")

    for change in ({"format": "parquet"}, {"shard_size": 3}, {"label": "folder"}, {"count": 3}):
        with pytest.raises(SourceError, match="has shards of another source"):
            pack(folder, tmp_path / "out", **change)
    os.utime(folder / "brick" / "brick-000.jpg")
    with pytest.raises(SourceError, match="another state of it"):
        pack(folder, tmp_path / "out")


@pytest.mark.parametrize("out", [".", "shards"])
def test_a_folder_is_not_packed_into_itself(folder, out):
    with pytest.raises(SourceError, match="is inside the source"):
        pack(folder, folder / out)


def test_an_unknown_format_is_refused(folder, tmp_path):
    with pytest.raises(LookalikeError, match="unknown format 'zip'"):
        pack(folder, tmp_path / "out", format="zip")


def test_packing_again_writes_nothing(folder, tmp_path):
    first = pack(folder, tmp_path / "out", shard_size=5)
    before = {path: path.stat().st_ino for path in (tmp_path / "out").iterdir()}

    assert pack(folder, tmp_path / "out", shard_size=5) == first
    assert {path: path.stat().st_ino for path in (tmp_path / "out").iterdir()} == before


@pytest.mark.process
@pytest.mark.parametrize("format_", FORMATS)
def test_a_kill_leaves_whole_shards_and_the_next_run_goes_on(tmp_path, format_):
    source, out = write_pictures(tmp_path / "in", 60), tmp_path / "out"
    words = ("pack", str(source), str(out), "--format", format_, "--shard-size", "7")
    for _ in range(2):
        before = len(list(out.glob("0*"))) if out.exists() else 0
        with subprocess.Popen([sys.executable, "-m", "lookalike", *words], stderr=subprocess.PIPE) as process:
            deadline = time.monotonic() + 20
            while process.poll() is None and time.monotonic() < deadline:
                if out.exists() and len(list(out.glob("0*"))) > before:
                    break
                time.sleep(0.002)
            process.send_signal(signal.SIGKILL)
        for path in out.glob(f"0*.{format_}"):
            assert listed(path)[1] == []
        kept = {path: path.stat().st_ino for path in out.glob("0*") if path.suffix != ".tmp"}

    report = pack(source, out, format=format_, shard_size=7)

    assert (report.images, report.shards, report.failed) == (60, 9, 0)
    noted = json.loads((out / "_pack.json").read_text())["shards"]
    assert sorted(noted) == sorted(path.name for path in out.glob("0000?.*"))
    assert sum(path.stat().st_ino == inode for path, inode in kept.items()) >= len(kept) - 1
    pack(out, tmp_path / "again", format="folder")
    assert tree(tmp_path / "again") == tree(source)


@pytest.mark.parametrize("format_", ["tar", "tfrecord", "parquet"])
def test_a_store_gets_the_same_shards_and_a_second_run_goes_on(folder, tmp_path, format_):
    store = f"memory://{tmp_path.name}"
    first = pack(folder, store, format=format_, shard_size=5)
    pack(folder, tmp_path / "out", format=format_, shard_size=5)

    assert pack(folder, store, format=format_, shard_size=5) == first
    for path in (tmp_path / "out").glob("0*"):
        assert place(f"{store}/{path.name}").read_bytes() == path.read_bytes()


def test_the_command_says_what_it_did(folder, tmp_path):
    done = command("pack", folder, tmp_path / "out", "--label", "folder", "--json")

    assert done.returncode == 0
    assert json.loads(done.stdout)["images"] == 12
    assert done.stderr.splitlines()[-1] == "12 images in 1 shard, 0.0 MB"


@pytest.mark.parametrize(
    ("format_", "suffix"),
    list(
        zip(
            "JPEG PNG GIF WEBP TIFF BMP AVIF PPM".split(),
            "jpg png gif webp tif bmp avif ppm".split(),
            strict=True,
        )
    ),
)
def test_an_image_without_a_suffix_gets_that_of_its_bytes(format_, suffix):
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, format_)

    assert suffix_of(file.getvalue()) == f".{suffix}"


def test_the_members_of_a_tar_have_no_clock_and_no_user(tmp_path):
    with tarfile.open(shard(tmp_path, "tar")) as tar:
        assert {(one.mtime, one.uid, one.uname) for one in tar} == {(0, 0, "")}


def test_a_list_of_urls_is_packed_and_nothing_is_left_running(tmp_path):
    with web() as site:
        path = written(tmp_path / "urls.txt", f"{site.url}/ok/1.jpg\n".encode())
        report = pack(path, tmp_path / "out")

    assert (report.images, report.failed) == (0, 1)  # the loopback is private
    assert [thread.name for thread in threading.enumerate() if thread.name == "fetch"] == []
