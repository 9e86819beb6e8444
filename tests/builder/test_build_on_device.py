"""A build with a GPU: PyTorch and the tensors of the CPU stand for it, and the code is the same."""

from __future__ import annotations

from typing import Any

import pytest
import simplejpeg
from conftest import build

from lookalike.builder import part
from lookalike.models import efficientnet, looking
from lookalike.storage.parts import list_parts

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.reference


def decode(files: list[Any]) -> list[Any]:
    return [torch.from_numpy(simplejpeg.decode_jpeg(one.numpy().tobytes())).permute(2, 0, 1) for one in files]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load the built-in model for PyTorch, and decode whole."""
    start = efficientnet.start
    monkeypatch.setattr(efficientnet, "CPU", "a GPU")
    monkeypatch.setattr(efficientnet, "start", lambda data, device: start(data, "cpu"))
    on_torch = efficientnet.load("cpu")
    monkeypatch.setattr("lookalike.builder.order.pinned_model", lambda *_: on_torch)
    from lookalike.images.on_device import Decoder

    for module in (part, looking):
        monkeypatch.setattr(module, "decoder_of", lambda _: Decoder(decode))


def test_its_rows_are_those_of_the_cpu_and_its_vectors_are_near(folder, target, tmp_path, gpu, monkeypatch):
    theirs, _ = build(folder, target, model="efficientnet-lite0")
    monkeypatch.undo()
    ours, _ = build(folder, tmp_path / "cpu.lookalike", model="efficientnet-lite0")

    columns = ["id", "uri", "sha256", "width", "height", "size_bytes"]
    (one,), (other,) = (list_parts(collection.path) for collection in (theirs, ours))
    assert one.items(columns).to_pylist() == other.items(columns).to_pylist()
    assert (theirs.embeddings() * ours.embeddings()).sum(axis=1).min() > 0.99
    assert list(theirs.verify()) == []
    assert one.made_by() == {"device": "cpu", "decoder": "nvjpeg"}
    assert other.made_by() == {"device": "cpu", "decoder": "libjpeg-turbo"}


def test_files_that_are_no_pictures_become_failures(folder, target, gpu):
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    (folder / "notes.png").write_text("not a picture")

    collection, report = build(folder, target, model="efficientnet-lite0")

    assert report.failed == 2
    assert collection.failures()["id"].to_pylist() == ["broken.jpg", "notes.png"]
