"""Other views of pictures, and the work that is counted. Run with: pytest -m reference."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("default")]

from lookalike.learning.finetune.augmentation import augmented, draws  # noqa: E402

# A crop of 95% in the middle: not stretched, mirrored or turned, in no other light or tint.
PLAIN = np.full(11, 0.5, np.float32)
PLAIN[0] = 1


def halves():
    """A picture (1, 64, 64, 3) that is red on the left and blue on the right, with a green line above."""
    pixels = np.zeros((1, 64, 64, 3), np.uint8)
    pixels[:, :, :32, 0] = 200
    pixels[:, :, 32:, 2] = 200
    pixels[:, :16, :, 1] = 200
    return torch.from_numpy(pixels)


def view(**changed):
    numbers = PLAIN.copy()
    for place, value in changed.items():
        numbers[int(place.removeprefix("n"))] = value
    return augmented(halves(), numbers[None])[0].numpy()


def test_a_view_keeps_left_and_right_unless_it_is_mirrored():
    assert view()[0, 40].argmax() < 32
    assert view()[0, 40, :28].min() > 190
    assert view(n4=0.2)[0, 40, :28].max() < 10
    assert view(n4=0.2)[0, 40, 36:].min() > 190


def test_the_top_stays_on_top():
    assert view()[1, 4].min() > 190
    assert view()[1, 60].max() < 10


def test_a_smaller_crop_shows_less():
    line = {area: int((view(n0=area)[1, :, 5] > 100).sum()) for area in (0.0, 1.0)}

    assert line[1.0] == pytest.approx((16 - 64 * (1 - 0.95**0.5) / 2) / 0.95**0.5, abs=1)
    assert line[0.0] == pytest.approx((16 - 64 * (1 - 0.45**0.5) / 2) / 0.45**0.5, abs=1)


def test_a_crop_lies_where_it_is_drawn():
    top, bottom = ((view(n0=0.0, n3=place)[1, :, 5] > 100).sum() for place in (0.0, 1.0))

    assert top == pytest.approx(16 / 0.45**0.5, abs=1)
    assert bottom == 0


def test_a_picture_is_turned_by_at_most_a_quarter_of_a_radian():
    edge = view(n5=1.0)[1] > 100
    height = edge[:, 8].sum() - edge[:, 56].sum()

    assert abs(height) == pytest.approx(48 * np.tan(0.25), abs=2)


@pytest.mark.parametrize(("number", "factor"), [(0.0, 0.7), (0.5, 1.0), (0.8, 1.18)])
def test_the_light_changes_by_up_to_three_tenths(number, factor):
    assert view(n6=number)[0, 40, 10] == pytest.approx(200 * factor, abs=1)


def test_a_view_without_saturation_is_nearer_to_grey():
    plain, grey = view()[:, 40, 10], view(n7=0.0)[:, 40, 10]

    np.testing.assert_allclose(grey, plain.mean() + 0.7 * (plain - plain.mean()), atol=1)


def test_each_colour_is_tinted_by_up_to_a_tenth():
    assert view(n8=1.0)[0, 40, 10] == pytest.approx(220, abs=1)
    assert view(n9=0.0)[1, 4, 10] == pytest.approx(180, abs=1)


def test_no_view_leaves_the_range_of_pixels():
    bright = augmented(torch.full((1, 8, 8, 3), 255, dtype=torch.uint8), np.ones((1, 11), np.float32))

    assert bright.max() == 255


def test_what_is_drawn_for_a_picture_depends_on_the_seed_the_view_and_its_place_alone():
    assert (draws(1, 2, [5, 9])[1] == draws(1, 2, [9])[0]).all()
    assert not (draws(1, 2, [5]) == draws(1, 3, [5])).all()
    assert not (draws(1, 2, [5]) == draws(2, 2, [5])).all()
    assert draws(0, 0, np.arange(300)).min() >= 0
    assert draws(0, 0, np.arange(300)).max() < 1
