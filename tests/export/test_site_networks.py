"""A site whose model is a network in an ONNX file: what it has, what is refused, a visitor's picture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import build
from networks import MEAN, STD, write_network
from pages import Page, expect
from site_browser import serving, tab
from towers import write_model_of_classes, write_numbered

import lookalike
from lookalike.errors import ModelError
from lookalike.export import export_site, network
from lookalike.export.npm import ONNXRUNTIME, package_files


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """The names of onnxruntime-web's files, as `npm pack` would bring them."""
    folder = tmp_path / "dist"
    folder.mkdir()
    for name in ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"):
        (folder / name).write_text(name)
    return folder


def built(folder: Path, target: Path, tmp_path: Path, **options: object) -> lookalike.Collection:
    """A collection of a network that is written with these options."""
    net = write_network(tmp_path / "net.onnx", **options)  # type: ignore[arg-type]
    normal = {} if options.get("dtype") == "uint8" else {"mean": MEAN, "std": STD}
    lookalike.add_model(net, name="my-net", out=tmp_path / "model", crop=0.9, **normal)  # type: ignore[arg-type]
    return build(folder, target, model=str(tmp_path / "model"), label="folder")[0]


def entry(site: Path) -> dict[str, object]:
    return json.loads((site / "collections.json").read_bytes())["collections"][0]


def test_the_site_says_all_that_a_browser_needs_to_run_it(folder, target, tmp_path, runtime):
    collection = built(folder, target, tmp_path, batch=2, outputs=("given",))

    site = export_site(collection.snapshot, tmp_path / "site", with_model=True, onnxruntime_web=runtime)

    said = entry(site)["network"]
    assert (said["file"], said["size_px"], said["crop"]) == ("model/image.onnx", 32, 0.9)
    assert (said["resize"], said["interpolation"], said["offset"]) == ("crop", "bicubic", "round")
    assert (said["mean"], said["std"], said["channels"], said["output"]) == ([*MEAN], [*STD], "RGB", "given")
    assert said["input"] == {"name": "pixels", "type": "float32", "channels_first": True, "batch": 2}
    assert (site / "model" / "image.onnx").read_bytes() == (tmp_path / "model" / "image.onnx").read_bytes()
    assert "efficientnet" not in (site / "model" / "NOTICE.txt").read_text()


def test_a_model_of_floats_of_16_bits_is_refused(folder, target, tmp_path, runtime):
    collection = built(folder, target, tmp_path, dtype="float16")

    with pytest.raises(ModelError, match=r"takes float16 and gives tensor\(float16\), a browser needs"):
        export_site(collection.snapshot, tmp_path / "site", with_model=True, onnxruntime_web=runtime)
    assert not (tmp_path / "site").exists()


def test_a_model_that_is_too_large_for_a_browser_is_refused(folder, target, tmp_path, runtime, monkeypatch):
    collection = built(folder, target, tmp_path)
    monkeypatch.setattr(network, "MOST_BYTES", 500)

    with pytest.raises(
        ModelError, match="MB, the limit for a browser is 0 MB; export it in 8 bits, or leave"
    ):
        export_site(collection.snapshot, tmp_path / "site", with_model=True, onnxruntime_web=runtime)


def test_a_model_with_its_weights_in_other_files_is_refused(folder, target, tmp_path, runtime):
    write_network(tmp_path / "net.onnx")
    onnx.save_model(
        onnx.load(tmp_path / "net.onnx"),
        tmp_path / "net.onnx",
        save_as_external_data=True,
        location="weights",
        size_threshold=0,
    )
    lookalike.add_model(tmp_path / "net.onnx", name="my-net", out=tmp_path / "model")
    collection, _ = build(folder, target, model=str(tmp_path / "model"))

    with pytest.raises(ModelError, match="has its weights in other files, which no browser can read"):
        export_site(collection.snapshot, tmp_path / "site", with_model=True, onnxruntime_web=runtime)


# In Chromium


EMBED = """async (bytes) => {
  const { default: host } = await import("./web/host.js");
  const [{ name }] = await host.collections();
  return (await host.embed(name, { image: new Blob([Uint8Array.from(bytes)]) })).vector_int8;
}"""


@pytest.mark.parametrize(
    "options",
    [
        {"layout": "NCHW"},
        {"layout": "NHWC", "batch": 3, "gives": "vector"},
        {"dtype": "uint8", "layout": "NHWC"},
    ],
    ids=["floats", "a fixed batch of another layout", "whole numbers"],
)
def test_a_visitors_picture_gets_pythons_vector(window, folder, target, tmp_path, options):
    try:
        package_files(ONNXRUNTIME)
    except ModelError as error:
        pytest.skip(str(error))
    collection = built(folder, target, tmp_path, **options)
    site = export_site(collection.snapshot, tmp_path / "site", with_model=True)
    picture = (folder / "sea" / "sea-002.png").read_bytes()

    with serving(site) as server, tab(window, server.url) as page:
        page.get_by_text("12 pictures").wait_for()
        text = page.evaluate(EMBED, list(picture))
        found = decoded(text)
        page.set_input_files("#file", folder / "sea" / "sea-002.png")
        expect(page.locator(".tile .score").first).to_be_visible(timeout=40_000)

    assert found @ collection.model.embed([picture])[0] > 0.999


def test_the_page_says_that_words_need_a_server(window, target, tmp_path):
    numbered = write_numbered(tmp_path / "numbered", 12)
    collection, _ = build(numbered, target, model=str(write_model_of_classes(tmp_path / "classes")))
    site = export_site(collection.snapshot, tmp_path / "site")

    with serving(site) as server, tab(window, server.url) as page:
        assert_says(page, "words need a server (lookalike serve)")
        assert page.locator("#words").is_hidden()
        page.goto(f"{server.url}#q=text:sea")
        assert_says(page, "You cannot search by words here. Words need a server: lookalike serve.")
        assert page.get_by_text("The model does not know").count() == 0


def assert_says(page: Page, text: str) -> None:
    expect(page.get_by_text(text)).to_be_visible()


def decoded(text: str) -> np.ndarray:
    """The unit vector that `toInt8Text` wrote."""
    import base64

    padded = text + "=" * (-len(text) % 4)
    values = np.frombuffer(base64.b64decode(padded, b"-_"), np.int8).astype(np.float64)
    return values / np.linalg.norm(values)
