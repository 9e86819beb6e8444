"""A head: a folder with a few layers on another model's unit vectors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lookalike.errors import ModelError, StorageError, UnknownWordError
from lookalike.learning.saving import save_head
from lookalike.models import devices, efficientnet, registry
from lookalike.models.class_words import ClassWords
from lookalike.models.halving import FullDeviceError
from lookalike.models.head_model import Branch, Layer, apply, way_back
from lookalike.models.registry import load_model
from lookalike.models.spec import ModelSpec

PIXELS = load_model("pixels")


def layer(rows: list[list[float]], offset: list[float]) -> Layer:
    return Layer(np.array(rows, np.float32), np.array(offset, np.float32))


def first_three() -> Layer:
    """The first three numbers of a picture's pixels, the mean of all beside them."""
    matrix = np.zeros((PIXELS.dim, 4), np.float32)
    matrix[[0, 1, 2], [0, 1, 2]] = 1
    matrix[:, 3] = 1 / PIXELS.dim
    return Layer(matrix, np.zeros(4, np.float32))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    words = ClassWords(("Red roses", "sky"), np.eye(2, 4, dtype=np.float32), 20.0, -10.0)
    save_head(tmp_path / "mine", "mine", PIXELS.spec, [first_three()], words=words, report={"map": 0.5})
    return tmp_path / "mine"


def test_layers_are_products_and_offsets_with_relu_between_and_the_result_has_length_1():
    two = [layer([[1, 0], [0, -1]], [0, 1]), layer([[3], [4]], [-1])]

    np.testing.assert_allclose(
        apply(two[:1], np.array([[0.6, 0.8]], np.float32)), [[0.9487, 0.3162]], atol=1e-4
    )
    # (0.6, 0.8) -> (0.6, 0.2) -> 1.8 + 0.8 - 1; (-1, 0) -> (-1, 1), of which ReLU leaves 1 -> 4 - 1
    found = apply([*two[:1], layer([[3, 1], [4, 0]], [-1, 0])], np.array([[0.6, 0.8], [-1, 0]], np.float32))
    np.testing.assert_allclose(found, [[0.9363, 0.3511], [1, 0]], atol=1e-4)


def test_a_head_embeds_pictures_by_its_base_and_takes_the_vectors_of_that(folder):
    model = load_model(f"{folder}/")
    picture = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)

    assert (model.name, model.dim, model.size_px, model.base) == ("mine", 4, 32, PIXELS.spec)
    of_base = PIXELS.embed(picture)[None]
    np.testing.assert_allclose(model.embed(picture), apply([first_three()], of_base)[0], atol=1e-6)
    np.testing.assert_allclose(model.from_base(of_base)[0], model.embed(picture), atol=1e-6)


def test_the_same_head_on_another_base_is_another_model(tmp_path):
    specs = [ModelSpec("made-elsewhere", sha256, 2, 32, 1.0) for sha256 in ("", "ab")]
    for number, spec in enumerate(specs):
        save_head(tmp_path / str(number), "mine", spec, [layer([[1, 0], [0, 1]], [0, 0])])
    shas = [json.loads((tmp_path / f"{n}" / "model.json").read_text())["sha256"] for n in (0, 1)]

    assert len(set(shas)) == 2


def test_a_head_on_vectors_that_were_made_elsewhere_takes_vectors_and_no_pictures(tmp_path):
    save_head(
        tmp_path / "mine", "mine", ModelSpec("imported", "", 2, 1, 1.0), [layer([[0, 1], [2, 0]], [0, 0])]
    )
    model = load_model(str(tmp_path / "mine"))

    np.testing.assert_allclose(model.from_base(np.array([[0, 1]], np.float32)), [[1, 0]])
    with pytest.raises(ModelError, match="imported, whose vectors mine takes, is not available here"):
        model.embed(np.zeros((4, 4, 3), np.uint8))


def test_its_own_words_are_found_in_singular_and_plural_and_several_are_averaged(folder):
    model = load_model(str(folder))

    np.testing.assert_allclose(model.embed_text("red rose"), [1, 0, 0, 0])
    np.testing.assert_allclose(model.embed_text("a RED-ROSES picture"), [1, 0, 0, 0])
    np.testing.assert_allclose(model.embed_text("skies"), [0, 1, 0, 0])
    np.testing.assert_allclose(model.embed_text("red roses in the sky"), [0.7071, 0.7071, 0, 0], atol=1e-4)
    with pytest.raises(UnknownWordError, match="does not know the word 'skye'; similar words are: sky"):
        model.embed_text("skye")


def test_how_likely_a_picture_shows_a_word_is_a_logistic_function_of_its_cosine(folder):
    model = load_model(str(folder))
    vectors = np.array([[1, 0, 0, 0], [0.6, 0.8, 0, 0], [0, 0, 1, 0]], np.float32)

    np.testing.assert_allclose(model.presence("sky", vectors), [4.54e-5, 0.99753, 4.54e-5], rtol=1e-3)
    np.testing.assert_allclose(model.presence("sky, red rose", vectors)[1], 0.88080, atol=1e-4)
    found = [[(name, round(chance, 3)) for name, chance in tags] for tags in model.tags(vectors * 7)]
    assert found == [[("Red roses", 1.0)], [("sky", 0.998), ("Red roses", 0.881)], []]
    assert model.common_tags(vectors[:2]) == ["Red roses"]


@pytest.mark.parametrize(
    ("file", "data", "says"),
    [
        ("head.npz", b"PK no zip", "head.npz cannot be read"),
        ("head.npz", None, "cannot be read"),
        ("words.json", b"{}", "words.json cannot be read: 'names'"),
        ("words.json", b'{"names": ["one"]}', r"words.npy does not hold float32 \(1, 4\)"),
        ("words.npy", b"no numbers", "words.npy cannot be read"),
        ("words.npy", None, "words.npy, the vectors of the words, is missing"),
    ],
)
def test_a_damaged_folder_is_refused_and_the_file_named(folder, file, data, says):
    (folder / file).unlink()
    if data is not None:
        (folder / file).write_bytes(data)
    with pytest.raises(ModelError, match=says):
        load_model(str(folder))


def test_layers_that_a_flipped_bit_says_are_encrypted_are_refused(folder):
    data = bytearray((folder / "head.npz").read_bytes())
    data[data.rfind(b"PK\x01\x02") + 8] ^= 1
    (folder / "head.npz").write_bytes(data)

    with pytest.raises(ModelError, match=r"head\.npz cannot be read"):
        load_model(str(folder))


def test_a_head_whose_layers_were_exchanged_is_refused(folder, tmp_path):
    save_head(
        tmp_path / "other", "mine", PIXELS.spec, [Layer(first_three().matrix * 2, np.zeros(4, np.float32))]
    )
    (tmp_path / "other" / "head.npz").replace(folder / "head.npz")

    with pytest.raises(ModelError, match=r"head.npz is not the head that model.json describes"):
        load_model(str(folder))


def test_layers_that_do_not_fit_or_are_not_finite_are_refused_before_anything_is_written(tmp_path):
    spec = ModelSpec("imported", "", 3, 1, 1.0)
    for one, says in (
        (layer([[1], [2]], [0]), "layer 0 of mine has the shapes"),
        (layer([[1], [2], [np.nan]], [0]), "layer 0 of mine has NaN or infinity"),
    ):
        with pytest.raises(ModelError, match=says):
            save_head(tmp_path / "mine", "mine", spec, [one])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_refused_and_stays(folder):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ModelError, match="mine exists already; give another folder as `out`"):
        save_head(folder, "mine", PIXELS.spec, [first_three()])

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert json.loads(before["report.json"]) == {"map": 0.5}


def test_a_disk_that_is_full_at_the_last_file_leaves_nothing(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lookalike.learning.saving.os.fsync", full)
    with pytest.raises(StorageError, match="no space left on the device while writing"):
        save_head(tmp_path / "mine", "mine", PIXELS.spec, [first_three()])
    assert list(tmp_path.iterdir()) == []


def test_branches_stand_side_by_side_with_their_weights(tmp_path):
    spec = ModelSpec("imported", "", 2, 1, 1.0)
    scores = Branch((layer([[10, 0], [0, 10]], [0, 0]),), power=0.5, end="softmax", weight=2.0)
    save_head(tmp_path / "m", "m", spec, [scores, Branch()])
    model = load_model(str(tmp_path / "m"))
    vectors = np.array([[0.6, 0.8], [1, 0]], np.float32)

    # The roots, at length 1, are (0.655, 0.756) and (1, 0); ten times their softmax (0.267, 0.733), (1, 0).
    wanted = np.array([[0.342 * 2, 0.940 * 2, 0.6, 0.8], [2, 0, 1, 0]]) / np.sqrt(5)
    np.testing.assert_allclose(model.from_base(vectors), wanted, atol=2e-3)
    assert model.dim == 4


@pytest.mark.parametrize(
    "branches",
    [
        [],
        "two",
        [{"layers": 1}],
        [{"layers": 2}],
        [{"layers": 1, "power": 0}, {"layers": 0}],
        [{"end": "relu"}],
    ],
)
def test_branches_that_make_no_sense_are_refused(tmp_path, branches):
    spec = ModelSpec("imported", "", 2, 1, 1.0)
    save_head(tmp_path / "m", "m", spec, [Branch((layer([[1, 0], [0, 1]], [0, 0]),), weight=2.0), Branch()])
    path = tmp_path / "m" / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "branches": branches}))

    with pytest.raises(ModelError):
        load_model(str(tmp_path / "m"))


def test_a_head_on_a_base_that_the_gpu_has_no_room_for_runs_on_the_cpu_and_says_why(tmp_path, monkeypatch):
    base = load_model()
    matrix = np.eye(base.dim, 4, dtype=np.float32)
    save_head(tmp_path / "mine", "mine", base.spec, [Layer(matrix, np.zeros(4, np.float32))])

    def load(device):
        if device != "cpu":
            raise FullDeviceError("efficientnet-lite0", device)
        return base

    monkeypatch.setattr(efficientnet, "load", load)
    monkeypatch.setattr(devices, "accelerators", lambda: ("cuda",))
    registry._load_built_in.cache_clear()
    try:
        model = load_model(f"{tmp_path}/mine", device="auto")
        assert model.device == "cpu"
        assert model.device_note.startswith("efficientnet-lite0 does not fit into the memory of cuda; stop")
        assert model.embed(np.zeros((40, 50, 3), np.uint8)).shape == (4,)
    finally:
        registry._load_built_in.cache_clear()


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


SCORES = Branch((layer([[4, 0], [0, 4], [1, 1]], [0, 1]),), end="softmax")
TURNED = Branch((layer([[1, 2, 0], [0, 1, 0], [0, 1, 3]], [-1, -3, 0]),), weight=0.5)  # less (1, 1, 0)


@pytest.mark.parametrize(
    ("head", "were"),
    [
        ([SCORES, Branch((), weight=0.3)], lambda x: x),
        ([TURNED, Branch((), power=0.5), SCORES], lambda x: unit(np.sign(x) * np.sqrt(np.abs(x)))),
        ([SCORES, TURNED], lambda x: unit(x - np.array([1, 1, 0]))),
        ([SCORES], None),
        ([SCORES, Branch((layer([[1, 1, 0], [1, 1, 0], [0, 0, 1]], [0, 0, 0]),))], None),
    ],
)
def test_the_vectors_of_the_base_are_found_again_where_a_head_keeps_them(tmp_path, head, were):
    save_head(tmp_path / "m", "m", ModelSpec("base", "", 3, 1, 1.0), head)
    vectors = unit(np.random.default_rng(0).normal(size=(5, 3)))
    found = way_back(tmp_path / "m", load_model(f"{tmp_path}/m/").sha256)

    assert (found is None) == (were is None)
    if found:
        np.testing.assert_allclose(found(apply(head, vectors)), were(vectors), atol=1e-5)
    assert way_back(tmp_path / "m", "another") is None
    assert way_back(tmp_path / "nothing", "another") is None
