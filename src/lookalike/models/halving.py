"""Batches that do not fit into the memory of a device."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from lookalike.errors import ModelError
from lookalike.models.runner import Floats

# Only PyTorch on CUDA has a type for it. The CPU's allocator, Apple's, cuDNN and onnxruntime say it in words.
_WORDS = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "alloc_failed",
    "failed to allocate memory",
    "unable to find an engine",  # cuDNN, if each of its ways needs more memory than there is
)


class FullDeviceError(ModelError):
    """What a model needs does not fit into the memory of its device."""

    def __init__(self, what: str, device: str, room: str = "") -> None:
        super().__init__(
            f"{what} does not fit into the memory of {device}{room}",
            "stop what else uses it, or run on another `device`",
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a library failed because a device, or this machine, has no memory left."""
    said = str(error).lower()
    return type(error).__name__ == "OutOfMemoryError" or any(words in said for words in _WORDS)


class Halving:
    """Runs `run`, from pixels (B, S, S, 3) to float32 (B, D), on batches that fit into the device's memory.

    One for which `run` raises `FullDeviceError` is halved, as is what comes after; `free` is called before.
    Safe to call from several threads. Raises that error if there is no room for a single picture.
    """

    def __init__(self, run: Callable[[Any], Floats], free: Callable[[], None] = lambda: None) -> None:
        self._run, self._free = run, free
        self._most = sys.maxsize  # pictures in one call

    def __call__(self, pixels: Any) -> Floats:
        found: list[Floats] = []
        done = 0
        while done < len(pixels):
            some = pixels[done : done + min(self._most, len(pixels))]
            try:
                found.append(self._run(some))
                done += len(some)
                continue
            except FullDeviceError:
                if len(some) == 1:
                    raise
            self._free()  # here, where the error no longer holds the tensors of the attempt
            self._most = min(self._most, (len(some) + 1) // 2)
        return np.concatenate(found)
