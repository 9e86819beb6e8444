"""Packing with another size: the same options and the same code as a download."""

from __future__ import annotations

import io
import json

import pyarrow.parquet as pq
import pytest
from conftest import picture, write_picture
from PIL import Image
from source_files import images, metadata, written

from lookalike.acquire.pack import pack
from lookalike.acquire.resize import Resize
from lookalike.acquire.shards import FORMATS
from lookalike.errors import LookalikeError, SourceError


def sizes(folder) -> dict[str, tuple[int, int]]:
    return {name: Image.open(io.BytesIO(data)).size for name, data in images(folder).items()}


@pytest.mark.parametrize("format_", FORMATS)
def test_the_images_of_a_folder_are_resized_in_every_format(folder, tmp_path, format_):
    report = pack(folder, tmp_path / "out", format=format_, resize=Resize(24))

    assert report.images == 12
    assert set(sizes(tmp_path / "out").values()) == {(32, 24)}


@pytest.mark.parametrize(
    ("resize", "expected"),
    [
        (Resize(24, "border"), (24, 24)),
        (Resize(24, "crop"), (24, 24)),
        (Resize(24, "none"), (64, 48)),
        (Resize(96), (64, 48)),
        (Resize(96, enlarge=True), (128, 96)),
    ],
)
def test_the_ways_to_resize_are_those_of_a_download(folder, tmp_path, resize, expected):
    pack(folder, tmp_path / "out", resize=resize, count=1)

    assert sizes(tmp_path / "out") == {"brick/brick-000.jpg": expected}


def test_the_bytes_are_those_that_a_download_would_keep(folder, tmp_path):
    pack(folder, tmp_path / "out", resize=Resize(24), count=1)

    data = Resize(24)((folder / "brick" / "brick-000.jpg").read_bytes()).data
    assert images(tmp_path / "out") == {"brick/brick-000.jpg": data}


def test_the_size_before_and_after_is_noted(folder, tmp_path):
    pack(folder, tmp_path / "out", format="parquet", resize=Resize(24), count=1)
    (row,) = pq.read_table(tmp_path / "out" / "00000.parquet").drop_columns(["image"]).to_pylist()

    assert (row["path"], row["width"], row["height"]) == ("brick/brick-000.jpg", 32, 24)
    assert (row["original_width"], row["original_height"]) == (64, 48)


def test_the_first_original_is_remembered_when_it_is_resized_twice(folder, tmp_path):
    pack(folder, tmp_path / "1", resize=Resize(24), count=1)
    pack(tmp_path / "1", tmp_path / "2", resize=Resize(12))

    (said,) = metadata(tmp_path / "2").values()
    assert (said["width"], said["height"]) == (16, 12)
    assert (said["original_width"], said["original_height"]) == (64, 48)


def test_a_png_that_becomes_a_jpeg_is_called_so_and_meets_no_other_file(tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    for number, name in enumerate(("a.png", "a.jpg", "a.png.jpg", "small.png")):
        write_picture(source / name, number, size=(20, 20) if name == "small.png" else (64, 48))

    pack(source, out, format="folder", resize=Resize(24))

    assert sorted(path.name for path in out.iterdir() if path.suffix in (".jpg", ".png")) == [
        "a.jpg",
        "a.png.jpg",
        "a.png_.jpg",
        "small.png",  # needs no change, and so keeps its bytes
    ]
    assert (out / "a.png_.jpg").read_bytes()[:2] == b"\xff\xd8"
    assert (out / "small.png").read_bytes() == (source / "small.png").read_bytes()


def test_its_id_stays_that_of_the_png_in_a_shard(tmp_path):
    write_picture(tmp_path / "in" / "a.png", 0)
    pack(tmp_path / "in", tmp_path / "out", resize=Resize(24))

    assert sizes(tmp_path / "out") == {"a.png": (32, 24)}


def test_an_image_that_is_damaged_or_too_large_is_noted_and_the_rest_is_packed(tmp_path):
    write_picture(tmp_path / "in" / "good.jpg", 0)
    write_picture(tmp_path / "in" / "large.jpg", 1, size=(400, 300))
    file = io.BytesIO()
    picture(2, size=(200, 200)).save(file, "PNG")
    written(tmp_path / "in" / "torn.png", file.getvalue()[:-900])

    report = pack(tmp_path / "in", tmp_path / "out", resize=Resize(24, max_megapixels=0.1))

    assert (report.images, report.failed) == (1, 2)
    notes = json.loads((tmp_path / "out" / "_pack.json").read_text())
    large, torn = notes["shards"]["00000.tar"]["failures"]
    assert (large["id"], large["stage"]) == ("large.jpg", "decode")
    assert large["error"].startswith("1 megapixels, the limit is 0.1")
    assert (torn["id"], torn["stage"]) == ("torn.png", "decode")


def test_another_size_in_the_same_folder_is_refused(folder, tmp_path):
    pack(folder, tmp_path / "out", resize=Resize(24))

    for other in (None, Resize(25), Resize(24, "crop")):
        with pytest.raises(SourceError, match="or in another format"):
            pack(folder, tmp_path / "out", resize=other)
    assert pack(folder, tmp_path / "out", resize=Resize(24)).images == 12


def test_sorting_by_label_where_nothing_has_one_is_refused(folder, tmp_path):
    with pytest.raises(SourceError, match="no image has a label to sort by"):
        pack(folder, tmp_path / "out", by_label=True)
    assert not (tmp_path / "out").exists()


def test_the_commands_resize_any_local_source(folder, tmp_path, run):
    assert run("pack", folder, tmp_path / "1", "--size", 24, "--resize", "crop")[0] == 0
    code, _, said = run("download", tmp_path / "1", tmp_path / "2", "--size", 12, "--count", 3)

    assert (code, said.splitlines()[-1]) == (0, "3 images in 1 shard, 0.0 MB")
    assert set(sizes(tmp_path / "2").values()) == {(12, 12)}


def test_download_sorts_by_label_as_pack_does(folder, tmp_path, run):
    words = ("--label", "folder", "--by-label", "--format", "folder", "--size", 24)
    for command in ("download", "pack"):
        assert run(command, folder, tmp_path / command, *words)[0] == 0

    names = {path.relative_to(tmp_path / "pack") for path in (tmp_path / "pack").rglob("*.jpg")}
    assert names == {
        path.relative_to(tmp_path / "download") for path in (tmp_path / "download").rglob("*.jpg")
    }
    assert len(names) == 12


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("photos", "--url-column", "u"), "--url-column is only for lists of URLs"),
        (("urls.txt", "--by-label"), "--by-label is for data sets"),
        (("urls.txt", "--label", "folder"), "--label is for data sets"),
        (("nothing",), "there is no folder"),
    ],
)
def test_what_does_not_go_together_is_said(folder, tmp_path, run, monkeypatch, words, message):
    folder.rename(tmp_path / "photos")
    (tmp_path / "urls.txt").write_text("https://example.org/a.jpg\n")
    monkeypatch.chdir(tmp_path)

    code, _, said = run("download", words[0], "out", *words[1:])

    assert code == 1
    assert message in said
    assert not (tmp_path / "out").exists()


def test_resizing_needs_no_opencv(folder, monkeypatch):
    data = (folder / "brick" / "brick-000.jpg").read_bytes()
    monkeypatch.setattr("lookalike.acquire.resize.cv2", None)

    assert (Resize(40)(data).width, Resize(40)(data).height) == (53, 40)


def test_an_unknown_way_to_resize_is_refused():
    with pytest.raises(LookalikeError, match="unknown resize mode 'stretch'"):
        Resize(24, "stretch")
