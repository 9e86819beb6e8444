"""Runs a network in PyTorch on pixels: on the CPU, on an NVIDIA GPU or on Apple's."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext, suppress
from threading import Semaphore
from typing import Any, get_args

import numpy as np

from lookalike.errors import ExtraError, ModelError, one_line
from lookalike.images.picture import Pixels
from lookalike.models.devices import AUTO, CPU, CUDA, MPS, ONNX_ONLY, accelerators
from lookalike.models.halving import FullDeviceError, Halving, is_out_of_memory
from lookalike.models.runner import Floats, batch_size
from lookalike.models.spec import ModelSpec, Precision

Tensor = Any  # PyTorch's, which is imported where it is used

_GREY = 128


class TorchFeatures:
    """The features of pixels uint8 (B, S, S, 3) by a network in PyTorch: float32 (B, D), not of unit length.

    The network is moved to `device` and tried there. It takes float32 (B, 3, S, S), with the channel order,
    mean and deviation of the spec, from 0 to 255 if it has none, and gives (B, D). `precision` is that of its
    products: `float16`, `bfloat16`, or empty for the network's own. Pixels are an array, or a tensor that is
    already on the device. A batch that does not fit into memory is halved, and so are later ones. Safe to
    call from several threads.
    Raises `ModelError` if the device is missing, broken or full, and for an output other than finite (B, D).
    """

    def __init__(self, module: Any, spec: ModelSpec, device: str = "cpu", precision: str = "") -> None:
        if precision not in get_args(Precision):
            raise ModelError(f"unknown precision {precision!r}", "known are: float16, bfloat16")
        self._torch = import_torch()
        check_torch_device(device)
        self._spec, self._precision, self.device = spec, precision, device
        self._halving = Halving(self._tried, self._free)
        self._network: Any = self._from_pixels
        # On the CPU calls run side by side. A GPU runs one after the other: while one is waited for, the next
        # is sent, and more would only take memory there.
        self._turns = Semaphore(sys.maxsize if device == CPU else 2)
        try:
            self._module = module.eval().to(device)
            self._mean, self._std = (self._channels(numbers) for numbers in (spec.mean, spec.std))
            if device.startswith(CUDA):
                from lookalike.models.cuda_graph import CudaGraphs

                self._network = CudaGraphs(self._from_pixels, device)
        except RuntimeError as error:
            raise self._failed(error) from error
        # On CUDA as many as a build sends: each size of batch takes seconds to plan.
        count = batch_size(device) if device.startswith(CUDA) else 2
        self(np.full((count, spec.size_px, spec.size_px, 3), _GREY, np.uint8))

    def __call__(self, pixels: Pixels | Tensor) -> Floats:
        return self._checked(self._halving(pixels), len(pixels))

    def _tried(self, pixels: Pixels | Tensor) -> Floats:
        try:
            with self._turns:
                return self._run(pixels)
        except Exception as error:  # whatever a network of others raises
            raise self._failed(error) from error

    def _run(self, pixels: Pixels | Tensor) -> Floats:
        torch = self._torch
        with torch.inference_mode():
            # PyTorch warns of arrays that are read-only, as pictures are.
            is_array = isinstance(pixels, np.ndarray)
            given: Any = torch.from_numpy(np.require(pixels, requirements="W")) if is_array else pixels
            found: Floats = self._network(given).cpu().numpy()
            return found

    def _from_pixels(self, pixels: Tensor) -> Tensor:
        """The features of pixels uint8 (B, S, S, 3), as float32 (B, D) on the device."""
        given = pixels.to(self.device).permute(0, 3, 1, 2)  # the strides that convolutions like best
        if self._spec.channels == "BGR":
            given = given.flip(1)
        given = given.float()
        if self._mean is not None and self._std is not None:
            given = given.div_(255).sub_(self._mean).div_(self._std)  # in the order of torchvision
        with self._autocast():
            return self._module(given).float()

    def _autocast(self) -> AbstractContextManager[Any]:
        if not self._precision:
            return nullcontext()
        kind = self.device.partition(":")[0]
        casting: AbstractContextManager[Any] = self._torch.autocast(
            kind, dtype=getattr(self._torch, self._precision)
        )
        return casting

    def _channels(self, numbers: tuple[float, ...]) -> Tensor | None:
        """Three numbers as (1, 3, 1, 1) on the device."""
        torch = self._torch
        return (
            torch.tensor(numbers, dtype=torch.float32, device=self.device).view(1, 3, 1, 1)
            if numbers
            else None
        )

    def _free(self) -> None:
        """Give back the memory that PyTorch keeps for later."""
        if self.device.startswith(CUDA):
            self._network.forget()
        elif self.device == MPS:
            self._torch.mps.empty_cache()

    def _checked(self, found: Floats, count: int) -> Floats:
        dim = self._spec.dim
        if found.ndim != 2 or len(found) != count or (dim and found.shape[1] != dim):
            raise ModelError(f"{self._spec.name} gave {found.shape}, not ({count}, {dim or 'dimensions'})")
        if not np.isfinite(found).all():
            raise ModelError(
                f"{self._spec.name} gave NaN or infinity on {self.device}",
                "another precision may help" if self._precision else "",
            )
        return found

    def _failed(self, error: Exception) -> ModelError:
        if is_out_of_memory(error):
            return FullDeviceError(self._spec.name, self.device, _room(self._torch, self.device))
        return ModelError(f"{self._spec.name} fails on {self.device}: {one_line(error)}")


def import_torch() -> Any:
    """The package torch; raises `ExtraError` without it, and `ModelError` if it does not start."""
    try:
        import torch
    except ImportError as error:
        raise ExtraError(f"this needs PyTorch ({one_line(error)})", "torch") from None
    except OSError as error:  # a library of the system that it was made for is missing, or is another one
        raise ModelError(f"PyTorch does not start: {one_line(error)}", "install it again") from None
    return torch


def check_torch_device(device: str) -> None:
    """Raise `ModelError` if PyTorch cannot compute on a device: `cpu`, `cuda`, `cuda:1` or `mps`."""
    if device in ONNX_ONLY:
        raise ModelError(f"PyTorch does not run on {device}", "this device is for models in ONNX files alone")
    torch = import_torch()
    try:
        torch.ones(2, device=device).sum().item()
    except (RuntimeError, AssertionError) as error:  # PyTorch for CPUs alone asserts
        if is_out_of_memory(error):
            raise FullDeviceError("PyTorch", device, _room(torch, device)) from None
        raise ModelError(
            f"PyTorch {torch.__version__} cannot compute on {device}: {_first_sentence(error)}",
            "check its driver and that this PyTorch is made for it, or run on the `device='cpu'`",
        ) from None


def torch_device(wish: str) -> str:
    """The device wished for; with `auto`, the first on which PyTorch can compute, and at last the CPU.

    Raises `ModelError` as `check_torch_device`.
    """
    if wish != AUTO:
        check_torch_device(wish)
        return wish
    for device in accelerators():
        with suppress(ModelError):
            check_torch_device(device)
            return device
    return CPU


def _room(torch: Any, device: str) -> str:
    """How much of a GPU's memory is free, as the end of a sentence; empty if that cannot be asked."""
    if not device.startswith(CUDA):
        return ""
    try:
        free, total = torch.cuda.mem_get_info(device)
    except RuntimeError:
        return ""
    return f": {free / 1e9:.1f} GB of {total / 1e9:.0f} are free"


def _first_sentence(error: BaseException) -> str:
    said = str(error).strip().splitlines()
    return said[0].partition(". ")[0] if said else type(error).__name__
