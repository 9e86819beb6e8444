"""Networks in PyTorch, on the CPU: the code that runs them on a GPU is the same."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from lookalike.errors import ModelError
from lookalike.models.spec import ModelSpec
from lookalike.models.torch_runner import TorchFeatures, check_torch_device

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.reference


def spec(**fields: Any) -> ModelSpec:
    return ModelSpec(**{"name": "net", "sha256": "0" * 64, "dim": 3, "size_px": 4, "crop": 1.0, **fields})


class Means(torch.nn.Module):
    """The mean of each channel; `forward` may be told to fail."""

    def __init__(self, most: int = 1000) -> None:
        super().__init__()
        self.most, self.sizes = most, []

    def forward(self, given: Any) -> Any:
        self.sizes.append(len(given))
        if len(given) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")
        return given.mean((2, 3))


def pixels(count: int = 5) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 4, 4, 3), np.uint8)


def test_without_a_mean_a_network_gets_values_from_0_to_255() -> None:
    found = TorchFeatures(Means(), spec())(pixels())
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, pixels().mean((1, 2)), rtol=1e-6)


def test_mean_deviation_and_the_order_of_channels_are_those_of_the_spec() -> None:
    found = TorchFeatures(Means(), spec(mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0), channels="BGR"))(pixels())
    expected = (pixels()[..., ::-1].mean((1, 2)) / 255 - (0.1, 0.2, 0.3)) / (0.5, 1.0, 2.0)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_pixels_that_are_on_the_device_already_are_taken_as_they_are() -> None:
    features = TorchFeatures(Means(), spec())
    assert features(torch.from_numpy(pixels())).tolist() == features(pixels()).tolist()


def test_a_batch_that_does_not_fit_is_halved_and_later_ones_begin_with_what_fits() -> None:
    module = Means(most=3)
    features = TorchFeatures(module, spec())
    module.sizes.clear()

    found = features(pixels(10))

    assert module.sizes == [10, 5, 3, 3, 3, 1]
    np.testing.assert_allclose(found, pixels(10).mean((1, 2)), rtol=1e-6)
    module.sizes.clear()
    features(pixels(7))
    assert module.sizes == [3, 3, 1]


def test_a_device_without_room_for_one_picture_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(ModelError, match="net does not fit into the memory of cpu; stop what else uses it"):
        TorchFeatures(Means(most=0), spec())


@pytest.mark.parametrize(
    ("precision", "dtype"), [("float16", "torch.float16"), ("bfloat16", "torch.bfloat16")]
)
def test_products_have_the_precision_asked_for_and_the_result_is_float32(precision: str, dtype: str) -> None:
    kinds = []

    class Product(torch.nn.Module):
        def forward(self, given: Any) -> Any:
            found = given.mean((2, 3)) @ torch.eye(3)
            kinds.append(str(found.dtype))
            return found

    found = TorchFeatures(Product(), spec(), precision=precision)(pixels())
    assert set(kinds) == {dtype}
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, pixels().mean((1, 2)), rtol=0.01)


def test_an_unknown_precision_is_an_error() -> None:
    with pytest.raises(ModelError, match="unknown precision 'int4'; known are: float16, bfloat16"):
        TorchFeatures(Means(), spec(), precision="int4")


def test_threads_share_a_network() -> None:
    features = TorchFeatures(Means(), spec())
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(features, [pixels()] * 40))
    assert all(one.tolist() == found[0].tolist() for one in found)


def test_on_the_cpu_calls_run_side_by_side() -> None:
    together = threading.Barrier(4, timeout=10)

    class Meeting(torch.nn.Module):
        def forward(self, given: Any) -> Any:
            if len(given) == 4:
                together.wait()
            return given.mean((2, 3))

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(TorchFeatures(Meeting(), spec()), [pixels(4)] * 4))
    assert len(found) == 4


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (lambda given: given, r"net gave \(2, 3, 4, 4\), not \(2, 3\)"),
        (lambda given: given.mean((2, 3))[:, :2], r"net gave \(2, 2\), not \(2, 3\)"),
        (lambda given: given.mean((2, 3)) * torch.nan, "net gave NaN or infinity on cpu"),
        (lambda given: given @ torch.ones(7, 7), "net fails on cpu: Expected size for first two"),
    ],
)
def test_a_network_that_gives_something_else_is_refused_at_once(forward: Any, message: str) -> None:
    module = torch.nn.Identity()
    module.forward = forward
    with pytest.raises(ModelError, match=message):
        TorchFeatures(module, spec())


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_a_device_that_is_not_there_is_an_error_that_names_it() -> None:
    with pytest.raises(ModelError, match=r"cannot compute on cuda:3: .*; check its driver"):
        check_torch_device("cuda:3")
