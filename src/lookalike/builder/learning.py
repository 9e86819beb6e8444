"""Training a model on a source's images before it can embed them, such as the codebook of `sift`."""

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

# Enough: on photographs of flowers, `sift` does no better with all 469 than with 32 (docs/evaluation.md).
_MOST_IMAGES, _SEED = 128, 0


def learn(model: LoadedModel, listing: Listing, source: Source, max_megapixels: float) -> bytes | None:
    """Train the model on 128 of the images, drawn with a seed; None if it does not learn.

    Images that cannot be read are skipped here; the build that follows records them.
    Raises `ModelError` if the others are not enough.
    """
    teach = learner(model.name)
    if teach is None:
        return None
    samples = list(listing.samples.values())
    places = random.Random(_SEED).sample(range(len(samples)), min(_MOST_IMAGES, len(samples)))
    drawn = [samples[place] for place in sorted(places)]  # in their order, which is fastest for shards
    read = [_pixels(sample, model, max_megapixels) for sample in reading_ahead(drawn, source)]
    pictures = [pixels for pixels in read if pixels is not None]
    if not pictures:
        raise ModelError(
            f"{model.name} learns from the images first, but none of the {len(drawn):,} tried can be read",
            "build with `model='pixels'`, which learns nothing, and look at the failures",
        )
    return teach(pictures)


def _pixels(sample: Sample, model: LoadedModel, max_megapixels: float) -> Pixels | None:
    """The pixels that the model sees of an image; None if it cannot be read."""
    try:
        return input_of(sample.read(), model.spec, max_megapixels=max_megapixels).pixels
    except (OSError, ImageError, MemoryError):
        return None
