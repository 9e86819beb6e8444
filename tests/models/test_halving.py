"""Batches that a device has no room for are halved."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.models.halving import FullDeviceError, Halving, is_out_of_memory


class Device:
    """Has room for `most` pictures, and gives the first number of each."""

    def __init__(self, most: int) -> None:
        self.most, self.sizes, self.freed = most, [], 0

    def run(self, pixels: np.ndarray) -> np.ndarray:
        self.sizes.append(len(pixels))
        if len(pixels) > self.most:
            raise FullDeviceError("net", "cuda", ": 0.1 GB of 8 are free")
        return pixels[:, 0, 0, :1].astype(np.float32)

    def free(self) -> None:
        self.freed += 1


def pixels(count: int) -> np.ndarray:
    return np.arange(count * 3, dtype=np.uint8).reshape(count, 1, 1, 3)


def test_a_batch_without_room_is_halved_and_later_ones_begin_with_what_fits() -> None:
    device = Device(most=3)
    halving = Halving(device.run, device.free)

    assert halving(pixels(10)).ravel().tolist() == [0, 3, 6, 9, 12, 15, 18, 21, 24, 27]
    assert device.sizes == [10, 5, 3, 3, 3, 1]
    assert device.freed == 2
    device.sizes.clear()
    halving(pixels(7))
    assert device.sizes == [3, 3, 1]


def test_without_room_for_one_picture_it_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(FullDeviceError) as caught:
        Halving(Device(most=0).run)(pixels(4))
    assert str(caught.value) == (
        "net does not fit into the memory of cuda: 0.1 GB of 8 are free; "
        "stop what else uses it, or run on another `device`"
    )


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("CUDA out of memory. Tried to allocate 2 GiB.", True),
        ("CUDNN failure 4: CUDNN_STATUS_ALLOC_FAILED", True),
        ("GET was unable to find an engine to execute this computation", True),
        ("bfc_arena.cc: Failed to allocate memory for requested buffer of size 9", True),
        ("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes", True),
        ("CUDA error: an illegal memory access was encountered", False),
        ("mat1 and mat2 shapes cannot be multiplied", False),
    ],
)
def test_what_libraries_say_of_full_memory_is_told_from_other_errors(said: str, expected: bool) -> None:
    assert is_out_of_memory(RuntimeError(said)) is expected
