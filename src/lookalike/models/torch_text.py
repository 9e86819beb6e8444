"""The text tower of a published model as its library gives it in PyTorch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ExtraError, ModelError, QueryError, one_line
from lookalike.models.text_tower import TextTower, without_padding

if TYPE_CHECKING:
    import torch

TOKENIZER, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"


@dataclass(frozen=True)
class TorchText:
    """A text tower whose weights are loaded, and its tokenizer.

    `module` takes tokens int64 (B, L) and gives (B, D). `tokenizer` is the text of a `tokenizer.json`, by
    which a text becomes `length` tokens: those beyond are cut off, those that are missing are `pad_id`, on
    the side `padding_side`, "right" or "left". `lower_case` texts are put into lower case first. Cosines are
    multiplied by `logit_scale` before the softmax that the model was trained with. In a tower that
    `is_causal`, what follows the end of a text changes nothing, and may be missing.
    """

    module: torch.nn.Module
    tokenizer: str
    length: int
    pad_id: int
    lower_case: bool
    logit_scale: float
    padding_side: str = "right"
    is_causal: bool = False


def torch_tower(load: Callable[[], TorchText], sha256: str, name: str) -> TextTower:
    """The tower, which is loaded when the first text comes: a build needs only that for pictures.

    `sha256` is the checksum of its weights and its tokenizer.
    """
    once = lru_cache(maxsize=1)(load)
    tokenizer = lru_cache(maxsize=1)(lambda: open_tokenizer(once()))

    def tokens(texts: list[str]) -> NDArray[np.int64]:
        given = [text.lower() for text in texts] if once().lower_case else texts
        own = tokenizer()
        try:
            found = own.encode_batch(given)
        except Exception as error:  # what it raises is an Exception itself
            raise QueryError(
                f"the tokenizer fails on this text: {one_line(error)}", "use other words"
            ) from None
        return np.array([one.ids for one in found], np.int64)

    def encode(given: NDArray[np.int64]) -> NDArray[np.float32]:
        import torch

        text = once()
        short = without_padding(given, text.pad_id) if text.is_causal else given
        try:
            with torch.inference_mode():
                found = text.module(torch.from_numpy(short))
        except (RuntimeError, IndexError) as error:
            raise ModelError(
                f"{name} fails on tokens {given.shape}: {one_line(error)}", "its tokenizer may be another's"
            ) from None
        return np.asarray(found.float().numpy())

    return TextTower(tokens, encode, sha256, name=name)


def open_tokenizer(text: TorchText) -> Any:
    """The tokenizer, which cuts and pads; raises `ExtraError` without its package."""
    tokenizer = _tokenizer(text.tokenizer.encode(), "the tokenizer of this model")
    tokenizer.enable_truncation(max_length=text.length)
    tokenizer.enable_padding(length=text.length, pad_id=text.pad_id, direction=text.padding_side)
    return tokenizer


def padding_of(folder: Path, otherwise: int) -> tuple[int, str]:
    """The token that fills texts up, and on which side, as the files of a tokenizer say it.

    `otherwise` is the number of the token where they do not. Raises `ModelError` for files that are damaged.
    """
    about, path = folder / TOKENIZER_CONFIG, folder / TOKENIZER
    said = read_json(about) if about.is_file() else {}
    token = said.get("pad_token")
    name = token["content"] if isinstance(token, dict) else token
    # Of these, transformers fills texts up on the left unless their file says otherwise.
    is_left = said.get("tokenizer_class", "").startswith(("Siglip2", "Gemma"))
    side = said.get("padding_side") or ("left" if is_left else "right")
    pad_id = _tokenizer(path.read_bytes(), str(path)).token_to_id(name or "")
    return otherwise if pad_id is None else pad_id, side


def read_json(path: Path) -> dict[str, Any]:
    """Read a file that describes a model; raises `ModelError` if it is not one."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read: {one_line(error)}") from None
    if not isinstance(found, dict):
        raise ModelError(f"{path} is not the description of a model")
    return found


def _tokenizer(data: bytes, what: str) -> Any:
    """The tokenizer in a `tokenizer.json`; raises `ExtraError` without its package."""
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise ExtraError(f"words need tokenizers for this model ({one_line(error)})", "words") from None
    try:
        return Tokenizer.from_buffer(data)
    except Exception as error:  # what it raises is an Exception itself
        raise ModelError(
            f"{what} cannot be read: {one_line(error)}", "it is damaged: remove it, and it is fetched again"
        ) from None


def saved_tokenizer(text: TorchText) -> str:
    """The text of a `tokenizer.json` that cuts and pads as the model wants it."""
    return str(open_tokenizer(text).to_str())


def options_of(text: TorchText) -> dict[str, Any]:
    """What a `model.json` says about the tower as `text`."""
    said = {"context_length": text.length, "pad_id": text.pad_id, "logit_scale": text.logit_scale}
    flags = {"lower_case": text.lower_case, "cut_padding": text.is_causal}
    return {**said, **{name: True for name, holds in flags.items() if holds}}


def checksum_with(weights_sha256: str, tokenizer: bytes) -> str:
    """The checksum of a tower whose weights have a checksum, with its tokenizer."""
    return hashlib.sha256(weights_sha256.encode() + tokenizer).hexdigest()
