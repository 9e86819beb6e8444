"""Which device a model runs on."""

from __future__ import annotations

import pytest

from lookalike.errors import ModelError
from lookalike.models import devices
from lookalike.models.devices import accelerators, check_device, on_device
from lookalike.models.model import LoadedModel
from lookalike.models.registry import load_model


def working_on(*names: str):
    def make(device: str) -> LoadedModel:
        if device not in names:
            raise ModelError(f"{device} is full")
        spec = load_model("pixels").spec
        return LoadedModel(spec, load_model("pixels").features, device)

    return make


@pytest.fixture
def with_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "accelerators", lambda: ("cuda",))


@pytest.mark.parametrize("device", ["auto", "cpu", "mps", "cuda", "cuda:0", "cuda:12"])
def test_a_known_device_is_no_error(device: str) -> None:
    check_device(device)


@pytest.mark.parametrize("device", ["gpu", "CPU", "", "cuda:", "cuda:x", "cuda:0:1", "cpu:0", None])
def test_an_unknown_device_is_an_error_that_names_the_known_ones(device: str) -> None:
    with pytest.raises(ModelError) as caught:
        check_device(device)
    assert str(caught.value) == (
        f"unknown device {device!r}; known are: auto, cpu, cuda, cuda:1, mps, coreml, directml, openvino"
    )


def test_auto_is_the_fastest_device_that_works(with_a_gpu: None) -> None:
    model = on_device("auto", working_on("cpu", "cuda"))
    assert (model.device, model.device_note) == ("cuda", "")


def test_auto_is_the_cpu_where_the_gpu_does_not_work_and_says_why(with_a_gpu: None) -> None:
    model = on_device("auto", working_on("cpu"))
    assert (model.device, model.device_note) == ("cpu", "cuda is full")


def test_a_device_asked_for_that_does_not_work_is_an_error(with_a_gpu: None) -> None:
    with pytest.raises(ModelError, match="cuda:1 is full"):
        on_device("cuda:1", working_on("cpu", "cuda"))


def test_the_cpu_asked_for_is_the_cpu(with_a_gpu: None) -> None:
    assert on_device("cpu", working_on("cpu", "cuda")).device == "cpu"


def test_a_gpu_that_the_environment_hides_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    accelerators.cache_clear()
    assert "cuda" not in accelerators()
    accelerators.cache_clear()


@pytest.mark.parametrize("name", ["pixels", "colors"])
def test_a_model_without_a_network_runs_on_the_cpu_and_says_so_if_a_gpu_was_asked_for(name: str) -> None:
    asked, auto = load_model(name, device="cuda:1"), load_model(name, device="auto")
    assert (asked.device, asked.device_note) == ("cpu", "it has no network that could run on cuda:1")
    assert (auto.device, auto.device_note) == ("cpu", "")
