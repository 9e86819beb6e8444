"""Decodes JPEGs on a GPU and resizes them there, so that files go to the card as they are."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from queue import SimpleQueue
from typing import Any

import numpy as np
import torch

from lookalike.images.fit import Cut, Interpolation
from lookalike.images.jpeg import encode_jpeg
from lookalike.images.orientation import flips
from lookalike.images.picture import Pixels
from lookalike.images.resampling import weights

Tensor = Any  # torch.Tensor
Decode = Callable[[list[Tensor]], list[Tensor]]

# Decoded at a time, 0.8 GB; and resized at a time, 0.8 GB as floats.
_MOST_PIXELS, _MOST_RESIZED = 256_000_000, 64_000_000

# Batches that are decoded and resized at a time: while one waits for the device, the next is sent.
_TURNS = 2


class Decoder:
    """Decodes JPEGs on a device, where all that is done with their pixels has to be in a turn.

    `decode` takes bytes as tensors uint8 (N,) and gives RGB pixels uint8 (3, H, W) on the device.
    """

    def __init__(self, decode: Decode, device: str = "cpu") -> None:
        self.decode = decode
        self._streams: SimpleQueue[Any] = SimpleQueue()
        for _ in range(_TURNS):
            self._streams.put(torch.cuda.Stream(device) if device.startswith("cuda") else None)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Work on the device beside the network; at the end it is done. Waits while others have their turn.

        torchvision decodes into memory that is free as the stream of this thread sees it, without waiting
        for work that was queued there and may still read or write it. So each turn has a stream, and memory,
        of its own, and nothing is queued there when the next begins. What was decoded in a turn must not be
        let go before its end.
        """
        stream = self._streams.get()
        try:
            if stream is None:
                yield
                return
            try:
                with torch.cuda.stream(stream):
                    yield
            finally:
                end_of(stream).synchronize()
        finally:
            self._streams.put(stream)


def end_of(stream: Any) -> Any:
    """The event at the end of what was sent to a stream of CUDA.

    Its `synchronize` waits asleep: PyTorch's other ways of waiting keep a core busy.
    """
    end = torch.cuda.Event(blocking=True)
    end.record(stream)
    return end


@lru_cache(maxsize=4)
def gpu_decoder(device: str) -> Decoder | None:
    """What decodes JPEGs on a GPU by torchvision; None if this torchvision or device has nothing for it."""
    if not device.startswith("cuda"):
        return None
    try:
        from torchvision.io import ImageReadMode, decode_jpeg

        def decode(files: list[Tensor]) -> list[Tensor]:
            found: list[Tensor] = decode_jpeg(files, mode=ImageReadMode.RGB, device=device)
            return found

        decode([as_tensor(encode_jpeg(np.zeros((16, 16, 3), np.uint8), 90))])
        return Decoder(decode, device)
    except Exception:  # not installed, without nvJPEG, or made for another PyTorch
        return None


def decode_all(
    files: Sequence[Tensor], sizes: Sequence[tuple[int, int]], decode: Decode
) -> list[Tensor | None]:
    """Decode JPEGs, each uint8 (N,), on a GPU to RGB uint8 (3, H, W); None for one that fails.

    `sizes` are the widths and heights that they have to have. A call that fails is split until the one that
    caused it stands alone.
    """
    found: list[Tensor | None] = []
    first = pixels = 0
    for at, (width, height) in enumerate(sizes):
        if pixels and pixels + width * height > _MOST_PIXELS:
            found += _decoded(files[first:at], decode)
            first, pixels = at, 0
        pixels += width * height
    found += _decoded(files[first:], decode)
    return [
        one if one is not None and tuple(one.shape) == (3, height, width) else None
        for one, (width, height) in zip(found, sizes, strict=True)
    ]


def _decoded(files: Sequence[Tensor], decode: Decode) -> list[Tensor | None]:
    if not files:
        return []
    try:
        return list(decode(list(files)))
    except RuntimeError:
        if len(files) == 1:
            return [None]
    half = len(files) // 2
    return [*_decoded(files[:half], decode), *_decoded(files[half:], decode)]


def as_tensor(data: bytes | memoryview) -> Tensor:
    """Bytes as a tensor uint8 (N,) on the CPU, which is not to be written to."""
    return torch.frombuffer(data, dtype=torch.uint8)


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    as_tensor(b"\0")  # PyTorch warns of memory that is not to be written to, but only once


def upright_on_device(pictures: Tensor, orientation: int) -> Tensor:
    """Undo an EXIF orientation on (..., H, W) pixels."""
    columns, rows, transpose = flips(orientation)
    axes = [axis for axis, flip in ((-1, columns), (-2, rows)) if flip]
    turned = pictures.flip(axes) if axes else pictures  # without axes it would copy
    return turned.transpose(-1, -2) if transpose else turned


@dataclass(frozen=True, slots=True)
class Target:
    """A size to make of pictures: a cut, or with `size_px` that square of it, from its left and top."""

    cut: Cut
    size_px: int | None
    interpolation: Interpolation


def resize_alike(pictures: Sequence[Tensor], orientation: int, targets: Sequence[Target]) -> list[Tensor]:
    """Resize B pictures uint8 (3, H, W) of one size as Pillow does, to uint8 (B, h, w, 3) for each target.

    An EXIF orientation is undone before.
    """
    _, rows, columns = pictures[0].shape
    step = max(1, _MOST_RESIZED // (rows * columns))
    made = []
    for first in range(0, len(pictures), step):
        some = upright_on_device(torch.stack(pictures[first : first + step]), orientation)
        made.append([_resized(some, target) for target in targets])
    return [torch.cat(some) if len(some) > 1 else some[0] for some in zip(*made, strict=True)]


def _resized(pictures: Tensor, target: Target) -> Tensor:
    """uint8 (B, 3, H, W) to uint8 (B, h, w, 3): first along the rows, rounded in between, as Pillow does."""
    cut, size_px = target.cut, target.size_px
    left, top, right, bottom = cut.box
    rows, columns = pictures.shape[2:]
    shared: Any = {"interpolation": target.interpolation, "device": pictures.device}
    kept = (cut.left, cut.left + size_px) if size_px else (0, cut.width)
    across, _ = _weights(length=columns, size=cut.width, first=left, last=right, **shared, kept=kept)
    kept = (cut.top, cut.top + size_px) if size_px else (0, cut.height)
    down, (first, end) = _weights(length=rows, size=cut.height, first=top, last=bottom, **shared, kept=kept)
    for matrix in (across, down):
        if matrix.is_cuda:  # kept for later, and perhaps made on another stream, which may let it go
            matrix.record_stream(torch.cuda.current_stream(matrix.device))
    wide = _rounded(pictures[:, :, first:end].float() @ across.T)
    return _rounded(down[:, first:end] @ wide).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


@lru_cache(maxsize=64)
def _weights(
    *,
    length: int,
    size: int,
    first: float,
    last: float,
    kept: tuple[int, int],
    interpolation: Interpolation,
    device: Any,
) -> tuple[Tensor, tuple[int, int]]:
    """The weights of the kept pixels on the device, and the first and the end of those that they weigh."""
    matrix = weights(length, size, first, last, interpolation)[kept[0] : kept[1]]
    needed = np.flatnonzero(matrix.any(axis=0))
    return torch.from_numpy(matrix).to(device), (int(needed[0]), int(needed[-1]) + 1)


def _rounded(numbers: Tensor) -> Tensor:
    return numbers.add_(0.5).floor_().clamp_(0, 255)


def together(pixels: Sequence[Pixels | Tensor], device: Any) -> Tensor:
    """Arrays and tensors uint8 (S, S, 3) as one (B, S, S, 3) on the device.

    The arrays are sent at once: each time one waits for what was sent to the device before.
    """
    arrays = [one for one in pixels if isinstance(one, np.ndarray)]
    sent = iter(torch.from_numpy(np.stack(arrays)).to(device) if arrays else ())
    return torch.stack([next(sent) if isinstance(one, np.ndarray) else one for one in pixels])
