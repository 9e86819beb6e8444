"""What a model learns from the images of a source before it can embed them: the codebook of `sift`, say."""

from __future__ import annotations

import random

from lookalike.builder.listing import Listing
from lookalike.errors import ImageError, ModelError
from lookalike.images.picture import Pixels
from lookalike.models.model import LoadedModel
from lookalike.models.registry import learner
from lookalike.models.runner import input_of
from lookalike.sources.opening import Source, reading_ahead
from lookalike.sources.sample import Sample

# Enough: on photographs of flowers, `sift` finds no better with all 469 than with 32 (docs/evaluation.md).
_MOST_IMAGES, _SEED = 128, 0


def learn(model: LoadedModel, listing: Listing, source: Source, max_megapixels: float) -> bytes | None:
    """What the model learns from 128 of the images, drawn with a seed; None where it has nothing to learn.

    One that cannot be read is passed over: the build that follows records it.
    Raises `ModelError` where the others do not suffice.
    """
    teach = learner(model.name)
    if teach is None:
        return None
    samples = list(listing.samples.values())
    places = random.Random(_SEED).sample(range(len(samples)), min(_MOST_IMAGES, len(samples)))
    drawn = [samples[place] for place in sorted(places)]  # in their order, as shards are read fastest
    read = [_pixels(sample, model, max_megapixels) for sample in reading_ahead(drawn, source)]
    pictures = [pixels for pixels in read if pixels is not None]
    if not pictures:
        raise ModelError(
            f"{model.name} learns from the images first, and none of {len(drawn):,} can be read",
            "build with `model='pixels'`, which learns nothing, and look at the failures",
        )
    return teach(pictures)


def _pixels(sample: Sample, model: LoadedModel, max_megapixels: float) -> Pixels | None:
    """What the model sees of an image; None where it cannot be read."""
    try:
        return input_of(sample.read(), model.spec, max_megapixels=max_megapixels).pixels
    except (OSError, ImageError, MemoryError):
        return None
