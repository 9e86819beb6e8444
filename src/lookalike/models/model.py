"""Models turn pictures into unit vectors: the protocol for any model, and a model that is ready to run."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from lookalike.checking import checked
from lookalike.errors import LookalikeError, ModelError, QueryError, one_line
from lookalike.images.limit import MAX_MEGAPIXELS
from lookalike.images.picture import Box, ImageLike, Pixels
from lookalike.models.runner import Features, Floats, grey_pictures, input_of, run
from lookalike.models.spec import ModelSpec

Tags = list[list[tuple[str, float]]]

_CHECKSUM = re.compile("[0-9a-f]{64}")


class Model(Protocol):
    """The protocol for any model; `lookalike.register(model)` makes it known by its name.

    A picture is cropped to its central square and resized to `size_px`. The model may also have

    - `crop`, in (0, 1]: the square's side as a fraction of the shorter side (1.0);
    - `sha256`, text that changes when the vectors do: a checksum or a version (by default the name's);
    - `device`, where it runs: on any device but `cpu` it gets larger batches (`cpu`);
    - `text_vector(text)`, from words to a vector (D,); raises `QueryError` for words it does not know;
    - `word_vectors()`, the vectors of many words (W, D);
    - `tags(features)`, from features (B, D) to the names and probabilities of what is in each picture.

    Everything is called from several threads at once.
    """

    @property
    def name(self) -> str: ...

    @property
    def dim(self) -> int: ...

    @property
    def size_px(self) -> int: ...

    def features(self, pixels: Pixels, /) -> ArrayLike:
        """Convert uint8 (B, S, S, 3) RGB pixels to finite numbers (B, D), of any length."""
        ...


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to run; safe to call from several threads.

    `features` maps uint8 (B, S, S, 3) RGB pixels to float32 (B, D), not yet of unit length. A model that
    knows words has `text_vector`, which turns words into a unit vector float32 (D,); `tags`, which turns
    features into the names and probabilities of what is in each picture; and `word_vectors`, those of many
    words (W, D). One that can tell whether a picture shows what a text names has `presence`, from a text and
    unit vectors (B, D) to probabilities (B,), and `common_tags`, from the unit vectors of a group to its
    names, the narrowest first. One that can tag by a user's list has `tags_of`, from this and unit vectors
    (B, D) to tags; an empty list stands for its own. `tag_list` is the list that `tags` uses. One that sits
    on the vectors of another model, its `base`, has `from_base`, from unit vectors of that (N, D_in) to its
    own (N, D). `path` is where a model that is a file or a folder was found, `device_note` why it does not
    run on a faster device of this machine. Unpickling a model with a `loader` calls the loader again; others
    are pickled whole.
    """

    spec: ModelSpec
    features: Features
    device: str = "cpu"
    text_vector: Callable[[str], Floats] | None = None
    tags: Callable[[Floats], Tags] | None = None
    word_vectors: Callable[[], Floats] | None = None
    presence: Callable[[str, Floats], Floats] | None = None
    common_tags: Callable[[Floats], list[str]] | None = None
    tags_of: Callable[[tuple[str, ...], Floats], Tags] | None = None
    tag_list: tuple[str, ...] = ()
    base: ModelSpec | None = None
    from_base: Callable[[Floats], Floats] | None = None
    path: str = field(default="", compare=False)
    device_note: str = field(default="", compare=False)
    loader: Callable[[], LoadedModel] | None = field(default=None, compare=False, repr=False)

    def __repr__(self) -> str:
        spec = self.spec
        return f"LoadedModel({spec.name!r}: {spec.dim:,} dimensions, {spec.size_px} px, {self.device})"

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def sha256(self) -> str:
        return self.spec.sha256

    @property
    def dim(self) -> int:
        return self.spec.dim

    @property
    def size_px(self) -> int:
        return self.spec.size_px

    @property
    def crop(self) -> float:
        return self.spec.crop

    @property
    def cover_px(self) -> int:
        return self.spec.cover_px

    def embed_pixels(self, pixels: Pixels) -> Floats:
        """Convert uint8 (B, S, S, 3) RGB to float32 (B, D) of unit length."""
        return unit(self.features(pixels))

    def embed_text(self, text: str) -> Floats:
        """Convert words to float32 (D,) of unit length; raises `QueryError` for words it does not know."""
        if self.text_vector is None:
            raise QueryError(f"the model {self.name} does not know words", "ask with a picture or `Id(...)`")
        return self.text_vector(text)

    @checked
    def embed(self, images: ImageLike | Iterable[ImageLike]) -> Floats:
        """Convert one picture to float32 (D,), or several to (B, D), of unit length.

        A picture is a path, encoded bytes, a Pillow image or a uint8 array (H, W) or (H, W, C); an array
        (B, H, W, C) is several. Raises `ImageError` for anything that is not a picture.
        """
        if _is_one(images):
            return self._vector(images)
        # One at a time, so that memory use stays constant.
        vectors = [self._vector(image) for image in cast(Iterable[ImageLike], images)]
        return np.stack(vectors) if vectors else np.empty((0, self.dim), np.float32)

    def pixels(
        self, image: ImageLike, box: Box | None = None, *, max_megapixels: float = MAX_MEGAPIXELS
    ) -> Pixels:
        """The pixels that the network sees of a picture, or of the part in `box`: uint8 (S, S, 3) RGB.

        `box` is (left, top, right, bottom) in fractions from 0 to 1. Raises `ImageError` for anything that is
        not a picture or has more than `max_megapixels`, and for an invalid box.
        """
        return input_of(image, self.spec, box=box, max_megapixels=max_megapixels).pixels

    def _vector(self, image: Any) -> Floats:
        return unit(run(self.features, [self.pixels(image)])[0])

    def __reduce_ex__(self, protocol: Any) -> str | tuple[Any, ...]:
        return super().__reduce_ex__(protocol) if self.loader is None else (self.loader, ())


def _is_one(images: object) -> bool:
    if isinstance(images, np.ndarray):
        return images.ndim in (2, 3)
    return isinstance(images, str | Path | bytes | Image.Image)


def unit(vectors: Floats) -> Floats:
    """Scale vectors (..., D) to float32 of unit length."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if not lengths.all():
        # A picture without any features has no direction; it gets the one in which all numbers are equal.
        vectors = np.where(vectors.any(axis=-1, keepdims=True), vectors, np.float32(1))
        lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / lengths, dtype=np.float32)


def as_model(model: Model) -> LoadedModel:
    """Make any model ready to run by trying it on two grey pictures; a loaded model is returned as it is.

    Raises `ModelError` if it lacks something or returns invalid features. All its later output is checked in
    the same way.
    """
    if isinstance(model, LoadedModel):
        return model
    spec = _spec(model)
    loaded = LoadedModel(
        spec,
        partial(_features, model, spec),
        str(getattr(model, "device", "cpu")).partition(":")[0],
        partial(_text_vector, model, spec) if getattr(model, "text_vector", None) else None,
        partial(_tags, model, spec) if getattr(model, "tags", None) else None,
        partial(_word_vectors, model, spec) if getattr(model, "word_vectors", None) else None,
    )
    grey = grey_pictures(spec.size_px)
    try:
        loaded.features(grey)
    except LookalikeError:
        raise
    except Exception as error:
        raise ModelError(
            f"{spec.name}.features failed on uint8 {grey.shape}: {type(error).__name__}: {one_line(error)}"
        ) from error
    return loaded


def _spec(model: Any) -> ModelSpec:
    """Read the spec of any model; raises `ModelError` for a missing or invalid attribute."""
    kind = type(model).__name__
    missing = [name for name in ("name", "dim", "size_px", "features") if not hasattr(model, name)]
    if missing:
        raise ModelError(
            f"{kind} is not a model: it has no {' and no '.join(missing)}",
            "a model has name, dim, size_px and features(pixels): help(lookalike.Model)",
        )
    crop, version = getattr(model, "crop", 1.0), getattr(model, "sha256", model.name)
    for what, text in (("name", model.name), ("sha256", version)):
        if not isinstance(text, str) or not text.strip():
            raise ModelError(f"the {what} of {kind} is {text!r}", "it has to be text")
    for what, number in (("dim", model.dim), ("size_px", model.size_px)):
        if not isinstance(number, int | np.integer) or number < 1:
            raise ModelError(
                f"the {what} of {model.name} is {number!r}", "it has to be a whole number above 0"
            )
    if not isinstance(crop, int | float | np.number) or not 0 < crop <= 1:
        raise ModelError(f"the crop of {model.name} is {crop!r}", "it has to be above 0 and at most 1")
    sha256 = version if _CHECKSUM.fullmatch(version) else hashlib.sha256(version.encode()).hexdigest()
    return ModelSpec(model.name, sha256, int(model.dim), int(model.size_px), float(crop))


# Module functions that take the user's object as an argument, so that they can be pickled.


def _features(model: Model, spec: ModelSpec, pixels: Pixels) -> Floats:
    return _numbers(model.features(pixels), (len(pixels), spec.dim), f"{spec.name}.features")


def _text_vector(model: Any, spec: ModelSpec, text: str) -> Floats:
    return unit(_numbers(model.text_vector(text), (spec.dim,), f"{spec.name}.text_vector"))


def _word_vectors(model: Any, spec: ModelSpec) -> Floats:
    return unit(_numbers(model.word_vectors(), (None, spec.dim), f"{spec.name}.word_vectors"))


def _tags(model: Any, spec: ModelSpec, features: Floats) -> Tags:
    found = list(model.tags(features))
    if len(found) != len(features):
        raise ModelError(
            f"{spec.name}.tags gave {len(found)} lists for {len(features)} pictures",
            "it has to return one for each",
        )
    return found


def _numbers(given: object, shape: tuple[int | None, ...], what: str) -> Floats:
    """Convert the output of a user's function to float32 of a shape, in which None is any length.

    Raises `ModelError`, which describes the output, for another shape, for non-numbers, NaN and infinity.
    """
    wanted = f"({', '.join('W' if size is None else str(size) for size in shape)}{',' * (len(shape) == 1)})"
    hint = f"it has to return finite numbers of shape {wanted}"
    try:
        found = np.asarray(given)
    except Exception as error:
        kind = type(given).__name__
        raise ModelError(f"{what} gave a {kind}, which is not an array: {one_line(error)}", hint) from error
    if found.dtype.kind not in "fiu":
        raise ModelError(f"{what} gave a {type(given).__name__} of {found.dtype}", hint)
    fits = len(found.shape) == len(shape) and all(
        size in (None, own) for own, size in zip(found.shape, shape, strict=True)
    )
    if not fits:
        raise ModelError(f"{what} gave {found.dtype} of shape {found.shape}", hint)
    with np.errstate(over="ignore"):
        numbers = np.asarray(found, np.float32)
    if not np.isfinite(numbers).all():
        raise ModelError(f"{what} gave NaN or infinity", hint)
    return numbers
