"""A site whose model has a text tower: what it has, what is said, and searches by any text in Chromium."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import build
from pages import expect, ids
from site_browser import FileServer, serving, tab
from towers import UNKNOWN, write_model_of_classes, write_numbered, write_text_tower

import lookalike
from lookalike.errors import ModelError
from lookalike.export import export_site, text
from lookalike.export.npm import ONNXRUNTIME, TOKENIZERS, package_files
from lookalike.models.tower_words import background_words

# The vectors and the presences that the scripts give for texts, and those of one picture.
ASK = """async (texts) => {
  const { default: host } = await import("./web/host.js");
  const [entry] = await host.collections();
  const { TextTower } = await import("./web/static/text-tower.js");
  const tower = new TextTower(entry.text, entry.files.folder + "rivals.bin");
  const vectors = [];
  for (const one of texts) vectors.push(Array.from(await tower.vectorOf(one)));
  const shown = vectors.map((_, i) => vectors.map((v) => tower.presence(texts[i], Float32Array.from(v))));
  return { vectors, shown };
}"""
SEARCH = """async ([text, k]) => {
  const { default: host } = await import("./web/host.js");
  const [{ name }] = await host.collections();
  try {
    return await host.search(name, { terms: [{ text, weight: 1 }], k, filters: [], where: "" });
  } catch (error) {
    return [error.kind, error.title, error.detail];
  }
}"""
TEXTS = ["sea", "A brick, and the MEADOW", "  a sea of brick ", "夜の赤い車 🌹"]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The names of the packages' files, as `npm pack` would bring them."""
    folder = tmp_path_factory.mktemp("packages")
    for name in (*ONNXRUNTIME.files, *TOKENIZERS.files):
        (folder / name).write_text(name)
    return {"onnxruntime_web": folder, "tokenizers_js": folder}


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_numbered(tmp_path_factory.mktemp("numbered"), 12)


def collection_of(numbered: Path, tmp_path: Path, **tower: Any) -> lookalike.Collection:
    """Pictures in the vectors of a model that knows their classes, or has a tower with these options."""
    folder = write_model_of_classes(tmp_path / "model")
    if tower:
        rng = np.random.default_rng(1)
        words = (UNKNOWN, "sea", "brick", "meadow", *background_words())
        write_text_tower(folder, {name: rng.normal(size=8) for name in words}, **tower)
    return build(numbered, tmp_path / "c.lookalike", model=str(folder))[0]


def entry(site: Path) -> dict[str, Any]:
    return json.loads((site / "collections.json").read_bytes())["collections"][0]


def test_the_text_tower_goes_with_the_model(numbered, tmp_path, packages):
    collection = collection_of(numbered, tmp_path)

    site = export_site(collection.snapshot, tmp_path / "site", with_model=True, **packages)

    said = entry(site)
    assert (said["words"], said["model_words"], said["words_elsewhere"]) == (True, False, False)
    told = said["text"]
    assert (told["context_length"], told["pad_id"], told["takes_mask"]) == (12, 0, False)
    assert (told["prompts"], told["logit_scale"], told["pads_left"]) == (["{}"], 100.0, False)
    assert told["input"] == {"name": "input_ids", "type": "int64", "batch": None}
    for name, checksum in told["checksums"].items():
        assert hashlib.sha256((site / "model" / name).read_bytes()).hexdigest() == checksum
    assert sorted(told["checksums"]) == ["text.onnx", "tokenizer.json"]
    assert (site / "model" / "tokenizers.js").read_text() == "tokenizers.min.mjs"
    assert "@huggingface/tokenizers" in (site / "model" / "NOTICE.txt").read_text()
    assert len(list(site.glob("data/*/rivals.bin"))) == 1


def test_without_the_model_there_is_no_text_tower(numbered, tmp_path):
    collection = collection_of(numbered, tmp_path)

    site = export_site(collection.snapshot, tmp_path / "site")

    assert (entry(site)["words"], entry(site)["words_elsewhere"]) == (False, True)
    assert not (site / "model").exists()


def test_the_sizes_are_said(numbered, tmp_path, packages, caplog):
    collection = collection_of(numbered, tmp_path)

    with caplog.at_level(logging.INFO, "lookalike.export"):
        export_site(collection.snapshot, tmp_path / "site", with_model=True, **packages)

    assert "loads a text tower of 0.0 MB and a tokenizer of 0.0 MB once" in caplog.text


@pytest.mark.parametrize("limit", ["MOST_BYTES", "MOST_TOKENIZER_BYTES"])
def test_a_tower_that_is_too_large_stays_with_the_server(
    numbered, tmp_path, packages, caplog, monkeypatch, limit
):
    collection = collection_of(numbered, tmp_path)
    monkeypatch.setattr(text, limit, 5000)

    site = export_site(collection.snapshot, tmp_path / "site", with_model=True, **packages)

    assert "so its words need a server" in caplog.text
    assert "MB, the limit is 0 MB" in caplog.text
    assert (entry(site)["words"], entry(site)["words_elsewhere"], entry(site)["pictures"]) == (
        False,
        True,
        True,
    )
    assert not (site / "model" / "text.onnx").exists()


def test_a_tower_of_floats_of_16_bits_stays_with_the_server(numbered, tmp_path, packages, caplog):
    collection = collection_of(numbered, tmp_path, dtype="float16")

    site = export_site(collection.snapshot, tmp_path / "site", with_model=True, **packages)

    assert "text.onnx gives tensor(float16), a browser needs float32" in caplog.text
    assert entry(site)["words_elsewhere"] is True


# In Chromium


@pytest.fixture
def fetched() -> None:
    for package in (ONNXRUNTIME, TOKENIZERS):
        try:
            package_files(package)
        except ModelError as error:
            pytest.skip(str(error))


@pytest.fixture
def collection(numbered: Path, tmp_path: Path, fetched: None) -> lookalike.Collection:
    return collection_of(numbered, tmp_path)


@pytest.fixture
def site(collection: lookalike.Collection, tmp_path: Path) -> Path:
    return export_site(collection.snapshot, tmp_path / "site", with_model=True)


def loaded(server: FileServer) -> set[str]:
    """The names of the model's files that a browser asked for."""
    return {Path(path).name for path in server.asked if path.startswith("/model/")}


def test_a_search_by_a_text_finds_what_python_finds(window, collection, site):
    with serving(site) as server, tab(window, server.url) as page:
        page.get_by_text("12 pictures").wait_for()
        assert not loaded(server)
        answer = page.evaluate(SEARCH, ["sea", 6])

    wanted = collection.search(lookalike.Text("sea"), 6)
    expected = {hit.id: (hit.score, hit.confidence) for hit in wanted}
    assert {hit["id"]: (hit["score"], hit["confidence"]) for hit in answer["hits"]} == {
        id_: pytest.approx(pair, abs=0.02) for id_, pair in expected.items()
    }
    assert {hit["id"] for hit in answer["hits"][:4]} == {"2.png", "5.png", "8.png", "11.png"}
    assert min(hit["confidence"] for hit in answer["hits"][:4]) > 0.9
    assert answer["words"][0]["words"][0] == {"word": "sea", "origin": "model", "count": None, "said": ""}
    assert {"text.onnx", "tokenizer.json", "tokenizers.js"} < loaded(server)
    assert "image.onnx" not in loaded(server)


@pytest.mark.parametrize(
    "tower",
    [{}, {"mask": True}, {"batch": 3, "length": 12}],
    ids=["plain", "with a mask", "a fixed batch"],
)
def test_texts_get_pythons_vectors_and_confidence(window, numbered, tmp_path, fetched, tower):
    collection = collection_of(numbered, tmp_path, **tower)
    described = tmp_path / "model" / "model.json"
    fields = json.loads(described.read_text())
    described.write_text(
        json.dumps({**fields, "prompts": ["{}", "a photo of {}", "{}, $& painted", "my {}"]})
    )
    collection, _ = build(numbered, tmp_path / "c2.lookalike", model=str(tmp_path / "model"))
    site = export_site(collection.snapshot, tmp_path / "site", with_model=True)

    with serving(site) as server, tab(window, server.url) as page:
        found = page.evaluate(ASK, TEXTS)

    model = collection.model
    wanted = np.stack([model.embed_text(one) for one in TEXTS])
    assert (np.sum(np.array(found["vectors"]) * wanted, axis=1) > 0.9999).all()
    shown = np.stack([model.presence(one, wanted) for one in TEXTS])
    np.testing.assert_allclose(found["shown"], shown, atol=1e-3)


def test_a_damaged_tower_is_not_used(window, site):
    path = site / "model" / "text.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")

    with serving(site) as server, tab(window, server.url) as page:
        kind, title, _ = page.evaluate(SEARCH, ["the sea", 6])

    assert (kind, title) == ("other-model", "The model is not the one that made this collection")


def test_a_tokenizer_that_reads_differently_is_not_used(window, site):
    said = json.loads((site / "collections.json").read_bytes())
    said["collections"][0]["text"]["examples"][3][1][0] += 1
    (site / "collections.json").write_text(json.dumps(said))

    with serving(site) as server, tab(window, server.url) as page:
        kind, title, detail = page.evaluate(SEARCH, ["the sea", 6])

    assert (kind, title) == ("no-words", "The model's words need a server")
    assert "does not run in a browser as it does in Python" in detail


def test_a_visitor_types_a_text(window, site):
    with serving(site) as server, tab(window, server.url) as page:
        page.get_by_text("12 pictures").wait_for()
        field = page.get_by_role("combobox", name="Search by words")
        field.fill("the sea")
        field.press("Enter")
        expect(page.locator(".tile .score").first).to_be_visible(timeout=40_000)
        assert {*ids(page)[:4]} == {"2.png", "5.png", "8.png", "11.png"}
