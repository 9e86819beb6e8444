"""What a model learned from the images of a collection: a file beside the manifest, named by its checksum.

The checksum is the model's in the manifest, so that writing the manifest puts both in force at once.
"""

from __future__ import annotations

import hashlib
import random
import re
from pathlib import Path

from lookalike.builder.listing import Listing
from lookalike.errors import ImageError, ModelError
from lookalike.images.decoding import Pixels
from lookalike.models.model import LoadedModel
from lookalike.models.registry import learner
from lookalike.models.runner import input_of
from lookalike.models.spec import ModelSpec
from lookalike.sources.opening import Source, reading_ahead
from lookalike.storage.files import remove, write_bytes
from lookalike.storage.samples import Sample

# The start of a name: a killed writer leaves a file with a longer one.
FILE_NAME = re.compile(r"model-[0-9a-f]{16}\.npz")

_CHECKSUM = re.compile("[0-9a-f]{64}")
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
            "see why with a model that has nothing to learn: --model pixels, then lookalike failures",
        )
    return teach(pictures)


def _pixels(sample: Sample, model: LoadedModel, max_megapixels: float) -> Pixels | None:
    """What the model sees of an image; None where it cannot be read."""
    try:
        return input_of(sample.read(), model.spec, max_megapixels=max_megapixels).pixels
    except (OSError, ImageError, MemoryError):
        return None


def write_learned(root: Path, learned: bytes) -> str:
    """Write the file of a collection at `root`; returns its checksum."""
    checksum = hashlib.sha256(learned).hexdigest()
    write_bytes(_path(root, checksum), learned)
    return checksum


def read_learned(root: Path, spec: ModelSpec) -> bytes | None:
    """What the model of a collection learned; None where it has nothing to learn, or was never here.

    Raises `ModelError` where the file is missing or damaged.
    """
    if learner(spec.name) is None or not _CHECKSUM.fullmatch(spec.sha256):
        return None
    path, hint = _path(root, spec.sha256), f"embed again with: lookalike build SOURCE -c {root} --rebuild"
    try:
        learned = path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"{path}, what {spec.name} learned, is missing", hint) from None
    if hashlib.sha256(learned).hexdigest() != spec.sha256:
        raise ModelError(f"{path}: the checksum does not match, the file is damaged", hint)
    return learned


def remove_others(root: Path, spec: ModelSpec) -> None:
    """Remove what was learned for a manifest that is no more, or never came to be."""
    for path in root.glob("model-*"):
        if FILE_NAME.match(path.name) and path.name != _path(root, spec.sha256).name:
            remove(path)


def _path(root: Path, checksum: str) -> Path:
    return root / f"model-{checksum[:16]}.npz"
