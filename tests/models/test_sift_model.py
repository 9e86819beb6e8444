"""The model `sift`: details of a picture pooled, wherever they are in it."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys

import numpy as np
import pytest
from conftest import taught

from lookalike.demo.flowers import draw_flower
from lookalike.errors import ModelError
from lookalike.models.registry import learner, load_model
from lookalike.models.sift import details, learn, vlad

cv2 = pytest.importorskip("cv2")


def flowers(seed: int, count: int = 3) -> list[np.ndarray]:
    """Drawn flowers as the model sees them."""
    return [np.asarray(draw_flower("daisy", seed + number).resize((224, 224))) for number in range(count)]


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
        own, side, far = taught(name).embed([flower, flower.rotate(90), other])
        turned[name], another[name] = own @ side, own @ far

    assert turned["sift"] > 0.85
    assert turned["sift"] > another["sift"] + 0.5
    assert turned["pixels"] < 0.85


def test_what_is_learned_is_16_centres_to_each_of_which_the_nearest_details_have_their_mean() -> None:
    pictures = flowers(seed=1)

    learned = np.load(io.BytesIO(learn(pictures)), allow_pickle=False)

    codebook = learned["codebook"]
    descriptors = np.concatenate([details(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY))[1] for one in pictures])
    nearest = np.linalg.norm(descriptors[:, None] - codebook[None], axis=2).argmin(axis=1)
    means = [descriptors[nearest == centre].mean(axis=0) for centre in range(16)]
    assert (codebook.shape, codebook.dtype, sorted(learned.files)) == (
        (16, 128),
        np.float32,
        ["codebook", "recipe"],
    )
    # k-means stops after 25 rounds: nearly there.
    assert np.linalg.norm(codebook - means, axis=1).max() < 0.05


def test_the_same_pictures_teach_the_same_and_others_something_else() -> None:
    learned = learn(flowers(seed=1))
    cv2.setRNGSeed(77)

    assert learn(flowers(seed=1)) == learned
    assert learn(flowers(seed=9)) != learned


def test_what_was_learned_is_what_two_vectors_must_share() -> None:
    learned = learn(flowers(seed=1))

    model = load_model("sift", learned=learned)

    assert (model.dim, model.sha256) == (16 * 128, hashlib.sha256(learned).hexdigest())
    assert load_model("sift", learned=learn(flowers(seed=9))).spec != model.spec


def test_a_model_that_has_learned_nothing_yet_says_how_it_does() -> None:
    with pytest.raises(ModelError) as caught:
        load_model("sift").embed([flowers(seed=1)[0]])

    assert str(caught.value) == (
        "sift has to learn from pictures before it can embed one; "
        "make a collection with: `lookalike.build(source, collection=path, model='sift')`"
    )


@pytest.mark.parametrize("count", [0, 1, 3])
def test_pictures_with_fewer_details_than_centres_teach_nothing(count: int) -> None:
    dot = cv2.circle(np.full((224, 224, 3), 90, np.uint8), (100, 100), 8, (250, 250, 250), -1)

    with pytest.raises(ModelError, match=rf"to learn from, but the images have {count * 5}; "):
        learn([dot] * count)


@pytest.mark.slow
def test_the_same_details_again_and_again_suffice() -> None:
    dot = cv2.circle(np.full((224, 224, 3), 90, np.uint8), (100, 100), 8, (250, 250, 250), -1)

    (vector,) = load_model("sift", learned=learn([dot] * 20)).embed_pixels(dot[None])

    assert np.linalg.norm(vector) == pytest.approx(1)


def _file(**arrays: object) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def _strange(archive: bytes) -> bytes:
    """An archive whose first file is compressed by a method that nobody knows."""
    entry = archive.index(b"PK\1\2")
    return archive[: entry + 10] + b"\x99" + archive[entry + 11 :]


@pytest.mark.parametrize(
    "learned",
    [
        b"",
        b"no archive",
        _file(codebook=np.zeros((16, 128))),
        _file(recipe="sift 1", codebook=np.zeros((16, 128))),
        _file(recipe=np.array(["an", "object"], object), codebook=np.zeros((16, 128))),
        learn(flowers(seed=1))[:-100],
        _strange(learn(flowers(seed=1))),
    ],
    ids=["empty", "text", "no recipe", "another recipe", "pickled", "cut off", "packed in a strange way"],
)
def test_what_this_version_has_not_learned_is_refused(learned: bytes) -> None:
    with pytest.raises(ModelError, match=r"was not learned by this version of sift; .* rebuild=True"):
        load_model("sift", learned=learned)


def test_only_sift_learns() -> None:
    assert [name for name in ("efficientnet-lite0", "pixels", "colors", "sift") if learner(name)] == ["sift"]


@pytest.mark.process
def test_without_opencv_the_model_says_what_to_install() -> None:
    code = "import sys; sys.modules['cv2'] = None; import lookalike; lookalike.load_model('sift')"

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "finding details in pictures needs OpenCV" in ended.stderr
    assert "-m pip install 'opencv-python-headless>=" in ended.stderr
