"""Names as the original image_embeddings gives them: no folder, no ending, and never one name twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some
from pictures import quick
from source_files import images, records_of, written

from lookalike.acquire.bare_names import bare_names
from lookalike.acquire.pack import pack
from lookalike.sources.tfrecord_format import decode_example, walk_records


@pytest.mark.parametrize(
    ("ids", "names"),
    [
        (["roses/rose_17.jpeg", "b.PNG", "c"], ["rose_17", "b", "c"]),
        (["a.b.jpg", "v1.5"], ["a.b", "v1.5"]),
        (["x/a.jpg", "y/a.jpg"], ["x_a", "y_a"]),
        (["a.jpg", "a.png"], ["a.jpg", "a.png"]),
        (["x/a.jpg", "x_a.jpg", "y/a.jpg"], ["x_a.jpg", "x_a.jpg~2", "y_a"]),
        (["train/0", "test/0", "train/1"], ["train_0", "test_0", "1"]),
        (["https://h.org/p/a.jpg?w=1#x", "50%.jpg"], ["a.jpg_w=1_x", "50_"]),
        (["", ".", "..", ".jpg"], ["_", "_~2", "_~3", ".jpg"]),
        (["a?", "a#", "a_~2"], ["a_", "a_~3", "a_~2"]),
    ],
)
def test_a_name_is_as_short_as_it_can_be(ids, names):
    assert bare_names(ids) == names


def test_a_long_name_is_cut_at_a_whole_character():
    (name,) = bare_names(["x" + "é" * 300 + ".jpg"])

    assert name == "x" + "é" * 99


@quick
@given(some.lists(some.text("ab/.~2?#\\\0é", max_size=6), unique=True, max_size=12))
def test_no_two_get_one_name_and_each_can_be_that_of_a_file(ids):
    names = bare_names(ids)

    assert len(set(names)) == len(ids)
    assert not {"", ".", ".."}.intersection(names)
    assert not any(set("/\\?#\0").intersection(name) for name in names)


def test_a_tfrecord_has_the_bare_names_if_so_wanted_and_remembers_the_ids(folder, tmp_path):
    pack(folder, tmp_path / "out", format="tfrecord", bare_names=True)

    path = tmp_path / "out" / "00000.tfrecord"
    with path.open("rb") as file:
        features = [decode_example(file, place) for place in walk_records(file)]
        names = []
        for one in features:
            (name,) = one["image_name"]
            file.seek(name.start)
            names.append(file.read(name.stop - name.start).decode())
    assert names[:2] == ["brick-000", "brick-003"]
    assert list(images(path))[:2] == ["brick/brick-000.jpg", "brick/brick-003.jpg"]


def test_a_folder_has_all_images_in_one_place_then(folder, tmp_path, run):
    code, _, _ = run("pack", folder, tmp_path / "out", "--format", "folder", "--bare-names")

    assert code == 0
    assert sorted(images(tmp_path / "out"))[::6] == ["brick-000.jpg", "meadow-007.jpg"]


def test_records_that_the_original_wrote_are_named_as_it_names_them(tmp_path):
    data = records_of({"image": b"x", "image_name": b"rose_17"})

    assert list(images(written(tmp_path / "part-000.tfrecord", data))) == ["part-000/rose_17"]
