"""A network in an ONNX file: what it takes, what it gives, and how pixels go through it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from lookalike.errors import LookalikeError, ModelError, one_line
from lookalike.images.picture import Pixels
from lookalike.models.halving import FullDeviceError, is_out_of_memory
from lookalike.models.onnx_session import start
from lookalike.models.runner import Floats
from lookalike.models.spec import ModelSpec

_TYPES: dict[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
}
_CHANNELS = 3


@dataclass(frozen=True)
class Network:
    """A network that takes one batch of RGB pictures.

    `size_px` and `batch` are None where the file leaves them open. `outputs` maps the name of each output to
    its shape, as text.
    """

    session: onnxruntime.InferenceSession
    device: str
    path: Path
    input_name: str
    dtype: Any
    channels_first: bool
    size_px: int | None
    batch: int | None
    outputs: dict[str, str]

    @staticmethod
    def open(path: Path, device: str) -> Network:
        """Start the network; raises `ModelError` if onnxruntime cannot, or it does not take pictures."""
        try:
            session = start(str(path), device)
        except LookalikeError:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise FullDeviceError(str(path), device) from None
            raise ModelError(f"onnxruntime cannot run {path}: {one_line(error)}") from None
        inputs = session.get_inputs()
        if len(inputs) != 1:
            names = ", ".join(f"{one.name} {_text(one.shape)}" for one in inputs)
            raise ModelError(
                f"{path} has {len(inputs)} inputs: {names}", "export the part that takes only pictures"
            )
        outputs = {one.name: _text(one.shape) for one in session.get_outputs()}
        shape, dtype = inputs[0].shape, _TYPES.get(inputs[0].type)
        takes = f"{path} takes {inputs[0].type} of shape {_text(shape)}"
        if dtype is None:
            raise ModelError(takes, "export it with an input of float32, float16 or uint8")
        channels_first = _channels_first(shape, takes)
        batch, size_px = shape[0], _size(shape[2:] if channels_first else shape[1:3], takes)
        fixed = batch if isinstance(batch, int) else None
        return Network(session, device, path, inputs[0].name, dtype, channels_first, size_px, fixed, outputs)

    def check_output(self, name: str) -> None:
        """Raise `ModelError` unless there is an output with that name; empty means the only one."""
        said = ", ".join(f"{one} {shape}" for one, shape in self.outputs.items())
        hint = f"say which: `lookalike.add_model({str(self.path)!r}, output=name, out=folder)`"
        if name and name not in self.outputs:
            raise ModelError(f"{self.path} has no output {name!r}, but {said}", hint)
        if not name and len(self.outputs) > 1:
            raise ModelError(f"{self.path} has {len(self.outputs)} outputs: {said}", hint)

    def features(self, spec: ModelSpec, pixels: Pixels) -> Floats:
        """Convert uint8 (B, S, S, 3) RGB to float32 (B, D), not of unit length.

        Raises `ModelError` if the network fails, or gives anything else.
        """
        given = self._prepared(spec, pixels)
        name = spec.output or next(iter(self.outputs))
        step = self.batch or len(given)
        found = []
        for first in range(0, len(given), step):
            some = given[first : first + step]
            missing = step - len(some)
            padded = np.concatenate([some, some[-1:].repeat(missing, 0)]) if missing else some
            found.append(self._run(name, padded)[: len(some)])
        return self._pooled(spec, name, np.concatenate(found), len(pixels))

    def _prepared(self, spec: ModelSpec, pixels: Pixels) -> NDArray[Any]:
        """The pixels as the network takes them: channel order, mean and std, layout and type."""
        given: NDArray[Any] = pixels if spec.channels == "RGB" else pixels[..., ::-1]
        if spec.mean or spec.std:
            # In float32 and in this order, as torchvision does.
            given = given.astype(np.float32) / np.float32(255)
            given = (given - np.array(spec.mean, np.float32)) / np.array(spec.std, np.float32)
        if self.channels_first:
            given = given.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(given, dtype=self.dtype)

    def _run(self, name: str, given: NDArray[Any]) -> NDArray[Any]:
        try:
            (found,) = self.session.run([name], {self.input_name: given})
        except Exception as error:
            if is_out_of_memory(error):
                raise FullDeviceError(str(self.path), self.device) from None
            raise ModelError(
                f"{self.path} fails on {given.dtype} of shape {given.shape}: {one_line(error)}"
            ) from None
        if not isinstance(found, np.ndarray) or found.dtype.kind != "f":
            kind = found.dtype if isinstance(found, np.ndarray) else type(found).__name__
            raise ModelError(f"the output {name} of {self.path} is {kind}", "it has to be floats")
        if not found.ndim:
            raise ModelError(
                f"the output {name} of {self.path} is a single number", "it has to be (batch, dimensions)"
            )
        return found

    def _pooled(self, spec: ModelSpec, name: str, found: NDArray[Any], count: int) -> Floats:
        floats = np.asarray(found, np.float32)
        places = {3: (1,), 4: (2, 3)}.get(floats.ndim)
        if spec.pooling == "mean" and places:
            floats = floats.mean(axis=places)
        elif spec.pooling or places or floats.ndim != 2:
            again = f"`lookalike.add_model({str(self.path)!r}, pooling='mean', out=folder)`"
            raise ModelError(
                f"the output {name} of {self.path} has the shape {found.shape}, "
                + ("without places to pool" if spec.pooling else "not (batch, dimensions)"),
                f"if it has features of places, take their mean: {again}" if places else "",
            )
        if len(floats) != count or (spec.dim and floats.shape[1] != spec.dim):
            wanted = (count, spec.dim or "dimensions")
            raise ModelError(f"{self.path} gave {floats.shape}, not {wanted}")
        if not np.isfinite(floats).all():
            raise ModelError(f"the output {name} of {self.path} has NaN or infinity")
        return floats


def _channels_first(shape: Sequence[int | str | None], takes: str) -> bool:
    """Whether an input is (B, 3, H, W) rather than (B, H, W, 3); an open shape is the former."""
    if len(shape) == 4:
        if shape[1] == _CHANNELS:
            return True
        if shape[3] == _CHANNELS:
            return False
        if not isinstance(shape[1], int) and not isinstance(shape[3], int):
            return True
    raise ModelError(takes, "pictures are (batch, 3, height, width) or (batch, height, width, 3)")


def _size(sides: Sequence[int | str | None], takes: str) -> int | None:
    """The side of the square that an input has, if it is fixed."""
    known = {side for side in sides if isinstance(side, int)}
    if len(known) > 1:
        raise ModelError(takes, "only squares can be used")
    return known.pop() if known else None


def _text(shape: Sequence[int | str | None]) -> str:
    return f"({', '.join('?' if side is None else str(side) for side in shape)})"
