"""Where a model runs: `cpu`, a GPU of NVIDIA (`cuda`, `cuda:1`) or Apple (`mps`), or `auto`, the fastest."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from importlib.util import find_spec

from lookalike.errors import LookalikeError, ModelError
from lookalike.models.model import LoadedModel

AUTO, CPU, MPS, CUDA = "auto", "cpu", "mps", "cuda"

# Devices of onnxruntime alone, for models in ONNX files.
ONNX_ONLY = ("coreml", "directml", "openvino")

_KNOWN = re.compile(rf"auto|cpu|mps|cuda(:\d{{1,3}})?|{'|'.join(ONNX_ONLY)}")
_NVML = {"linux": "libnvidia-ml.so.1", "win32": "nvml.dll"}


def check_device(device: str) -> None:
    """Raise `ModelError` for a device with another name than those that are known."""
    if not isinstance(device, str) or not _KNOWN.fullmatch(device):
        known = ("auto", "cpu", "cuda", "cuda:1", "mps", *ONNX_ONLY)
        raise ModelError(f"unknown device {device!r}", f"known are: {', '.join(known)}")


def on_device(wish: str, make: Callable[[str], LoadedModel]) -> LoadedModel:
    """Make a model on the device wished for; with `auto`, on the first that works, and at last on the CPU.

    `make` is called with `cpu`, `mps`, `cuda` or `cuda:1`, and raises a `LookalikeError` where the model
    cannot run there. If `auto` had to leave a device, the `device_note` of the model says why.
    """
    if wish != AUTO:
        return make(wish)
    refused = ""
    for device in accelerators():
        try:
            return make(device)
        except LookalikeError as error:
            refused = str(error)
    model = make(CPU)
    return replace(model, device_note=refused) if refused else model


@lru_cache(maxsize=1)
def accelerators() -> tuple[str, ...]:
    """The devices beside the CPU that this machine seems to have, the fastest first.

    Only drivers are asked: importing PyTorch takes longer than a small build. None of them is touched,
    because a process that has used CUDA can no longer fork others that do.
    """
    if sys.platform == "darwin":
        return (MPS,) if platform.machine() == "arm64" and find_spec("torch") else ()
    return (CUDA,) if _nvidia_gpus() else ()


def _nvidia_gpus() -> int:
    """The number of NVIDIA GPUs, 0 without a driver or if the environment hides them."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"):
        return 0
    count = ctypes.c_uint(0)
    try:
        driver = ctypes.CDLL(_NVML.get(sys.platform, ""))
        failed = driver.nvmlInit_v2() or driver.nvmlDeviceGetCount_v2(ctypes.byref(count))  # 0 is success
    except (OSError, AttributeError):
        return 0
    return 0 if failed else count.value
