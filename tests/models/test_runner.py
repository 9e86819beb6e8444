"""Images become a model's input, and inputs its features, a batch at a time."""

from __future__ import annotations

from concurrent.futures import Future

import numpy as np
import pytest
from conftest import picture, write_picture

from lookalike.errors import ImageError
from lookalike.models.runner import MAX_BATCH, Gathering, batch_size, input_of, run
from lookalike.models.spec import ModelSpec

SPEC = ModelSpec("means", "0" * 64, dim=3, size_px=4, crop=1.0)


def means(pixels: np.ndarray) -> np.ndarray:
    return pixels.mean(axis=(1, 2)).astype(np.float32)


def tile(value: int) -> np.ndarray:
    return np.full((4, 4, 3), value, np.uint8)


@pytest.mark.parametrize(
    ("size_px", "crop", "cover_px"), [(4, 1.0, 192), (224, 1.0, 224), (224, 0.875, 256), (100, 0.3, 334)]
)
def test_a_picture_is_decoded_large_enough_for_the_crop_and_the_thumbnail(
    size_px: int, crop: float, cover_px: int
) -> None:
    assert ModelSpec("any", "", 1, size_px, crop).cover_px == cover_px


def test_the_input_is_the_central_square_in_the_size_of_the_model() -> None:
    wide = np.zeros((8, 24, 3), np.uint8)
    wide[:, 4:20] = 200  # what lies beside the square has a little share in its outermost pixels
    seen = input_of(wide, SPEC)
    np.testing.assert_array_equal(seen.pixels, tile(200))
    assert (seen.picture.width, seen.picture.height) == (24, 8)


def test_the_input_of_a_box_is_that_of_the_part_alone() -> None:
    pixels = np.asarray(picture(1, size=(64, 48)))
    spec = ModelSpec("sees", "0" * 64, dim=1, size_px=24, crop=1.0)
    part = input_of(pixels[12:36, 16:48], spec).pixels
    seen = input_of(pixels, spec, box=(0.25, 0.25, 0.75, 0.75)).pixels
    assert seen.shape == (24, 24, 3)
    np.testing.assert_array_equal(seen, part)


def test_a_small_part_of_a_large_jpeg_is_seen_as_sharply_as_a_picture_of_its_own(tmp_path) -> None:
    path = write_picture(tmp_path / "large.jpg", 1, size=(2000, 1500))
    assert input_of(path, SPEC).picture.pixels.shape[:2] == (375, 500)  # the thumbnail needs 192
    seen = input_of(path, SPEC, box=(0, 0, 0.5, 0.25))
    assert seen.picture.pixels.shape[:2] == (938, 1250)  # 192 / 0.25, at the next eighth


def test_a_picture_above_the_limit_is_refused() -> None:
    with pytest.raises(ImageError, match=r"megapixels, the limit is 0\.003"):
        input_of(picture(1), SPEC, max_megapixels=0.003)
    assert input_of(picture(1), SPEC, max_megapixels=0.0031).pixels.shape == (4, 4, 3)


def test_inputs_go_into_one_call_in_their_order() -> None:
    calls = []

    def features(pixels: np.ndarray) -> np.ndarray:
        calls.append(pixels.shape)
        return means(pixels)

    assert run(features, [tile(1), tile(2)]).tolist() == [[1, 1, 1], [2, 2, 2]]
    assert calls == [(2, 4, 4, 3)]


def test_only_a_cpu_takes_few_images_a_call() -> None:
    assert (batch_size("cpu"), batch_size("cuda"), batch_size("mps")) == (4, 256, 256)


@pytest.mark.parametrize(
    ("waiting", "calls", "sizes"),
    [
        (1, 2, [1]),
        (8, 2, [4, 2, 1, 1]),
        (5, 1, [5]),
        (40, 1, [MAX_BATCH, MAX_BATCH, 8]),
        (40, 4, [10, 8, 6, 4, 3, 3, 2, 1, 1, 1, 1]),
    ],
)
def test_each_call_takes_its_share_of_those_that_wait(waiting: int, calls: int, sizes: list[int]) -> None:
    seen: list[int] = []
    gathering = Gathering(calls, seen.append)
    found = [gathering.add(means, tile(value)) for value in range(waiting)]
    for _ in range(waiting):
        gathering.run_next()
    assert seen == sizes
    assert [one.result(timeout=0).tolist() for one in found] == [[[value] * 3] for value in range(waiting)]


def test_nothing_happens_where_nothing_waits() -> None:
    seen: list[int] = []
    Gathering(2, seen.append).run_next()
    assert seen == []


def test_the_first_decides_whose_turn_it_is_and_others_keep_their_places() -> None:
    order: list[tuple[str, int]] = []

    def other(pixels: np.ndarray) -> np.ndarray:
        order.append(("other", len(pixels)))
        return means(pixels) + 100

    def one(pixels: np.ndarray) -> np.ndarray:
        order.append(("one", len(pixels)))
        return means(pixels)

    gathering = Gathering(1, lambda count: None)
    found: list[Future] = [
        gathering.add([one, other][value % 2], tile(value))  # type: ignore[operator]
        for value in range(4)
    ]
    for _ in range(4):
        gathering.run_next()
    assert order == [("one", 2), ("other", 2)]
    assert [future.result(timeout=0)[0, 0] for future in found] == [0, 101, 2, 103]
