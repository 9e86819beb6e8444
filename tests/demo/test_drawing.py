"""The drawn flowers: repeatable, balanced, and written so that a killed run does no harm."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.demo.flowers import SPECIES, draw_flower, write_flowers


def test_the_species_have_plain_names():
    assert SPECIES == (
        "daisy", "sunflower", "tulip", "rose", "poppy", "lavender",
        "lily", "dahlia", "dandelion", "cherry blossom", "cornflower", "iris",
    )  # fmt: skip


@pytest.mark.parametrize("species", SPECIES)
def test_every_species_fills_an_rgb_picture_of_200_to_320_pixels_a_side(species):
    image = draw_flower(species, 1)
    assert image.mode == "RGB"
    assert 200 <= min(image.size) <= max(image.size) <= 320
    assert np.asarray(image).std() > 15


def test_the_same_seed_gives_the_same_pixels():
    assert draw_flower("rose", 7).tobytes() == draw_flower("rose", 7).tobytes()


def test_another_seed_gives_another_picture():
    assert len({draw_flower("daisy", seed).tobytes() for seed in range(4)}) == 4


def test_drawing_leaves_the_global_dice_alone():
    np.random.seed(3)
    expected = np.random.random()
    np.random.seed(3)
    draw_flower("tulip", 1)
    assert np.random.random() == expected


def test_an_unknown_species_is_an_error():
    with pytest.raises(KeyError, match="triffid"):
        draw_flower("triffid", 1)


def test_files_are_named_by_species_and_number(tmp_path):
    paths = write_flowers(tmp_path, count=14)
    assert len(paths) == 14
    assert paths[0] == tmp_path / "daisy" / "daisy-001.jpg"
    assert paths[13] == tmp_path / "sunflower" / "sunflower-002.jpg"
    with Image.open(paths[13]) as image:
        assert image.format == "JPEG"


def test_species_are_balanced_to_within_one(tmp_path):
    counts = Counter(path.parent.name for path in write_flowers(tmp_path, count=14))
    assert counts == {name: 2 if name in ("daisy", "sunflower") else 1 for name in SPECIES}


def test_progress_counts_up_to_the_number_of_files(tmp_path):
    seen: list[int] = []
    write_flowers(tmp_path, count=3, on_progress=seen.append)
    assert seen == [1, 2, 3]


def state(folder: Path) -> dict[str, tuple[int, bytes]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_a_second_run_leaves_the_files_as_they_are(tmp_path):
    write_flowers(tmp_path, count=3)
    before = state(tmp_path)
    write_flowers(tmp_path, count=3)
    assert state(tmp_path) == before


def test_what_a_killed_run_left_half_written_is_replaced(tmp_path):
    first, second = write_flowers(tmp_path, count=2)
    whole = first.read_bytes(), second.read_bytes()
    first.write_bytes(whole[0][:900])  # the disk was full, or the power went
    second.unlink()
    second.with_suffix(".unfinished").write_bytes(whole[1][:900])
    write_flowers(tmp_path, count=2)
    assert (first.read_bytes(), second.read_bytes()) == whole
    assert sorted(state(tmp_path)) == ["daisy-001.jpg", "sunflower-001.jpg"]


def test_another_seed_writes_other_pictures(tmp_path):
    (one,) = write_flowers(tmp_path / "one", count=1, seed=1)
    (two,) = write_flowers(tmp_path / "two", count=1, seed=2)
    assert one.read_bytes() != two.read_bytes()
