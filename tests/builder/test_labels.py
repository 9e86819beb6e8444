"""Labels from paths and columns from tables, and how a listing joins them to its samples."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lookalike.builder.labels import PATH_COLUMNS, label_rule, read_metadata
from lookalike.builder.listing import Listing, list_source
from lookalike.errors import SourceError
from lookalike.sources.folder import Folder
from lookalike.sources.sample import Sample
from lookalike.storage.parts import Failure


def table(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def listing(root: Path, *names: str, label: str | None = None, metadata: Path | None = None) -> Listing:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return list_source(Folder(root), {"label": label, "metadata": metadata and str(metadata)})


def described(found: Listing) -> dict[str, dict[str, Any]]:
    return {id_: dict(sample.metadata) for id_, sample in found.samples.items()}


# Rules


@pytest.mark.parametrize(
    "id_, label",
    [("cats/a.jpg", "cats"), ("pets/cats/a.jpg", "cats"), ("x.jpg/a.jpg", "x.jpg"), ("a.jpg", None)],
)
def test_the_label_by_folder_is_the_name_of_the_nearest_folder(id_: str, label: str | None) -> None:
    assert label_rule("folder")(id_) == label


@pytest.mark.parametrize(
    "pattern, id_, label",
    [
        ("^image_([a-z]+)_", "image_daisy_1.jpg", "daisy"),
        ("^image_([a-z]+)_", "a/b/image_daisy_1.jpg", "daisy"),
        ("([a-z]+)_([0-9]+)", "daisy_12.jpg", "daisy"),
        ("_(?:old|new)_([0-9]+)", "x_new_12.jpg", "12"),
        ("(?P<kind>[a-z]+)", "123daisy.jpg", "daisy"),
        ("(roses)", "roses/tulip.jpg", None),
        ("([0-9]+)", "daisy.jpg", None),
        ("(rose)?[.]jpg", "tulip.jpg", None),
        ("^([a-z]*)", "12.jpg", None),
        ("^(.+):", "ü:2.jpg", "ü"),
    ],
    ids=[
        "prefix",
        "in folders",
        "first of two groups",
        "group that counts",
        "named group",
        "name only",
        "no match",
        "group that took no part",
        "empty group",
        "unicode and colon",
    ],
)
def test_the_label_by_regex_is_the_first_group_found_in_the_name_of_the_file(
    pattern: str, id_: str, label: str | None
) -> None:
    assert label_rule("regex:" + pattern)(id_) == label


@pytest.mark.parametrize(
    "rule, message",
    [
        ("regex:[a-z]+", "the label's pattern '[a-z]+' has no group"),
        ("regex:(?:a)", "the label's pattern '(?:a)' has no group"),
        ("regex:", "the label's pattern '' has no group"),
        ("regex:(a", "the label's pattern is not a regular expression: missing ), unterminated subpattern"),
        ("folders", "unknown label rule 'folders'"),
        ("Folder", "unknown label rule 'Folder'"),
        ("", "unknown label rule ''"),
    ],
)
def test_a_rule_that_cannot_work_is_a_source_error(rule: str, message: str) -> None:
    with pytest.raises(SourceError) as caught:
        label_rule(rule)
    assert caught.value.message.startswith(message)


# Tables


def test_a_csv_gives_columns_by_relative_path(tmp_path: Path) -> None:
    metadata = read_metadata(table(tmp_path, 'path,caption,likes\na/b.jpg,"Hello, ""you""",3\nc.png,,4\n'))
    assert metadata.types == {"caption": pa.string(), "likes": pa.int64()}
    assert metadata.rows["a/b.jpg"] == {"caption": 'Hello, "you"', "likes": 3}
    assert metadata.rows["c.png"]["likes"] == 4


@pytest.mark.parametrize("suffix", [".parquet", ".PARQUET", ".pq"])
def test_a_parquet_file_gives_columns_by_relative_path_with_their_types(suffix: str, tmp_path: Path) -> None:
    columns = {
        "caption": pa.array(["one", None]).dictionary_encode(),
        "path": pa.array(["a/b.jpg", "c.png"], pa.large_string()),
        "words": pa.array([["x", "y"], []]),
    }
    pq.write_table(pa.table(columns), tmp_path / f"table{suffix}")
    metadata = read_metadata(tmp_path / f"table{suffix}")
    assert metadata.types["words"] == pa.list_(pa.string())
    assert metadata.rows == {
        "a/b.jpg": {"caption": "one", "words": ["x", "y"]},
        "c.png": {"caption": None, "words": []},
    }


@pytest.mark.parametrize("key", PATH_COLUMNS)
def test_the_column_of_paths_may_have_any_of_six_names(key: str, tmp_path: Path) -> None:
    metadata = read_metadata(table(tmp_path, f"color,{key}\nred,a.jpg\n"))
    assert metadata.rows == {"a.jpg": {"color": "red"}}


def test_the_column_of_paths_is_the_first_of_the_names_and_another_of_them_is_a_column(
    tmp_path: Path,
) -> None:
    metadata = read_metadata(table(tmp_path, "image,path\nphoto,a.jpg\n"))
    assert metadata.rows == {"a.jpg": {"image": "photo"}}


def test_a_table_of_nothing_but_paths_has_no_columns(tmp_path: Path) -> None:
    assert read_metadata(table(tmp_path, "path\na.jpg\n")).rows == {"a.jpg": {}}


def test_the_byte_order_mark_that_excel_writes_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    assert read_metadata(table(tmp_path, "\ufeffpath,a\na.jpg,x\n")).rows == {"a.jpg": {"a": "x"}}


@pytest.mark.parametrize(
    "cells, labels",
    [
        (["cat", "dog"], ["cat", "dog"]),
        (["1", "2"], ["1", "2"]),
        (["007", "010"], ["007", "010"]),
        (["1.10", "2"], ["1.10", "2"]),
        (["true", "false"], ["true", "false"]),
        (["NA", "NA"], ["NA", "NA"]),
        (["2024-01-01 00:00:00", "2024-01-02 00:00:00"], ["2024-01-01 00:00:00", "2024-01-02 00:00:00"]),
        (["cat", ""], ["cat", None]),
        (["", ""], [None, None]),
    ],
    ids=[
        "words",
        "numbers",
        "leading zeros",
        "decimals",
        "booleans",
        "NA",
        "times",
        "one empty",
        "all empty",
    ],
)
def test_a_label_in_a_csv_is_the_text_that_stands_there_and_an_empty_cell_is_no_label(
    cells: list[str], labels: list[str | None], tmp_path: Path
) -> None:
    metadata = read_metadata(table(tmp_path, f'path,label\na.jpg,"{cells[0]}"\nb.jpg,{cells[1]}\n'))
    assert [row["label"] for row in metadata.rows.values()] == labels
    assert metadata.types == {"label": pa.string()}


def test_a_label_that_is_a_number_in_a_parquet_file_becomes_text(tmp_path: Path) -> None:
    pq.write_table(pa.table({"path": ["a.jpg", "b.jpg"], "label": [7, None]}), tmp_path / "table.parquet")
    metadata = read_metadata(tmp_path / "table.parquet")
    assert [row["label"] for row in metadata.rows.values()] == ["7", None]
    assert metadata.types == {"label": pa.string()}


def test_a_table_without_a_column_of_paths_is_an_error_that_lists_its_columns(tmp_path: Path) -> None:
    path = table(tmp_path, "name,color\na.jpg,red\n")
    with pytest.raises(SourceError) as caught:
        read_metadata(path)
    assert caught.value.message == f"{path} has no column of relative paths, only: name, color"
    assert caught.value.hint == "name the column one of: id, path, file, filename, file_name, image"


@pytest.mark.parametrize(
    "name", "uri size_bytes mtime_ns sha256 width height thumb_offset thumb_size embedding".split()
)
def test_a_column_that_the_collection_needs_itself_is_refused_by_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=rf"uses itself.*: {name}; rename"):
        read_metadata(table(tmp_path, f"path,color,{name}\na.jpg,red,1\n"))


@pytest.mark.parametrize("header", ["path,color,color", "path,path,color", "color,id,id"])
def test_a_column_that_is_there_twice_is_refused(header: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="twice"):
        read_metadata(table(tmp_path, f"{header}\na.jpg,b.jpg,c\n"))


def test_a_path_that_is_there_twice_is_refused_since_only_one_row_can_hold(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"a\.jpg"):
        read_metadata(table(tmp_path, "path,color\na.jpg,red\na.jpg,blue\n"))


@pytest.mark.parametrize(
    "name, content",
    [
        ("empty.csv", b""),
        ("ragged.csv", b"path,color\na.jpg\n"),
        ("latin-1 paths.csv", "path,color\ncafé.jpg,red\n".encode("latin-1")),
        ("latin-1 names.csv", "path,größe\na.jpg,3\n".encode("latin-1")),
        ("empty.parquet", b""),
        ("text.parquet", b"path,color\na.jpg,red\n"),
    ],
)
def test_a_table_that_cannot_be_read_is_a_source_error_of_one_line_that_names_it(
    name: str, content: bytes, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError) as caught:
        read_metadata(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", ["path;color\na.jpg;red\n", "path;color\na.jpg;red, green\n", "path,color\na.jpg,größe\n"]
)
def test_a_table_of_another_office_program_says_how_to_save_it(content: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(content.encode("latin-1"))
    with pytest.raises(SourceError) as caught:
        read_metadata(tmp_path / "t.csv")
    assert caught.value.hint == "save it as UTF-8 text, with commas between the columns"


def test_text_that_is_not_utf_8_is_refused_and_does_not_become_a_column_of_bytes(tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        read_metadata(table(tmp_path, "path,caption\na.jpg,café\n".encode("latin-1")))


@pytest.mark.parametrize("name", ["missing.csv", "missing.parquet", "."])
def test_a_missing_table_is_a_source_error_that_names_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        read_metadata(tmp_path / name)
    assert caught.value.message.startswith(f"cannot read the metadata {tmp_path / name}: ")


def test_a_parquet_file_whose_paths_are_no_text_is_a_source_error(tmp_path: Path) -> None:
    pq.write_table(pa.table({"path": [["a.jpg"]], "color": ["red"]}), tmp_path / "table.parquet")
    with pytest.raises(SourceError):
        read_metadata(tmp_path / "table.parquet")


def test_a_table_may_itself_have_a_name_that_is_not_utf_8(tmp_path: Path) -> None:
    path = os.path.join(os.fsencode(tmp_path), b"caf\xe9.csv")
    try:
        with open(path, "wb") as file:
            file.write(b"path,color\na.jpg,red\n")
    except OSError:
        pytest.skip("the file system refuses names that are not UTF-8")
    assert read_metadata(Path(os.fsdecode(path))).rows == {"a.jpg": {"color": "red"}}


# Listings


def test_a_listing_has_its_samples_by_id_in_their_order(tmp_path: Path) -> None:
    found = listing(tmp_path, "b.jpg", "a/c.jpg")
    assert list(found.samples) == ["a/c.jpg", "b.jpg"]
    assert (found.failures, dict(found.types)) == ([], {})
    assert found.source_uri == f"file://{tmp_path}/"
    assert described(found) == {"a/c.jpg": {}, "b.jpg": {}}


def test_a_rule_labels_the_samples_that_it_fits_and_the_others_have_none(tmp_path: Path) -> None:
    found = listing(tmp_path, "cats/a.jpg", "b.jpg", label="folder")
    assert described(found) == {"b.jpg": {"label": None}, "cats/a.jpg": {"label": "cats"}}
    assert dict(found.types) == {"label": pa.string()}


def test_metadata_joins_by_relative_path_and_the_others_have_none(tmp_path: Path) -> None:
    path = table(tmp_path, "path,color,likes\ncats/a.jpg,red,3\nelse.jpg,blue,4\n")
    found = listing(tmp_path / "in", "cats/a.jpg", "a.jpg", metadata=path)
    assert described(found) == {
        "a.jpg": {"color": None, "likes": None},
        "cats/a.jpg": {"color": "red", "likes": 3},
    }
    assert dict(found.types) == {"color": pa.string(), "likes": pa.int64()}


def test_a_rule_and_metadata_add_up_and_the_rule_decides_the_label(tmp_path: Path) -> None:
    path = table(tmp_path, "path,label,likes\ncats/a.jpg,animal,3\n")
    found = listing(tmp_path / "in", "cats/a.jpg", label="folder", metadata=path)
    assert described(found) == {"cats/a.jpg": {"label": "cats", "likes": 3}}


def test_a_folder_without_pictures_is_a_source_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        listing(tmp_path, "notes.txt")
    assert str(caught.value) == (f"no images in {tmp_path}; skipped 1 not named like pictures: 1 .txt")


def test_where_no_picture_can_be_listed_the_error_gives_the_first_reason(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").symlink_to("nowhere")
    with pytest.raises(SourceError) as caught:
        listing(tmp_path)
    assert str(caught.value) == f"no images in {tmp_path}; a.jpg: a broken link"


def test_a_rule_that_labels_no_picture_is_a_source_error_that_shows_one(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        listing(tmp_path, "cats/a.jpg", label="regex:^(image)_")
    assert str(caught.value) == (
        "the label rule 'regex:^(image)_' gives no image a label; an image is 'cats/a.jpg'"
    )


def test_metadata_that_matches_no_picture_is_a_source_error_that_shows_both_paths(tmp_path: Path) -> None:
    path = table(tmp_path, "path,color\nin/a.jpg,red\n")
    with pytest.raises(SourceError) as caught:
        listing(tmp_path / "in", "a.jpg", metadata=path)
    assert str(caught.value) == (
        f"no row of {path} matches an image: it names 'in/a.jpg', the source has 'a.jpg'"
    )


def test_metadata_without_rows_is_a_source_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no row of"):
        listing(tmp_path / "in", "a.jpg", metadata=table(tmp_path, "path,color\n"))


def test_a_broken_link_is_among_the_failures_of_a_listing(tmp_path: Path) -> None:
    (tmp_path / "b.jpg").symlink_to("nowhere")
    found = listing(tmp_path, "a.jpg")
    assert [(one.id, one.stage, one.error) for one in found.failures] == [("b.jpg", "list", "a broken link")]


class TwoOfOneName:
    """A source that names two samples alike."""

    uri = "test://"
    scope = ("test://",)

    def samples(self) -> Iterator[Sample | Failure]:
        for number in (1, 2):
            yield Sample("a.jpg", f"test://{number}", 0, 0, bytes)


def test_of_two_samples_with_one_id_the_first_stays_and_the_second_is_a_failure() -> None:
    found = list_source(TwoOfOneName(), {})
    assert [sample.uri for sample in found.samples.values()] == ["test://1"]
    assert found.failures == [Failure("a.jpg", "test://2", "list", "the id is taken by test://1")]


def test_two_files_whose_names_are_shown_alike_are_one_sample_and_one_failure(tmp_path: Path) -> None:
    try:
        with open(os.path.join(os.fsencode(tmp_path), b"caf\xe9.jpg"), "wb"):
            pass
    except OSError:
        pytest.skip("the file system refuses names that are not UTF-8")
    found = listing(tmp_path, "caf\\xe9.jpg")
    assert [sample.uri for sample in found.samples.values()] == [f"file://{tmp_path}/caf%5Cxe9.jpg"]
    assert [one.uri for one in found.failures] == [f"file://{tmp_path}/caf%E9.jpg"]
