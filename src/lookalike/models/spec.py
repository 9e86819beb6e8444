"""The identity of a model: what has to be equal for vectors to be comparable."""

from __future__ import annotations

import math
import re
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any, Literal, get_args

from lookalike.errors import ModelError
from lookalike.images.fit import Interpolation, Offset
from lookalike.images.thumbnail import THUMBNAIL_PX

Resize = Literal["square", "crop", "squash"]
Channels = Literal["RGB", "BGR"]
Pooling = Literal["", "mean"]
Precision = Literal["", "float16", "bfloat16"]

# What a person may ask for; the first is the empty precision of a spec.
FLOAT32 = "float32"
PRECISIONS = (FLOAT32, *get_args(Precision)[1:])

# Where every pixel counts, a picture is decoded at this many times the size it is resized to: what is seen
# then differs from what is seen of the whole by less than rounding (docs/model.md).
_MARGIN = 4

# The numbers of a spec are far from where float32 ends.
_MOST, _LEAST_STD = 1e9, 1e-9

# Also the name of a folder, where models are compared.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """The identity of a model: two vectors are comparable if it is equal; a collection's manifest stores it.

    `sha256` is that of the weights, or of what was learned instead (of the recipe, for models
    without either). `resize` says how a picture becomes `size_px` x `size_px` pixels:

    - `square`: its central square of `crop` times the shorter side, resized;
    - `crop`: resized until the shorter side is `size_px / crop`, then cut at whole pixels, as torchvision,
      timm and open_clip do;
    - `squash`: resized to a square of `size_px / crop` whatever its proportions, then cut.

    `offset` says how half a pixel is rounded where the centre is cut; transformers rounds it down.
    The network gets the channels in the order `channels`: the pixels themselves if `mean` and `std` are
    empty, else their values from 0 to 1 minus `mean`, divided by `std`, three numbers each. `output` is the
    name of its output, empty for the only one; `pooling` makes a vector of an output with places. `precision`
    is that of its products, empty for what its file says. `revision` is that of its hub, if it came from
    one. `text_sha256` is the checksum of what turns words into vectors, and each of `prompts` a sentence in
    which `{}` stands for a word: the vector of a word is the mean of those.
    """

    name: str
    sha256: str
    dim: int
    size_px: int
    crop: float
    # A field with its default is not written, so that manifests and fingerprints stay what they were.
    resize: Resize = "square"
    interpolation: Interpolation = "bicubic"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    channels: Channels = "RGB"
    output: str = ""
    pooling: Pooling = ""
    offset: Offset = "round"
    precision: Precision = ""
    revision: str = ""
    text_sha256: str = ""
    prompts: tuple[str, ...] = ()

    @property
    def cover_px(self) -> int:
        """The shorter side that a decoded picture needs, so that neither crop nor thumbnail is enlarged."""
        margin = 1 if self.resize == "square" else _MARGIN
        return max(margin * math.ceil(self.size_px / self.crop), THUMBNAIL_PX * 3 // 4)

    def sees_like(self, other: ModelSpec) -> bool:
        """Whether both make the same vectors of pictures, whatever those of words."""
        return replace(self, text_sha256=other.text_sha256, prompts=other.prompts) == other

    def to_fields(self) -> dict[str, Any]:
        """The fields as JSON has them, in order, without those that have their default."""
        values = {one.name: getattr(self, one.name) for one in fields(self) if not _is_default(self, one)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @staticmethod
    def from_fields(given: Any) -> ModelSpec:
        """The spec that JSON describes; fields that this version does not know are ignored.

        Raises `TypeError` for a value of another type, `KeyError` for a missing one, and `ValueError` for
        one that is not among the possible.
        """
        if not isinstance(given, dict):
            raise TypeError(f"model {given}")
        return ModelSpec(
            **{
                one.name: _value(one.name, given[one.name])
                for one in fields(ModelSpec)
                if one.default is MISSING or one.name in given
            }
        )


def check_model_name(name: str) -> None:
    """Raise `ModelError` for a name that no model in a file can have."""
    if not _NAME.fullmatch(name):
        raise ModelError(
            f"a model cannot be called {name!r}",
            "give it a name of letters, digits, dots, hyphens and underscores, up to 100",
        )


_TYPES = {"dim": int, "size_px": int, "crop": float}  # all others are text
_CHOICES = {
    "resize": get_args(Resize),
    "interpolation": get_args(Interpolation),
    "channels": get_args(Channels),
    "pooling": get_args(Pooling),
    "offset": get_args(Offset),
    "precision": get_args(Precision),
}


def _is_default(spec: ModelSpec, one: Any) -> bool:
    return one.default is not MISSING and getattr(spec, one.name) == one.default


def _value(name: str, value: Any) -> Any:
    """A field of a spec as JSON has it, checked and converted; raises `TypeError` or `ValueError`."""
    if name in ("mean", "std"):
        numbers = tuple(_number(one) for one in value) if isinstance(value, list) else ()
        if not isinstance(value, list) or len(numbers) not in (0, 3):
            raise ValueError(f"{name} is {value!r}, it has to be three numbers")
        if name == "std" and any(abs(one) < _LEAST_STD for one in numbers):
            raise ValueError(f"std is {value!r}, none of its numbers may be 0")
        return numbers
    if name == "prompts":
        if not isinstance(value, list) or not all(isinstance(one, str) and "{}" in one for one in value):
            raise ValueError(f"prompts is {value!r}, it has to be sentences with {{}} in place of the word")
        return tuple(value)
    if name in _CHOICES:
        if value not in _CHOICES[name]:
            raise ValueError(f"{name} is {value!r}, it has to be one of: {', '.join(_CHOICES[name])}")
        return value
    kind = _TYPES.get(name, str)
    if kind is float:
        return _number(value)
    if type(value) is not kind:
        raise TypeError(f"{name} is {value!r}")
    return value


def _number(value: Any) -> float:
    """A number as a float, of which JSON may have a whole one."""
    if type(value) not in (int, float) or not abs(value) <= _MOST:
        raise TypeError(f"{str(value)[:40]} is not a number, or too large a one")
    return float(value)
