"""Text towers in a model's folder: the vectors of a plain loop, and what is refused and why."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from networks import DIM, save
from onnx import TensorProto, helper
from tokenizers import Tokenizer, normalizers
from towers import END, LENGTH, describe, write_model, write_text_tower

import lookalike
from lookalike.errors import ExtraError, ModelError, QueryError
from lookalike.models.model import LoadedModel
from lookalike.models.text_onnx import text_tower
from lookalike.models.text_tower import TextTower, without_padding

WORDS = ["red", "car", "night", "straße", "犬"]
VECTORS = {word: np.random.default_rng(number).normal(0, 1, DIM) for number, word in enumerate(WORDS)}
BY_ITSELF = ["{}"]


def load(folder: Path) -> LoadedModel:
    return lookalike.load_model(f"{folder}/")


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def described(folder: Path, **text: object) -> Path:
    describe(folder, text={"pad_id": 0, "context_length": LENGTH, **text}, prompts=BY_ITSELF)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return described(write_model(tmp_path / "model", VECTORS))


# Vectors


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("red", ["red"]),
        ("Red CAR", ["red", "car"]),
        ("  a red car\tat night ", ["red", "car", "night"]),
        ("犬", ["犬"]),
        ("STRASSE straße", ["straße"]),
    ],
)
def test_a_text_becomes_the_vector_that_the_tower_gives_its_words(folder, text, words):
    expected = unit(sum(VECTORS[word] for word in words))

    assert np.allclose(load(folder).embed_text(text), expected, atol=1e-6)


def test_the_vectors_of_the_prompts_are_scaled_to_one_length_and_averaged(folder):
    describe(folder, text={"pad_id": 0, "context_length": LENGTH}, prompts=["{}", "{} car car car"])
    expected = unit(unit(VECTORS["red"]) + unit(VECTORS["red"] + 3 * VECTORS["car"]))

    assert np.allclose(load(folder).embed_text("red"), expected, atol=1e-6)


def test_without_prompts_a_text_is_taken_as_it_is_and_as_a_photo_of_it(tmp_path):
    vectors = {**VECTORS, "photo": np.ones(DIM)}
    model = load(write_model(tmp_path / "model", vectors))

    assert model.spec.prompts == ("{}", "a photo of {}")
    expected = unit(unit(VECTORS["car"]) + unit(VECTORS["car"] + 1))
    assert np.allclose(model.embed_text("car"), expected, atol=1e-6)


def test_a_text_that_is_too_long_for_the_tower_is_cut_as_its_tokenizer_cuts_it(folder):
    model = load(folder)
    fits = " ".join(["car"] * 5 + ["red"] * (LENGTH - 6))  # and one token for the end

    assert np.allclose(model.embed_text(fits + " night night night"), model.embed_text(fits), atol=1e-6)


@pytest.mark.parametrize("batch", ["batch", 1, 3])
@pytest.mark.parametrize("length", ["length", LENGTH])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_tower_takes_any_or_a_fixed_number_of_texts_and_tokens(tmp_path, batch, length, dtype):
    write_model(tmp_path / "model", VECTORS, batch=batch, length=length, dtype=dtype)
    model = load(described(tmp_path / "model"))

    for word in ("red", "night"):
        assert np.allclose(model.embed_text(word), unit(VECTORS[word]), atol=2e-3)


def test_a_tower_that_wants_to_know_the_padding_is_told(tmp_path):
    model = load(described(write_model(tmp_path / "model", VECTORS, mask=True)))

    assert np.allclose(model.embed_text("red"), unit(VECTORS["red"]), atol=1e-6)


def test_padding_that_also_ends_a_text_counts_once(tmp_path):
    vectors = {**VECTORS, END: np.arange(DIM)}
    folder = described(write_model(tmp_path / "model", vectors, mask=True), pad_id=1)  # as in CLIP

    assert np.allclose(load(folder).embed_text("red"), unit(VECTORS["red"] + np.arange(DIM)), atol=1e-6)


def test_what_the_tokenizer_says_about_padding_holds_where_the_description_says_nothing(tmp_path):
    folder = write_model(tmp_path / "model", VECTORS, length="length")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_padding(length=5, pad_id=2, direction="left")
    tokenizer.save(str(folder / "tokenizer.json"))
    describe(folder, text={})

    tower = text_tower(folder, {})

    assert tower.tokens(["red"])[0, :3].tolist() == [2, 2, 2]
    assert tower.tokens(["red " * 9]).shape == (1, 5)


def test_the_scale_of_a_description_is_that_of_the_tower(folder):
    assert text_tower(folder, {}).logit_scale == 100
    assert text_tower(folder, {"text": {"logit_scale": 12}}).logit_scale == 12.0


def test_text_is_put_into_lower_case_if_the_description_says_so(folder):
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.save(str(folder / "tokenizer.json"))

    assert np.allclose(load(described(folder, lower_case=True)).embed_text("RED"), unit(VECTORS["red"]))
    assert not np.allclose(load(described(folder)).embed_text("RED"), unit(VECTORS["red"]))


def test_many_texts_are_converted_in_batches_and_keep_their_order():
    sizes = []

    def tokens(texts: list[str]) -> np.ndarray:
        return np.array([[int(text)] for text in texts])

    def encode(tokens: np.ndarray) -> np.ndarray:
        sizes.append(len(tokens))
        return np.concatenate([np.cos(tokens), np.sin(tokens)], axis=1).astype(np.float32)

    found = TextTower(tokens, encode, "0" * 64, ("{}",)).vectors([str(number) for number in range(50)])

    assert np.allclose(found[:, 0], np.cos(np.arange(50)), atol=1e-6)
    assert sorted(sizes) == [2, 16, 16, 16]


# What decides a vector is in the spec


def test_the_spec_says_the_prompts_and_the_checksum_of_tower_and_tokenizer(folder):
    spec = load(folder).spec

    assert spec.prompts == ("{}",)
    assert len(spec.text_sha256) == 64
    assert spec.to_fields()["prompts"] == ["{}"]


@pytest.mark.parametrize("change", [{"context_length": 5}, {"lower_case": True}, {"pad_id": 1}])
def test_what_decides_a_vector_changes_the_checksum(folder, change):
    before = load(folder).spec.text_sha256

    assert load(described(folder, **change)).spec.text_sha256 != before


def test_padding_may_be_cut_without_another_checksum(tmp_path):
    folder = described(write_model(tmp_path / "model", VECTORS, length="tokens"))
    before = load(folder).spec.text_sha256

    cut = load(described(folder, cut_padding=True))

    assert cut.spec.text_sha256 == before
    assert np.allclose(cut.embed_text("red car"), unit(VECTORS["red"] + VECTORS["car"]), atol=1e-6)


def test_texts_are_cut_behind_the_first_padding_of_the_longest():
    tokens = np.array([[5, 0, 7, 1, 0, 0, 0], [5, 1, 0, 0, 0, 0, 0]])

    assert without_padding(tokens, 0).tolist() == [[5, 0, 7, 1, 0], [5, 1, 0, 0, 0]]
    assert without_padding(tokens[:, :4], 0).tolist() == tokens[:, :4].tolist()


def test_padding_is_not_cut_where_the_network_has_a_fixed_length(folder):
    with pytest.raises(ModelError, match="needs its padding: it takes 12 tokens; take `cut_padding` out"):
        load(described(folder, cut_padding=True)).embed_text("red")


def test_another_tokenizer_changes_the_checksum(folder):
    before = load(folder).spec.text_sha256
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()), indent=1))

    assert load(folder).spec.text_sha256 != before


def test_a_model_with_a_text_tower_survives_pickling(folder):
    again = pickle.loads(pickle.dumps(load(folder)))

    assert np.allclose(again.embed_text("red"), unit(VECTORS["red"]), atol=1e-6)


# Bad input


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the text is empty"),
        (" \n\t ", "the text is empty"),
        ("red " * 1251, "the text has 5,004 characters, the limit is 5,000"),
        ("x" * 1_000_000, "the text has 1,000,000 characters, the limit is 5,000"),
        ("a \ud800 car", "is not Unicode"),
    ],
)
def test_a_text_that_says_nothing_or_too_much_is_refused(folder, text, message):
    with pytest.raises(QueryError, match=message):
        load(folder).embed_text(text)


@pytest.mark.parametrize("text", ["\0", "<end><end><pad>", "{}", "🚗" * 100, "%s", "\u202e car"])
def test_any_other_text_is_a_text(folder, text):
    assert np.isfinite(load(folder).embed_text(text)).all()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("text.onnx", "has no text.onnx, which converts tokens to vectors"),
        ("tokenizer.json", "has no tokenizer.json, which converts text to tokens"),
    ],
)
def test_a_tower_without_one_of_its_files_is_refused(folder, name, message):
    (folder / name).unlink()

    with pytest.raises(ModelError, match=message):
        load(folder)


def test_a_description_of_words_without_their_files_is_refused(folder):
    (folder / "text.onnx").unlink()
    (folder / "tokenizer.json").unlink()

    with pytest.raises(ModelError, match=r"has no text\.onnx"):
        load(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ([], "text is \\[\\], it has to be an object"),
        ({"context_length": 0}, "context_length of text is 0; it has to be from 1 to 4096"),
        ({"context_length": 9.5}, "context_length of text is 9.5"),
        ({"pad_id": -1}, "pad_id of text is -1; it has to be the number of a token"),
        ({"cut_padding": 1}, "cut_padding of text is 1; it has to be true or false"),
        ({"lower_case": "yes"}, "lower_case of text is 'yes'; it has to be true or false"),
        ({"output": 3}, "output of text is 3"),
        ({"logit_scale": 0}, "logit_scale of text is 0; it has to be a number above 0"),
        ({"logit_scale": True}, "logit_scale of text is True"),
    ],
)
def test_a_description_that_says_something_else_is_refused(folder, text, message):
    describe(folder, text=text)

    with pytest.raises(ModelError, match=message):
        load(folder)


@pytest.mark.parametrize("prompts", [[], ["a photo"], ["{} and {}"], "{}", [3], ["{}"] * 101])
def test_prompts_need_one_place_for_the_text(folder, prompts):
    describe(folder, text={"pad_id": 0, "context_length": LENGTH}, prompts=prompts)

    with pytest.raises(ModelError, match="prompt"):
        load(folder)


def test_a_tower_whose_checksum_is_not_the_described_one_is_refused(folder):
    describe(folder, text={"pad_id": 0, "context_length": LENGTH}, text_sha256="0" * 64)

    with pytest.raises(ModelError, match="has another text tower than its description says"):
        load(folder)


@pytest.mark.parametrize(
    ("missing", "message"), [("pad_id", '"text": {"pad_id": …}'), ("context_length", "context_length")]
)
def test_padding_that_nothing_tells_has_to_be_described(tmp_path, missing, message):
    write_model(tmp_path / "model", VECTORS, length="length")
    described(tmp_path / "model", **{missing: None})

    with pytest.raises(ModelError, match=message):
        load(tmp_path / "model").embed_text("red")


def test_a_tower_of_another_length_than_described_is_refused(folder):
    model = load(described(folder, context_length=7))

    with pytest.raises(ModelError, match="takes 12 tokens, not 7"):
        model.embed_text("red")


def test_a_tower_of_other_dimensions_than_the_pictures_is_refused(tmp_path):
    model = load(described(write_model(tmp_path / "model", {"red": np.ones(5)})))

    with pytest.raises(ModelError, match="gives 5 dimensions, the network of the pictures 8"):
        model.embed_text("red")


def test_a_tower_that_gives_nan_is_refused(tmp_path):
    model = load(described(write_model(tmp_path / "model", {"red": np.full(DIM, np.nan)})))

    with pytest.raises(ModelError, match="gave NaN or infinity"):
        model.embed_text("red")


def test_a_tower_that_gives_a_single_number_is_refused(folder):
    graph = onnx.load(folder / "text.onnx").graph
    graph.node.append(helper.make_node("ReduceMax", ["vectors"], ["most"], keepdims=0))
    graph.output[0].CopyFrom(helper.make_tensor_value_info("most", TensorProto.FLOAT, []))
    save(folder / "text.onnx", graph)

    with pytest.raises(ModelError, match=r"text\.onnx gave float32 of shape \(1,\) for 1 texts"):
        load(folder).embed_text("red")


def test_of_several_outputs_the_description_has_to_name_one(tmp_path):
    folder = write_model(tmp_path / "model", VECTORS, outputs=("vectors", "more"))

    with pytest.raises(ModelError, match="has 2 outputs: vectors, more"):
        load(described(folder)).embed_text("red")
    with pytest.raises(ModelError, match="has no output 'other': vectors, more"):
        load(described(folder, output="other")).embed_text("red")
    assert load(described(folder, output="more")).embed_text("red").shape == (DIM,)


def test_a_tokenizer_with_more_words_than_the_tower_is_an_error(tmp_path):
    folder = described(write_model(tmp_path / "model", VECTORS))
    write_text_tower(tmp_path / "larger", {str(number): np.ones(DIM) for number in range(50)})
    (tmp_path / "larger" / "tokenizer.json").replace(folder / "tokenizer.json")

    with pytest.raises(ModelError, match="fails on tokens"):
        load(folder).embed_text("49 48 47")


@pytest.mark.parametrize("data", [b"", b"{}", b"[1, 2]", b"\xff\xfe", b'{"model": {"type": "BPE"}}'])
def test_a_tokenizer_that_is_none_is_refused(folder, data):
    (folder / "tokenizer.json").write_bytes(data)

    with pytest.raises(ModelError, match="is not a tokenizer"):
        load(folder).embed_text("red")


def test_a_network_of_pictures_is_not_a_text_tower(folder):
    (folder / "text.onnx").write_bytes((folder / "image.onnx").read_bytes())

    with pytest.raises(ModelError, match="export it with one input of int64"):
        load(folder).embed_text("red")


def test_without_the_tokenizers_package_pictures_can_be_embedded_and_words_say_what_to_install(
    folder, monkeypatch
):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    model = load(folder)

    assert model.embed_pixels(np.zeros((1, 32, 32, 3), np.uint8)).shape == (1, DIM)
    with pytest.raises(ExtraError, match="tokenizers"):
        model.embed_text("red")


def test_no_tower_is_started_for_pictures_alone(folder, monkeypatch):
    started = []
    session = onnxruntime.InferenceSession

    def note(path: str, *arguments: object, **options: object) -> onnxruntime.InferenceSession:
        started.append(Path(path).name)
        return session(path, *arguments, **options)

    monkeypatch.setattr(onnxruntime, "InferenceSession", note)

    load(folder).embed_pixels(np.zeros((1, 32, 32, 3), np.uint8))

    assert started == ["image.onnx"]
