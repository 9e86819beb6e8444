"""The model `sift`: details of a picture pooled, wherever they are in it."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from lookalike.drawing import draw_flower
from lookalike.models import load_model
from lookalike.models.sift import CODEBOOK_FILE, details, vlad

pytest.importorskip("cv2")


def test_a_vector_is_for_each_centre_the_sum_of_the_differences_of_its_details_scaled_to_length_1() -> None:
    rng = np.random.default_rng(0)
    codebook, descriptors = rng.random((3, 128), np.float32), rng.random((40, 128), np.float32)
    sums = np.zeros((3, 128))
    for descriptor in descriptors:
        distances = [float(((descriptor - centre) ** 2).sum()) for centre in codebook]
        nearest = distances.index(min(distances))
        sums[nearest] += descriptor - codebook[nearest]
    expected = np.concatenate([part / np.sqrt((part**2).sum()) for part in sums])

    np.testing.assert_allclose(vlad(descriptors, codebook), expected, atol=1e-5)


def test_a_centre_that_no_detail_is_near_to_leaves_zeros() -> None:
    codebook = np.stack([np.zeros(128), np.full(128, 9)]).astype(np.float32)

    pooled = vlad(np.ones((1, 128), np.float32), codebook)

    assert pooled[:128] == pytest.approx(128**-0.5)
    assert pooled[128:].tolist() == [0] * 128


def test_details_are_rootsift_descriptors_of_length_1_at_places_in_the_picture() -> None:
    places, descriptors = details(np.asarray(draw_flower("daisy", 1).convert("L")))

    assert len(places) == len(descriptors) > 50
    assert places.min() >= 0
    np.testing.assert_allclose(np.linalg.norm(descriptors, axis=1), 1, atol=1e-5)


def test_a_flat_picture_has_no_details() -> None:
    places, descriptors = details(np.full((100, 100), 80, np.uint8))

    assert (places.shape, descriptors.shape) == ((0, 2), (0, 128))


def test_a_picture_on_its_side_is_nearer_to_itself_than_another_which_pixels_do_not_see() -> None:
    flower, other = draw_flower("daisy", 1).resize((224, 224)), draw_flower("tulip", 2).resize((224, 224))
    turned, another = {}, {}
    for name in ("sift", "pixels"):
        own, side, far = load_model(name).embed([flower, flower.rotate(90), other])
        turned[name], another[name] = own @ side, own @ far

    assert turned["sift"] > 0.9
    assert turned["sift"] > another["sift"] + 0.2
    assert turned["pixels"] < 0.9


def test_the_codebook_is_part_of_what_two_vectors_must_share() -> None:
    codebook = np.load(CODEBOOK_FILE, allow_pickle=False)

    assert (codebook.shape, codebook.dtype) == ((16, 128), np.float32)
    assert load_model("sift").dim == 16 * 128
    assert load_model("sift").sha256 != hashlib.sha256(CODEBOOK_FILE.read_bytes()).hexdigest()


def test_without_opencv_the_model_names_its_extra() -> None:
    code = "import sys; sys.modules['cv2'] = None; import lookalike; lookalike.load_model('sift')"

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "the details of pictures need OpenCV" in ended.stderr
    assert "lookalike[sift]" in ended.stderr
