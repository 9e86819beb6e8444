"""The text tower of a collection's model as files that a browser runs."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.export.network import MOST_BYTES
from lookalike.models.model import LoadedModel
from lookalike.models.onnx_model import DESCRIPTION, read_description
from lookalike.models.onnx_weights import checksum_of, files_of
from lookalike.models.text_onnx import TOKENIZER, TOWER, OpenedTower, has_text, opened_tower, text_tower
from lookalike.models.tower_words import rivals_of

# What a phone reads in a few seconds.
MOST_TOKENIZER_BYTES = 50_000_000
# A browser has to convert these to the same tokens before it is trusted with others: capitals, accents,
# marks, digits, other scripts, a picture, and more words than many a tower reads.
EXAMPLES = (
    "a red car at night",
    "Two dogs: one's BIG, the other (3 kg) isn't!",
    "größer als ein Haus",
    "un café à côté de l'été",
    "красная машина ночью",
    "夜の赤い車",
    "سيارة حمراء",
    "a 🌹 rose",
    "a street in the rain " * 20,
)
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BrowserText:
    """A text tower for a browser: its `files` by their names in `model/`, and what runs them needs to know.

    `rivals` are the unit vectors float32 (W, D) that texts compete with.
    """

    files: dict[str, Path]
    entry: dict[str, Any]
    rivals: NDArray[np.float32]


def browser_text(model: LoadedModel) -> BrowserText | None:
    """The text tower of a model, or None if no browser runs it; the log says why not, or how large it is."""
    folder = Path(model.path) if model.path else None
    if not model.spec.text_sha256 or folder is None or not folder.is_dir() or not has_text(folder):
        return None
    fields = read_description(folder / DESCRIPTION)
    opened = opened_tower(folder, fields)
    why_not = _why_not(opened, folder)
    if why_not:
        logger.warning("the site has no text tower, so its words need a server: %s", why_not)
        return None
    tower = replace(text_tower(folder, fields), dim=model.dim)
    rivals, least_of_kin = rivals_of(tower)
    entry = {
        **_entry(opened),
        "prompts": list(tower.prompts),
        "logit_scale": tower.logit_scale,
        "least_of_kin": least_of_kin,
        "checksums": {name: checksum_of([folder / name]) for name in (TOWER, TOKENIZER)},
    }
    sizes = [(folder / name).stat().st_size / 1e6 for name in (TOWER, TOKENIZER)]
    logger.info(
        "whoever searches by words loads a text tower of %.1f MB and a tokenizer of %.1f MB once", *sizes
    )
    return BrowserText({name: folder / name for name in (TOWER, TOKENIZER)}, entry, rivals)


def _why_not(opened: OpenedTower, folder: Path) -> str:
    """Why no browser runs a text tower; empty if one does."""
    path, tokenizer = folder / TOWER, folder / TOKENIZER
    types = {one.name: one.type for one in opened.session.get_outputs()}
    if len(files_of(path)) > 1:
        return f"{path} has its weights in other files"
    for file, limit in ((path, MOST_BYTES), (tokenizer, MOST_TOKENIZER_BYTES)):
        if file.stat().st_size > limit:
            return f"{file} has {file.stat().st_size / 1e6:,.0f} MB, the limit is {limit / 1e6:,.0f} MB"
    if types[opened.output_name] != "tensor(float)":
        return f"{path} gives {types[opened.output_name]}, a browser needs float32"
    return ""


def _entry(opened: OpenedTower) -> dict[str, Any]:
    """How texts become tokens, what the network takes and gives, and examples to check a browser with."""
    return {
        "input": {"name": opened.input_name, "type": np.dtype(opened.dtype).name, "batch": opened.batch},
        "output": opened.output_name,
        "takes_mask": opened.takes_mask,
        "cuts_padding": opened.cuts_padding,
        "context_length": opened.length,
        "pad_id": opened.pad_id,
        "pad_is_end": opened.pad_is_end,
        "pads_left": opened.pads_left,
        "lower_case": opened.lower_case,
        "examples": [[text, ids.tolist()] for text in EXAMPLES for ids in opened.tokens([text])],
    }
