"""What an address stands for, and what of a collection a source speaks for."""

from __future__ import annotations

import io
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from building import counts, failures, ids
from conftest import build, command, write_picture
from hypothesis import given
from hypothesis import strategies as some
from pictures import quick
from source_files import images, jpeg, metadata, tar_of, written

from lookalike.errors import CollectionError, SourceError
from lookalike.sources.addresses import bare_name, expand_braces
from lookalike.sources.opening import open_source
from lookalike.sources.paths import read_paths


@pytest.fixture
def shards(tmp_path):
    """Four tars of one image each, 000.tar to 003.tar."""
    for number in range(4):
        written(tmp_path / "shards" / f"00{number}.tar", tar_of({"a.jpg": jpeg(number)}))
    return tmp_path / "shards"


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("{08..11}.tar", ["08.tar", "09.tar", "10.tar", "11.tar"]),
        ("{8..11}.tar", ["8.tar", "9.tar", "10.tar", "11.tar"]),
        ("{2..0}", ["2", "1", "0"]),
        ("{a,b}/{0..1}", ["a/0", "a/1", "b/0", "b/1"]),
        ("plain", ["plain"]),
        ("{x}", ["{x}"]),
    ],
)
def test_braces_are_expanded_as_a_shell_does(pattern, names):
    assert expand_braces(pattern) == names


@quick
@given(some.integers(0, 999), some.integers(0, 999), some.integers(1, 5))
def test_a_range_counts_from_end_to_end(first, last, width):
    names = expand_braces(f"{{{first:0{width}d}..{last:0{width}d}}}")

    assert [int(name) for name in names] == list(range(first, last + 1)) or first > last
    assert len(names) == abs(last - first) + 1


def test_a_range_without_end_is_refused(tmp_path):
    with pytest.raises(SourceError, match="more than 1,000,000 shards"):
        open_source(tmp_path / "{0..99999999999}.tar")


@pytest.mark.parametrize(
    ("name", "bare"),
    [
        ("00000.tar", "00000"),
        ("a.b.tar.gz", "a.b"),
        ("x.tfrecord-00000-of-00002", "x-00000-of-00002"),
        ("train.parquet", "train"),
        ("photos", "photos"),
    ],
)
def test_the_name_of_a_shard_is_without_its_kind(name, bare):
    assert bare_name(name) == bare


@pytest.mark.parametrize("pattern", ["{001..002}.tar", "00[12].tar", "{001,002}.*"])
def test_a_pattern_stands_for_some_shards(shards, pattern):
    assert list(images(shards / pattern)) == ["001/a.jpg", "002/a.jpg"]


def test_shards_in_several_folders_are_named_from_the_one_above(shards):
    shards.rename(shards.with_name("train"))

    (shards.parent / "test").mkdir()
    (shards.parent / "train" / "003.tar").rename(shards.parent / "test" / "000.tar")

    assert list(images(shards.parent / "{train,test}" / "000.tar")) == ["train/000/a.jpg", "test/000/a.jpg"]
    assert list(images(shards.parent))[:2] == ["test/000/a.jpg", "train/000/a.jpg"]


def test_a_missing_shard_of_a_range_is_a_failure_and_keeps_its_rows(shards, target):
    pattern = shards / "{000..003}.tar"
    build(pattern, target)
    (shards / "002.tar").rename(shards / "away")

    collection, report = build(pattern, target)

    assert counts(report) == {"unchanged": 3, "failed": 1}
    assert failures(collection) == [("002.tar", "list", "No such file or directory")]
    assert len(ids(collection)) == 4


def test_a_range_says_nothing_of_the_shards_beside_it(shards, target):
    build(shards / "{000..001}.tar", target)

    collection, report = build(shards / "{002..003}.tar", target)

    assert counts(report) == {"embedded": 2}
    assert ids(collection) == [f"00{number}/a.jpg" for number in range(4)]


def test_a_shard_and_the_folder_it_is_in_are_not_two_sources(shards, target):
    build(shards / "000.tar", target)

    with pytest.raises(CollectionError, match="shares images with"):
        build(shards, target)


@pytest.mark.parametrize("name", ["{000..009}.tar", "*.tar", "no/such.tar"])
def test_an_address_without_any_shard_is_refused(tmp_path, name):
    with pytest.raises(SourceError, match=r"there (are no shards|is no folder)"):
        open_source(tmp_path / name)


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = written(tmp_path / "thesis.pdf", b"%PDF")

    with pytest.raises(SourceError, match="is a file, but not a shard of images"):
        open_source(path)


def test_a_folder_with_images_is_a_folder_of_images(shards):
    write_picture(shards / "one.jpg", 1)

    assert list(images(shards)) == ["one.jpg"]


def test_hidden_folders_and_collections_are_not_searched_for_shards(shards, tmp_path):
    build(shards, shards / "c.lookalike")
    written(shards / ".cache" / "x.tar", tar_of({"x.jpg": jpeg()}))

    assert len(images(shards)) == 4


def test_img2datasets_files_are_read_with_the_rows_beside_them(tmp_path):
    for number in range(2):
        written(tmp_path / "00000" / f"00000000{number}.jpg", jpeg(number))
        written(tmp_path / "00000" / f"00000000{number}.json", b"{}")
    rows = {"key": ["000000000", "000000001"], "url": ["http://h/0", "http://h/1"], "width": [16, 16]}
    pq.write_table(pa.table(rows), tmp_path / "00000.parquet")
    written(tmp_path / "00000_stats.json", b"{}")

    assert metadata(tmp_path) == {
        f"00000/00000000{n}.jpg": {"key": f"00000000{n}", "url": f"http://h/{n}", "width_": 16}
        for n in range(2)
    }


def test_img2datasets_tars_are_read_and_the_rows_beside_them_are_passed_over(tmp_path):
    members = {"000000000.jpg": jpeg(), "000000000.json": b'{"url": "http://h/0"}', "000000000.txt": b"dawn"}
    written(tmp_path / "00000.tar", tar_of(members))
    pq.write_table(pa.table({"key": ["000000000"]}), tmp_path / "00000.parquet")
    written(tmp_path / "00000_stats.json", b"{}")

    assert metadata(tmp_path) == {"00000/000000000.jpg": {"url": "http://h/0", "caption": "dawn"}}


@pytest.mark.parametrize("separator", ["\n", "\0", "\r\n"])
def test_paths_are_read_a_line_or_with_nuls_between(folder, monkeypatch, separator):
    monkeypatch.chdir(folder)
    text = separator.join(["sea/sea-002.png", "./brick/brick-000.jpg", "sea/sea-002.png", ""])

    source = read_paths(io.BytesIO(text.encode()))

    assert [one.id for one in source.samples()] == ["sea/sea-002.png", "brick/brick-000.jpg"]
    assert source.uri == folder.as_uri() + "/"


def test_file_addresses_are_paths(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "sea" / "sea-002.png").rename(folder / "a b ü.png")
    uri = (folder / "a b ü.png").as_uri()

    source = read_paths(io.BytesIO(f"{uri}\n{uri.replace('///', '//localhost/')}\n".encode()))

    assert [one.id for one in source.samples()] == ["a b ü.png"]


def test_paths_outside_of_the_working_folder_are_named_from_the_root(folder, monkeypatch):
    monkeypatch.chdir(folder / "sea")
    path = folder / "brick" / "brick-000.jpg"

    source = read_paths(io.BytesIO(f"{path}\n".encode()))

    assert [one.id for one in source.samples()] == [str(path)[1:]]
    assert source.uri == "file:///"


@pytest.mark.process
def test_a_list_of_paths_adds_and_takes_nothing_away(folder, target):
    def build_from(lines: str) -> str:
        words = ("-m", "lookalike", "build", "-", "-c", str(target), "--model", "colors")
        run = subprocess.run(
            [sys.executable, *words], input=lines, capture_output=True, text=True, cwd=folder, check=True
        )
        return run.stderr.splitlines()[-1]

    assert build_from("sea/sea-002.png\nbrick/brick-000.jpg\n") == "2 embedded"
    assert build_from("sea/sea-005.png\nsea/nowhere.png\nsea\n").startswith("1 embedded, 2 failed")

    assert counts(build(folder, target)[1]) == {"embedded": 9, "unchanged": 3}


def test_a_list_of_paths_needs_the_name_of_a_collection():
    done = command("build", "-")

    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "lookalike: - has no name for its collection",
        "  say where to keep it with -c",
    ]
