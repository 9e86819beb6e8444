"""From encoded files to what a model sees, many at a time: on the CPU, or on the GPU where the model runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from lookalike.errors import ImageError
from lookalike.images.exif import Exif
from lookalike.images.fit import Cut
from lookalike.images.jpeg import JpegHeader, gpu_header, is_plain
from lookalike.images.orientation import upright_size
from lookalike.images.picture import Pixels
from lookalike.images.thumbnail import THUMBNAIL_PX, encode_thumbnail, thumbnail, thumbnail_size
from lookalike.models.devices import CUDA
from lookalike.models.model import LoadedModel
from lookalike.models.runner import cut_of, input_of
from lookalike.models.spec import ModelSpec
from lookalike.models.torch_runner import TorchFeatures


@dataclass(frozen=True, slots=True)
class Seen:
    """What a build needs of a picture: `width` and `height` of the upright original, EXIF, and its thumbnail.

    `thumbnail` is a JPEG, or empty if none is wanted. `pixels` is what the model sees, uint8 (S, S, 3): an
    array, or a tensor on the model's device.
    """

    width: int
    height: int
    exif: Exif | None
    thumbnail: bytes
    pixels: Pixels | Any


@dataclass(frozen=True, slots=True)
class Encoded:
    """A JPEG that a GPU can decode: its bytes, its header, and whether it serves as its own thumbnail."""

    data: bytes | memoryview
    header: JpegHeader
    is_plain: bool


def decoder_of(model: LoadedModel) -> Any:
    """The `Decoder` of JPEGs on the model's device; None if the CPU has to."""
    if not isinstance(model.features, TorchFeatures) or not model.device.startswith(CUDA):
        return None
    from lookalike.images.on_device import gpu_decoder

    return gpu_decoder(model.device)


def decoder_name(model: LoadedModel) -> str:
    """The name of what decodes most JPEGs for a model."""
    return "nvjpeg" if decoder_of(model) else "libjpeg-turbo"


def look_at(
    files: Sequence[bytes], spec: ModelSpec, *, max_megapixels: float, thumbnails: bool = True
) -> list[Seen | str]:
    """What a model with a spec sees of each file, in order; for one that is not a picture, the reason."""
    return [_on_cpu(data, spec, max_megapixels, thumbnails) for data in files]


def encoded(data: bytes, max_megapixels: float) -> Encoded | None:
    """A JPEG that can be decoded on a GPU; None for what is left to the CPU.

    That is files other than JPEGs, JPEGs of rare kinds, damaged and too large ones.
    """
    header = gpu_header(data)
    if header is None or header.width * header.height > max_megapixels * 1e6:
        return None
    is_small = max(header.width, header.height) <= THUMBNAIL_PX
    return Encoded(data, header, is_small and is_plain(data))


def look_on_device(
    files: Sequence[Encoded], spec: ModelSpec, decoder: Any, *, thumbnails: bool = True
) -> list[Seen | None]:
    """The same as `look_at`, decoded and resized on a device where `decoder_of` returned something.

    None for a file that is damaged, or does not fit into the device's memory: the CPU can try. The pixels
    differ a little from those of the CPU, which reduces JPEGs as it decodes them.
    """
    try:
        found = _decoded(files, spec, decoder, thumbnails) if files else {}
    except RuntimeError:  # most likely its memory is full; if it is more, the model will say so
        found = {}
    return [found.get(at) for at in range(len(files))]


def stacked(pixels: Sequence[Pixels | Any]) -> Pixels | Any:
    """Pixels (S, S, 3) as one batch (B, S, S, 3): on the device if one of them is there, and it has room.

    Without room the batch is on the CPU, of which the model can send smaller ones.
    """
    there = next((one.device for one in pixels if not isinstance(one, np.ndarray)), None)
    if there is not None:
        from lookalike.images.on_device import together

        with suppress(RuntimeError):
            return together(pixels, there)
    return np.stack([one if isinstance(one, np.ndarray) else one.cpu().numpy() for one in pixels])


def _on_cpu(data: bytes, spec: ModelSpec, max_megapixels: float, thumbnails: bool) -> Seen | str:
    try:
        found = input_of(data, spec, max_megapixels=max_megapixels)
        small = thumbnail(found.picture) if thumbnails else b""
    except ImageError as error:
        return str(error)
    except MemoryError:
        return "too large for this machine's memory"
    return Seen(found.picture.width, found.picture.height, found.picture.exif, small, found.pixels)


def _decoded(files: Sequence[Encoded], spec: ModelSpec, decoder: Any, thumbnails: bool) -> dict[int, Seen]:
    """What can be decoded on the device, by place; pictures of one size and orientation share their work."""
    from lookalike.images.on_device import as_tensor, decode_all

    headers = [one.header for one in files]
    tensors = [as_tensor(one.data) for one in files]
    alike: defaultdict[Any, list[int]] = defaultdict(list)
    seen = []
    with decoder.turn():
        decoded = decode_all(tensors, [(one.width, one.height) for one in headers], decoder.decode)
        for at, (one, header) in enumerate(zip(decoded, headers, strict=True)):
            if one is not None:
                alike[header.width, header.height, header.orientation].append(at)
        for (width, height, orientation), places in alike.items():
            shape = upright_size(width, height, orientation)
            wanted = thumbnails and not all(files[at].is_plain for at in places)
            pictures = [decoded[at] for at in places]
            seen.append((shape, places, *_fitted(pictures, shape, orientation, spec, thumbnails=wanted)))
    return {
        at: Seen(
            *shape, headers[at].exif, _thumbnail(files[at], row, small) if thumbnails else b"", pixels[row]
        )
        for shape, places, pixels, small in seen
        for row, at in enumerate(places)
    }


def _thumbnail(file: Encoded, row: int, small: Any) -> bytes:
    return bytes(file.data) if file.is_plain else encode_thumbnail(small[row].numpy())


def _fitted(
    pictures: Sequence[Any], shape: tuple[int, int], orientation: int, spec: ModelSpec, *, thumbnails: bool
) -> tuple[Sequence[Any], Any]:
    """What the model sees of decoded pictures of one size, and their thumbnails as a tensor on the CPU.

    The thumbnails are there at the end of the turn. `shape` is the width and height of the upright pictures.
    """
    from lookalike.images.on_device import Target, resize_alike

    targets = [Target(cut_of(spec, *shape), spec.size_px, spec.interpolation)]
    if thumbnails:
        whole = Cut((0, 0, *shape), *thumbnail_size(*shape))
        targets.append(Target(whole, None, "bilinear"))
    pixels, *small = resize_alike(pictures, orientation, targets)
    return pixels.unbind(), small[0].to("cpu", non_blocking=True) if small else None
