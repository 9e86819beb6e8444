"""A site of a collection whose model was taught: heads, and classes as words."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CLASSES, build, picture
from networks import MEAN, STD, write_network
from site_browser import serving, tab
from test_site_networks import EMBED, decoded, entry, runtime  # noqa: F401 (a fixture)
from test_site_texts import SEARCH
from towers import write_numbered

import lookalike
from lookalike.errors import ModelError
from lookalike.export import export_site
from lookalike.export.npm import ONNXRUNTIME, package_files
from lookalike.export.vector_format import read_vectors
from lookalike.learning.saving import save_head
from lookalike.models.class_words import ClassWords, files_of
from lookalike.models.head_model import Branch, Layer

RNG = np.random.default_rng(3)


def layer(rows: int, columns: int) -> Layer:
    return Layer(
        RNG.normal(size=(rows, columns)).astype(np.float32), RNG.normal(size=columns).astype(np.float32)
    )


BRANCHES = [
    Branch((layer(8, 5), layer(5, 4)), power=0.5, end="softmax", weight=0.7),
    Branch((layer(8, 6),)),
    Branch(),
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a network that gives eight numbers."""
    root = tmp_path_factory.mktemp("base")
    write_network(root / "net.onnx")
    lookalike.add_model(root / "net.onnx", name="my-net", out=root / "model", mean=MEAN, std=STD)
    return root / "model"


def classes_of(model: lookalike.LoadedModel) -> ClassWords:
    """The classes of the drawn pictures as words of a model: the middles of some of each."""
    seen = [model.embed([picture(seed, color) for seed in range(8)]) for color in CLASSES.values()]
    middles = np.stack([vectors.mean(axis=0) for vectors in seen])
    centred = middles - middles.mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return ClassWords(tuple(CLASSES), unit.astype(np.float32), 12.0, -3.0)


@pytest.fixture
def taught(base: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The folder of a head on the network, or of the network, with words."""
    if getattr(request, "param", "head") == "network":
        folder = tmp_path / "network"
        folder.mkdir()
        for path in base.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
    else:
        folder = tmp_path / "head"
        spec = lookalike.load_model(f"{base}/").spec
        save_head(folder, "my-head", spec, BRANCHES, base_path=str(base), report={})
    for name, data in files_of(classes_of(lookalike.load_model(f"{folder}/"))).items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def collection(taught: Path, tmp_path: Path) -> lookalike.Collection:
    numbered = write_numbered(tmp_path / "numbered", 12)
    return build(numbered, tmp_path / "c.lookalike", model=str(taught))[0]


def test_a_head_goes_with_the_network_that_it_sits_on(collection, base, tmp_path, runtime):  # noqa: F811
    site = export_site(collection.snapshot, tmp_path / "site", with_model=True, onnxruntime_web=runtime)

    said: Any = entry(site)["network"]
    assert (said["name"], said["dim"], said["size_px"]) == ("my-head", 18, 32)
    assert (site / said["file"]).read_bytes() == (base / "image.onnx").read_bytes()
    (head,) = said["heads"]
    assert head["branches"] == [
        {"layers": 2, "power": 0.5, "end": "softmax", "weight": 0.7},
        {"layers": 1, "power": 1.0, "end": "", "weight": 1.0},
        {"layers": 0, "power": 1.0, "end": "", "weight": 1.0},
    ]
    data = [(site / one["file"]).read_bytes() for one in head["layers"]]
    assert [hashlib.sha256(one).hexdigest() for one in data] == [one["sha256"] for one in head["layers"]]
    first = read_vectors(data[0])[1]
    assert (first[:-1] == BRANCHES[0].layers[0].matrix).all()
    assert (first[-1] == BRANCHES[0].layers[0].offset).all()


def test_the_classes_are_words_of_the_site_also_without_the_network(collection, tmp_path):
    said = entry(export_site(collection.snapshot, tmp_path / "site"))

    assert (said["words"], said["class_words"], said["words_elsewhere"]) == (True, True, False)
    assert said["pictures"] is False


def test_a_head_on_vectors_made_elsewhere_takes_no_pictures(tmp_path):
    vectors = RNG.normal(size=(6, 8)).astype(np.float32)
    made = lookalike.from_vectors(tmp_path / "made.lookalike", vectors, [str(at) for at in range(6)])
    save_head(tmp_path / "head", "my-head", made.manifest.model, BRANCHES, report={})
    collection, _ = build(made.path, tmp_path / "c.lookalike", model=str(tmp_path / "head"))

    with pytest.raises(ModelError, match="my-head takes stored vectors and no pictures; leave `with_model`"):
        export_site(collection.snapshot, tmp_path / "site", with_model=True)


# In Chromium


@pytest.fixture
def site(collection: lookalike.Collection, tmp_path: Path) -> Path:
    try:
        package_files(ONNXRUNTIME)
    except ModelError as error:
        pytest.skip(str(error))
    return export_site(collection.snapshot, tmp_path / "site", with_model=True)


@pytest.mark.parametrize("taught", ["head", "network"], indirect=True)
def test_pictures_and_words_of_a_taught_model_get_pythons_answers(window, collection, site, tmp_path):
    shown = (tmp_path / "numbered" / "4.png").read_bytes()

    with serving(site) as server, tab(window, server.url) as page:
        page.get_by_text("12 pictures").wait_for()
        found = decoded(page.evaluate(EMBED, list(shown)))
        answers = {text: page.evaluate(SEARCH, [text, 6]) for text in ("Meadows", "a sea, a brick")}
        refused = page.evaluate(SEARCH, ["zebra", 6])

    assert found @ collection.model.embed([shown])[0] > 0.999
    for text, answer in answers.items():
        wanted = {hit.id: (hit.score, hit.confidence) for hit in collection.search(lookalike.Text(text), 6)}
        assert {hit["id"]: (hit["score"], hit["confidence"]) for hit in answer["hits"]} == {
            id_: pytest.approx(pair, abs=0.02) for id_, pair in wanted.items()
        }
    assert refused[:2] == ["unknown-word", "The model does not know that word"]


def test_a_damaged_layer_is_not_used(window, site, tmp_path):
    path = site / "model" / "layer-1.bin"
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    shown = list((tmp_path / "numbered" / "4.png").read_bytes())
    refused = (
        f"async (bytes) => {{ try {{ await ({EMBED})(bytes) }} catch (error) {{ return error.title }} }}"
    )

    with serving(site) as server, tab(window, server.url) as page:
        title = page.evaluate(refused, shown)

    assert title == "The model is not the one that made this collection"
