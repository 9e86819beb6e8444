"""Published models see the pixels and give the vectors of the libraries that publish them.

Their weights are random: files in the form that each library saves, which the code for real ones loads.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from hubs import (
    OPEN_CLIP,
    PREPROCESSING,
    REVISION,
    save_open_clip,
    save_timm,
    save_transformers,
    scene,
    snapshot,
    use_hub,
    with_torchvision,
)
from PIL import Image
from publishers import OpenClip, Timm, Transformers

import lookalike
from lookalike.errors import ModelError, QueryError
from lookalike.learning.saving import save_head
from lookalike.models import published, registry, timm_model
from lookalike.models.head_model import Layer
from lookalike.models.registry import load_model

pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("default")]

# Wide and high ones with an odd rest, a square, and one that is enlarged.
SCENES = [scene(seed, size) for seed, size in enumerate([(333, 250), (251, 401), (300, 300), (61, 47)])]
TRANSFORMERS = ["clip", "siglip", "dinov2", "dinov3_vit"]


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A folder with models of each kind."""
    folder = tmp_path_factory.mktemp("hub")
    save_timm(folder, "test_vit.r160_in1k")
    save_timm(folder, "test_resnet.r160_in1k")
    for kind in TRANSFORMERS:
        save_transformers(folder, f"tests/{kind}", kind)
    save_open_clip(folder, "tests/open-clip")
    return folder


@pytest.fixture(autouse=True)
def offline(hub, monkeypatch):
    use_hub(monkeypatch, hub)


KINDS = {
    "timm:test_vit.r160_in1k": Timm,
    "timm:test_resnet.r160_in1k": Timm,
    **{f"hf:tests/{kind}": Transformers for kind in TRANSFORMERS},
    "open_clip:tests/open-clip": OpenClip,
}


@pytest.fixture(scope="module", params=KINDS)
def pair(request, hub):
    """One of our models, and its publisher's."""
    with_torchvision()
    with pytest.MonkeyPatch.context() as patch:
        use_hub(patch, hub)
        theirs = KINDS[request.param](request.param.partition(":")[2], hub)
        return load_model(request.param), theirs


def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.sum(one * other, axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)


def their_vectors(theirs, images) -> np.ndarray:
    torch = import_module("torch")
    with torch.inference_mode():
        return np.concatenate([theirs.features(theirs.values(image)).numpy() for image in images])


@cache
def photographs() -> tuple[bytes, ...]:
    """Large JPEG files, which are decoded at less than their size."""
    files = [io.BytesIO() for _ in range(3)]
    for seed, file in enumerate(files):
        scene(seed, (1200, 901)).save(file, "JPEG", quality=90)
    return tuple(file.getvalue() for file in files)


@pytest.mark.parametrize("image", SCENES, ids=lambda image: f"{image.width}x{image.height}")
def test_the_network_sees_the_pixels_of_its_publisher(pair, image):
    model, theirs = pair
    values = theirs.values(image).numpy()[0].transpose(1, 2, 0)
    seen = (values * np.array(model.spec.std) + np.array(model.spec.mean)) * 255

    found = model.pixels(np.asarray(image))

    # DINOv3's resizes floats, Pillow rounds after each of two passes.
    most = 1 if "dinov3" in model.name else 0.001
    assert np.abs(found - seen).max() <= most


def test_of_the_same_decoded_pixels_its_vectors_are_its_publishers(pair):
    model, theirs = pair

    found = np.stack([model.embed(np.asarray(image)) for image in SCENES])

    assert cosines(found, their_vectors(theirs, SCENES)).min() >= 0.9999


def test_of_jpeg_files_its_vectors_are_nearly_its_publishers(pair):
    model, theirs = pair

    found = np.stack([model.embed(file) for file in photographs()])

    theirs = their_vectors(theirs, [Image.open(io.BytesIO(file)) for file in photographs()])
    assert cosines(found, theirs).min() >= 0.99


@pytest.fixture
def tagged(hub, tmp_path, monkeypatch):
    """A model that open_clip lists by NAME/TAG, trained with a faster GELU than its name says."""
    open_clip = import_module("open_clip")
    config = tmp_path / "tests-tiny.json"
    config.write_text(json.dumps(OPEN_CLIP["model_cfg"]))
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIG_PATHS", [tmp_path])
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIGS", {})
    open_clip.add_model_config(config)
    tag = {"url": "", "hf_hub": "tests/open-clip/", "mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)}
    tag |= {"interpolation": "bilinear", "resize_mode": "squash", "quick_gelu": True}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "tests-tiny", {"random": tag})
    yield "open_clip:tests-tiny/random"


def test_a_tag_of_open_clip_decides_the_preprocessing_and_the_activation(tagged):
    open_clip = import_module("open_clip")
    theirs = OpenClip("tests/open-clip", Path())
    theirs.model, _, theirs.transform = open_clip.create_model_and_transforms(
        "tests-tiny", pretrained="random", force_quick_gelu=True
    )
    theirs.model.eval()

    model = load_model(tagged)

    assert (model.spec.mean, model.spec.resize, model.spec.interpolation) == (
        (0.1, 0.2, 0.3),
        "squash",
        "bilinear",
    )
    found = np.stack([model.embed(np.asarray(image)) for image in SCENES])
    assert cosines(found, their_vectors(theirs, SCENES)).min() >= 0.9999


# What is remembered


def test_the_spec_has_the_name_the_revision_and_the_checksum_of_the_weights(hub):
    weights = next(hub.glob("models--timm--test_vit.r160_in1k/snapshots/*/model.safetensors"))

    spec = load_model("timm:test_vit").spec

    assert spec.to_fields() == {
        "name": "timm:test_vit.r160_in1k",
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "dim": 64,
        "size_px": 160,
        "crop": 0.95,
        "resize": "crop",
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "revision": REVISION,
    }


def test_a_collection_is_built_searched_and_continued_by_the_pinned_revision(hub, folder, target):
    built = lookalike.build(folder, target, model="timm:test_vit")
    query = folder / "sea" / "sea-002.png"
    refs = hub / "models--timm--test_vit.r160_in1k" / "refs" / "main"
    refs.write_text("f" * 40)  # the publisher has another version now
    try:
        again = lookalike.build(folder, target, model="timm:test_vit.r160_in1k")

        assert (built.report.embedded, again.report.embedded, again.report.unchanged) == (12, 0, 12)
        assert lookalike.open(target).search(query, k=1).ids == ["sea/sea-002.png"]
    finally:
        refs.write_text(REVISION)


def test_a_model_is_loaded_once_by_whichever_of_its_names():
    model = load_model("timm:test_vit")

    assert load_model("timm:test_vit.r160_in1k") is model
    assert load_model(f"timm:test_vit@{REVISION}") is model


def test_a_build_and_a_search_load_their_model_once(folder, target, monkeypatch):
    read = []
    monkeypatch.setattr(timm_model, "read", lambda *given, own=timm_model.read: read.append(0) or own(*given))
    for cached in (published.load_published, published._loaded):
        cached.cache_clear()

    lookalike.build(folder, target, model="timm:test_vit")
    lookalike.open(target).search(folder / "sea" / "sea-002.png", k=1)

    assert len(read) == 1


def test_a_head_finds_the_revision_that_it_sits_on(hub, tmp_path):
    base = load_model("timm:test_resnet")
    matrix = np.eye(base.dim, 5, dtype=np.float32)
    save_head(tmp_path / "head", "head", base.spec, [Layer(matrix, np.zeros(5, np.float32))])
    refs = hub / "models--timm--test_resnet.r160_in1k" / "refs" / "main"
    refs.write_text("f" * 40)
    registry.load_published.cache_clear()
    try:
        head = load_model(f"{tmp_path}/head/")

        pixels = np.asarray(SCENES[0])
        assert cosines(head.embed(pixels)[None], base.embed(pixels)[None, :5]).min() >= 0.9999
    finally:
        refs.write_text(REVISION)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("timm:test_vit@feedbeef", f"was built with the revision {REVISION}, not feedbeef"),
        (
            "timm:test_resnet",
            "was built with the model timm:test_vit.r160_in1k, not timm:test_resnet.r160_in1k",
        ),
    ],
)
def test_another_model_or_revision_is_refused(folder, target, model, said):
    lookalike.build(folder, target, model="timm:test_vit")

    with pytest.raises(ModelError, match=said):
        lookalike.build(folder, target, model=model)


def test_a_model_that_others_saved_by_timm_is_loaded_from_its_repository(tmp_path, monkeypatch):
    use_hub(monkeypatch, tmp_path)
    torch, timm = with_torchvision(), import_module("timm")
    torch.manual_seed(3)
    theirs = timm.create_model("test_vit", num_classes=7, pretrained_cfg_overlay={"crop_pct": 0.5}).eval()
    timm.models.save_for_hf(theirs, snapshot(tmp_path, "tests/own"))

    model = load_model("timm:tests/own")

    assert (model.name, model.spec.crop, model.dim) == ("timm:tests/own", 0.5, 64)
    pixels = model.pixels(np.asarray(SCENES[0]))
    values = (torch.from_numpy(pixels.copy()).permute(2, 0, 1) / 255 - 0.5) / 0.5
    expected = theirs.forward_head(theirs.forward_features(values[None]), pre_logits=True).detach().numpy()
    assert cosines(model.features(pixels[None]), expected).min() >= 0.9999


def test_weights_in_pieces_are_the_same_model(hub):
    transformers = import_module("transformers")
    whole = load_model("hf:tests/dinov2")
    folder = snapshot(hub, "tests/pieces")
    own = transformers.AutoModel.from_pretrained("tests/dinov2")
    own.save_pretrained(folder, max_shard_size="60KB")
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSING["dinov2"]))
    assert len(list(folder.glob("model-*.safetensors"))) > 1

    found = load_model("hf:tests/pieces")

    assert np.allclose(found.embed(np.asarray(SCENES[0])), whole.embed(np.asarray(SCENES[0])), atol=1e-6)
    assert found.sha256 != whole.sha256


# What cannot be used


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("timm:test_vi.r160_in1k", "timm:test_vit.r160_in1k"),
        ("timm:test_vit.r160", "timm:test_vit.r160_in1k"),
        ("open_clip:ViT-B-32/opena", "open_clip:ViT-B-32/openai"),
        ("open_clip:MobileCLIP-S1/datacomp", "open_clip:MobileCLIP-S1/datacompdr"),
    ],
)
def test_a_name_that_is_nearly_right_is_offered(name, near):
    with pytest.raises(ModelError) as caught:
        load_model(name)

    assert f"has no published weights called {name.partition(':')[2]!r}" in caught.value.message
    assert near in caught.value.hint


def test_a_wrong_tag_of_open_clip_is_told_with_the_tags_that_there_are():
    with pytest.raises(ModelError) as caught:
        load_model("open_clip:MobileCLIP-S1/datacomp")

    assert caught.value.hint == (
        "did you mean open_clip:MobileCLIP-S1/datacompdr? the tags of MobileCLIP-S1 are: datacompdr"
    )


def test_weights_of_another_network_are_refused_before_anything_is_written(hub, folder, target):
    source = hub / "models--timm--test_resnet.r160_in1k" / "snapshots" / REVISION / "model.safetensors"
    own = save_timm(hub, "test_convnext.r160_in1k") / "model.safetensors"
    own.write_bytes(source.read_bytes())

    with pytest.raises(
        ModelError, match=r"timm:test_convnext\.r160_in1k cannot be loaded: KeyError: 'fc.weight'"
    ):
        lookalike.build(folder, target, model="timm:test_convnext")

    assert not target.exists()


def test_weights_of_numbers_that_are_none_are_refused(hub):
    torch = import_module("torch")
    safetensors = import_module("safetensors.torch")
    path = save_timm(hub, "test_efficientnet.r160_in1k") / "model.safetensors"
    weights = safetensors.load_file(path)
    weights["conv_head.weight"].fill_(torch.nan)
    safetensors.save_file(weights, path)

    with pytest.raises(ModelError, match="gave NaN or infinity"):
        load_model("timm:test_efficientnet")


def test_weights_that_would_run_code_are_not_loaded(hub, tmp_path):
    class Evil:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    folder = save_timm(hub, "test_convnext2.r160_in1k")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": Evil()}))

    with pytest.raises(ModelError, match="cannot be loaded"):
        load_model("timm:test_convnext2")

    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"do_resize": False}, "takes pictures as they are"),
        ({"rescale_factor": 1}, "multiplies values by 1"),
        ({"size": {"height": 64, "width": 32}}, "not squares of one size"),
        ({"size": {"shortest_edge": 32}}, "cuts 56 px out of pictures of 32 px"),
        ({"resample": 9}, "does not say its 9"),
        ({"image_mean": "grey"}, "is invalid"),
        ({"image_mean": [0.5, 0.5]}, r"is invalid: mean is \[0.5, 0.5\], it has to be three numbers"),
        ({"image_std": [0, 0.5, 0.5]}, r"is invalid: std is .*, none of its numbers may be 0"),
    ],
)
def test_a_preprocessing_that_is_not_ours_is_refused(hub, tmp_path, monkeypatch, change, said):
    use_hub(monkeypatch, tmp_path)
    folder = save_transformers(tmp_path, "tests/other", "dinov2")
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **change}))

    with pytest.raises(ModelError, match=said):
        load_model("hf:tests/other")


def test_a_model_of_another_type_is_refused(tmp_path, monkeypatch):
    use_hub(monkeypatch, tmp_path)
    folder = save_transformers(tmp_path, "tests/bert", "dinov2")
    (folder / "config.json").write_text('{"model_type": "bert"}')

    with pytest.raises(
        ModelError, match="hf:tests/bert is a model of the type 'bert'; of transformers these run: clip"
    ):
        load_model("hf:tests/bert")


def test_words_are_refused_by_a_model_without_them(folder, target):
    collection = lookalike.build(folder, target, model="hf:tests/dinov2")

    with pytest.raises(QueryError, match="the word 'dog' is unknown"):
        collection.search(lookalike.Text("a dog"))
