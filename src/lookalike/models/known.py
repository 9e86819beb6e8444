"""The models that are known by name, and what they are for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model that is known by name.

    `words` says whether it answers `text:` queries. `license` is that of its weights, or of its recipe if it
    has none. `extra` is the extra of the package that it needs, or empty; `module` is where it is made.
    """

    name: str
    purpose: str
    dim: int
    size_px: int
    license: str
    words: bool
    extra: str
    module: str


# In the order in which they are listed. The function `load(device)` of the module, imported on demand,
# returns the model. One that learns from pictures also has learn(pictures), and load(device, learned).
KNOWN_MODELS = (
    KnownModel(
        name="efficientnet-lite0",
        purpose="what is in the picture: a network trained on ImageNet, in the package (default)",
        dim=1280,
        size_px=224,
        license="Apache-2.0",
        words=True,
        extra="",
        module="lookalike.models.efficientnet",
    ),
    KnownModel(
        name="pixels",
        purpose="the pixels themselves: the yardstick that a network has to beat",
        dim=3072,
        size_px=32,
        license="Apache-2.0",
        words=False,
        extra="",
        module="lookalike.models.pixels",
    ),
    KnownModel(
        name="colors",
        purpose="average colours on a grid of 8 x 8: instant",
        dim=192,
        size_px=64,
        license="Apache-2.0",
        words=False,
        extra="",
        module="lookalike.models.colors",
    ),
    KnownModel(
        name="sift",
        purpose="details of corners and blobs, with a codebook learned from your images",
        dim=2048,
        size_px=224,
        license="Apache-2.0",
        words=False,
        extra="sift",
        module="lookalike.models.sift",
    ),
)
