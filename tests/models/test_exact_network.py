"""The built-in network in PyTorch gives the vectors of its ONNX file, from numbers that are exact in TF32."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import numpy as np
import pytest

from lookalike.demo.flowers import write_flowers
from lookalike.errors import ModelError
from lookalike.models import efficientnet
from lookalike.models.model import LoadedModel
from lookalike.models.registry import load_model

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.reference

# The last 13 of float32's 23 bits of mantissa, which TF32 lacks.
_LOST_IN_TF32 = 0x1FFF


@pytest.fixture(scope="module")
def pixels(tmp_path_factory) -> np.ndarray:
    """Drawn flowers, noise and stripes: uint8 (10, 224, 224, 3)."""
    folder = tmp_path_factory.mktemp("flowers")
    write_flowers(folder, count=8)
    model = load_model()
    drawn = [model.pixels(path) for path in sorted(folder.rglob("*.jpg"))[:8]]
    noise = np.random.default_rng(1).integers(0, 256, (224, 224, 3), np.uint8)
    stripes = np.broadcast_to(np.arange(224, dtype=np.uint8)[:, None, None] // 8 % 2 * 255, (224, 224, 3))
    return np.stack([*drawn, noise, stripes])


@pytest.fixture(scope="module")
def network() -> Any:
    from lookalike.models.exact_network import exact_network

    return exact_network((files("lookalike.models") / "efficientnet_lite0.onnx").read_bytes()).eval()


def planes(pixels: np.ndarray) -> Any:
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float()


def test_its_features_are_those_of_onnxruntime(network: Any, pixels: np.ndarray) -> None:
    with torch.inference_mode():
        found = network(planes(pixels)).numpy()
    np.testing.assert_allclose(found, load_model().features(pixels), rtol=0, atol=1e-6)


def test_every_weight_and_every_activation_is_exact_in_tf32(network: Any, pixels: np.ndarray) -> None:
    seen = []

    def look(module: Any, given: Any) -> None:
        seen.extend([given[0].contiguous().numpy(), module.weight.contiguous().numpy()])

    convolutions = [step for step in network.steps if hasattr(step, "weight")]
    hooks = [step.register_forward_pre_hook(look) for step in convolutions]
    with torch.inference_mode():
        network(planes(pixels[:2]))
    for hook in hooks:
        hook.remove()
    assert len(seen) == 2 * 49
    assert not any((one.view(np.uint32) & _LOST_IN_TF32).any() for one in seen)


def test_without_the_rounding_kernel_it_rounds_alike(network: Any) -> None:
    step = next(step for step in network.steps if type(step).__name__ == "_Round")
    given = torch.randn(10_000) * 3
    plain = given.div(step._scale).round_().clamp_(step._low, step._high).mul_(step._scale)
    assert torch.equal(step(given), plain)


@pytest.fixture
def torch_on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the CPU for a GPU: PyTorch runs there."""
    monkeypatch.setattr(efficientnet, "CPU", "a GPU")
    monkeypatch.setattr(efficientnet, "start", lambda data, device: start(data, "cpu"))


start = efficientnet.start


def test_loaded_for_a_gpu_it_is_the_same_model(torch_on_cpu: None, pixels: np.ndarray) -> None:
    loaded: LoadedModel = efficientnet.load("cpu")
    assert loaded.spec == load_model().spec
    assert loaded.device == "cpu"
    np.testing.assert_allclose(loaded.embed_pixels(pixels), load_model().embed_pixels(pixels), atol=1e-6)


def test_a_device_that_computes_otherwise_is_refused(torch_on_cpu: None, monkeypatch) -> None:
    from lookalike.models import exact_network

    built = exact_network.exact_network

    def broken(data: bytes) -> Any:
        network = built(data)
        next(step for step in network.steps if hasattr(step, "weight")).weight.mul_(1.02)
        return network

    monkeypatch.setattr(exact_network, "exact_network", broken)
    with pytest.raises(ModelError, match="cpu computes other vectors than the CPU: they differ by up to"):
        efficientnet.load("cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_that_is_not_there_is_an_error_that_says_so() -> None:
    with pytest.raises(ModelError, match=r"cannot compute on cuda: .*; check its driver"):
        load_model(device="cuda")
