"""The words of published models: their vectors are those of the libraries that publish them."""

from __future__ import annotations

import json
from importlib import import_module

import numpy as np
import pytest
from hub_server import serving
from hubs import REVISION, save_open_clip, save_transformers, snapshot, tokenizer, use_hub

import lookalike
from lookalike.errors import ModelError
from lookalike.models import published
from lookalike.models.registry import load_model

pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("default")]

TEXTS = [
    "the cat",
    "The CAT,  at night!",
    "stra\u00dfe \u72ac \U0001f697",
    "one two three four five six seven eight nine ten eleven twelve",
]
PROMPTS = ("{}", "a photo of {}")


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub")
    save_transformers(folder, "tests/clip", "clip")
    save_transformers(folder, "tests/siglip", "siglip")
    save_open_clip(folder, "tests/open-clip")
    for clean in CLEANED:
        name = f"tests/open-clip-{clean}"
        with_own = {"hf_tokenizer_name": name, "tokenizer_kwargs": {"clean": clean}}
        files = save_open_clip(folder, name, **with_own)
        tokenizer("siglip").save_pretrained(files)
        (files / "config.json").write_text('{"model_type": "siglip"}')  # which transformers asks for
    return folder


@pytest.fixture(autouse=True)
def offline(hub, monkeypatch):
    use_hub(monkeypatch, hub)


def by_transformers(name: str, texts: list[str]) -> np.ndarray:
    transformers = import_module("transformers")
    model = transformers.AutoModel.from_pretrained(name).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(name)
    given = tokenizer(texts, padding="max_length", max_length=16, truncation=True, return_tensors="pt")
    return model.get_text_features(input_ids=given["input_ids"]).pooler_output.detach().numpy()


def by_open_clip(name: str, texts: list[str]) -> np.ndarray:
    open_clip = import_module("open_clip")
    model, tokenizer = (make(f"hf-hub:{name}") for make in (open_clip.create_model, open_clip.get_tokenizer))
    return model.eval().encode_text(tokenizer(texts)).detach().numpy()


# How open_clip cleans texts before it gives them to a tokenizer of transformers.
CLEANED = ("whitespace", "lower", "canonicalize")
NAMES = {
    "hf:tests/clip": by_transformers,
    "hf:tests/siglip": by_transformers,
    "open_clip:tests/open-clip": by_open_clip,
    **{f"open_clip:tests/open-clip-{clean}": by_open_clip for clean in CLEANED},
}


# In these what follows a text changes nothing, so that it may be cut off.
CAUSAL = {"hf:tests/clip", "open_clip:tests/open-clip"}


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.mark.parametrize("name", NAMES)
def test_the_vector_of_a_text_is_the_mean_of_its_publishers_over_the_prompts(name):
    model = load_model(name)
    assert model.spec.prompts == PROMPTS
    prompted = [prompt.replace("{}", text) for text in TEXTS for prompt in PROMPTS]
    theirs = unit(NAMES[name](name.partition(":")[2], prompted)).reshape(len(TEXTS), len(PROMPTS), -1)

    found = np.stack([model.embed_text(text) for text in TEXTS])

    assert np.sum(found * unit(theirs.mean(axis=1)), axis=1).min() >= 0.9999
    assert (found @ found.T)[~np.eye(len(TEXTS), dtype=bool)].max() < 0.9999  # they are not all one


@pytest.mark.parametrize("name", NAMES)
def test_its_words_are_exported_too(name, tmp_path):
    model = load_model(name)

    made = lookalike.export_model(name, tmp_path / "model")

    assert made.text_cosine >= 0.9999
    options = json.loads((tmp_path / "model" / "model.json").read_bytes())["text"]
    assert options.get("cut_padding", False) == (name in CAUSAL)
    exported = load_model(f"{tmp_path}/model/")
    for text in TEXTS:
        assert exported.embed_text(text) @ model.embed_text(text) >= 0.9999


@pytest.mark.parametrize("name", ["hf:tests/clip", "hf:tests/siglip", "open_clip:tests/open-clip"])
def test_in_8_bits_a_tower_is_smaller_and_its_words_nearly_the_same(name, tmp_path):
    whole = lookalike.export_model(name, tmp_path / "whole")
    small = lookalike.export_model(name, tmp_path / "small", int8=True)

    assert small.text_cosine >= 0.998
    of_small, of_whole = ((tmp_path / one / "text.onnx").stat().st_size for one in ("small", "whole"))
    assert of_small < of_whole
    for text in TEXTS:
        assert small.model.embed_text(text) @ whole.model.embed_text(text) >= 0.995


def test_a_collection_is_asked_in_words(folder, target):
    collection = lookalike.build(folder, target, model="hf:tests/clip")

    assert len(collection.search(lookalike.Text("the cat"), k=3)) == 3
    assert lookalike.open(target).manifest.model.text_sha256 == load_model("hf:tests/clip").spec.text_sha256


def test_a_tokenizer_of_another_model_is_refused_before_anything_is_written(
    tmp_path, monkeypatch, folder, target
):
    use_hub(monkeypatch, tmp_path)
    files = save_transformers(tmp_path, "tests/mixed", "siglip")
    tokenizer("clip").save_pretrained(files)

    with pytest.raises(ModelError, match="the text tower of hf:tests/mixed fails on tokens"):
        lookalike.build(folder, target, model="hf:tests/mixed")

    assert not target.exists()


@pytest.mark.parametrize("kind", ["hf", "open_clip"])
@pytest.mark.parametrize("data", [b"{", b"[]", b"{}", b"\xff"])
def test_a_damaged_tokenizer_is_refused_before_anything_is_written(
    tmp_path, monkeypatch, folder, target, kind, data
):
    use_hub(monkeypatch, tmp_path)
    files = (
        save_transformers(tmp_path, "tests/own", "clip")
        if kind == "hf"
        else save_open_clip(tmp_path, "tests/own", hf_tokenizer_name="tests/own")
    )
    (files / "tokenizer.json").write_bytes(data)

    with pytest.raises(ModelError, match=r"/tokenizer\.json cannot be read: "):
        lookalike.build(folder, target, model=f"{kind}:tests/own")

    assert not target.exists()


def test_a_tokenizer_that_another_program_left_out_is_fetched(hub, tmp_path, monkeypatch):
    published = next(hub.glob("models--tests--clip/snapshots/*"))
    with serving(clip=(REVISION, published)) as (address, _):
        use_hub(monkeypatch, tmp_path, address)
        here = snapshot(tmp_path, "tests/clip")
        for name in ("config.json", "preprocessor_config.json", "model.safetensors"):
            (here / name).write_bytes((published / name).read_bytes())

        model = load_model("hf:tests/clip")

    assert model.embed_text("the cat").shape == (24,)


def test_a_model_without_its_tokenizer_has_no_words(tmp_path, monkeypatch):
    use_hub(monkeypatch, tmp_path)
    (save_transformers(tmp_path, "tests/mute", "clip") / "tokenizer.json").unlink()

    model = load_model("hf:tests/mute")

    assert (model.text_vector, model.spec.text_sha256) == (None, "")


def test_words_that_come_later_are_taken_by_a_build_that_names_the_model(
    tmp_path, monkeypatch, folder, target
):
    use_hub(monkeypatch, tmp_path)
    path = save_transformers(tmp_path, "tests/later", "clip") / "tokenizer.json"
    path.rename(tmp_path / "elsewhere")
    lookalike.build(folder, target, model="hf:tests/later")
    (tmp_path / "elsewhere").rename(path)
    published.load_published.cache_clear()

    with pytest.raises(ModelError, match="was built with other words of hf:tests/later"):
        lookalike.build(folder, target)
    report = lookalike.build(folder, target, model="hf:tests/later").report

    assert (report.embedded, report.unchanged) == (0, 12)
    assert len(lookalike.open(target).search(lookalike.Text("the cat"), k=3)) == 3
