"""Text towers: networks that turn any text into a vector in the space of a model's pictures, as in CLIP.

Radford et al., Learning Transferable Visual Models From Natural Language Supervision, 2021
(arXiv:2103.00020).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ModelError, QueryError
from lookalike.models.model import unit
from lookalike.parallel import cores, in_order

Floats = NDArray[np.float32]
Tokens = NDArray[np.int64]

# A text as it is, because it may be a sentence, and as the caption of a photograph, because it may be a name.
PROMPTS = ("{}", "a photo of {}")
# CLIP's cosines are multiplied by this before the softmax; it was learned, and limited to 100.
LOGIT_SCALE = 100.0

_MOST_CHARACTERS = 5000  # towers read some 80 words at most
_MOST_PROMPTS = 100  # CLIP's authors use 80
_BATCH = 16


@dataclass(frozen=True)
class TextTower:
    """A text tower ready to run; safe to call from several threads.

    `tokens` converts a list of B texts to int64 (B, L), cut to the length that the tower was trained with;
    `encode` converts these to float32 (B, D), of any length. Each of `prompts` has `{}` where the text
    goes; their vectors are averaged. `sha256` changes when the vectors do: it is that of the tower and its
    tokenizer. `logit_scale` is what the model multiplies cosines by before a softmax. `dim` is D, if it is
    known. The two functions may raise `ModelError`. Towers that give the same vectors are equal.
    """

    tokens: Callable[[list[str]], Tokens] = field(compare=False)
    encode: Callable[[Tokens], Floats] = field(compare=False)
    sha256: str
    prompts: tuple[str, ...] = PROMPTS
    logit_scale: float = LOGIT_SCALE
    dim: int = 0
    name: str = field(default="the text tower", compare=False)

    def __post_init__(self) -> None:
        check_prompts(self.prompts)

    def vectors(self, texts: Sequence[str]) -> Floats:
        """Convert texts to unit vectors float32 (len(texts), D): the direction of the mean over the prompts.

        Raises `QueryError` for an empty text, one of more than 5,000 characters or one that is not Unicode,
        and `ModelError` if the tower fails or gives anything but finite numbers.
        """
        prompted = [prompt.replace("{}", _checked(text)) for text in texts for prompt in self.prompts]
        if not prompted:
            raise QueryError("there is no text to convert")
        batches = [prompted[at : at + _BATCH] for at in range(0, len(prompted), _BATCH)]
        threads = min(len(batches), cores())
        found = list(in_order(self._encoded, batches, threads, ahead=threads))
        each = unit(np.concatenate(found)).reshape(len(texts), len(self.prompts), -1)
        return unit(each.mean(axis=1))

    def vector(self, text: str) -> Floats:
        """Convert a text to a unit vector float32 (D,); raises as `vectors`."""
        return np.asarray(self.vectors([text])[0])

    def _encoded(self, texts: list[str]) -> Floats:
        """The vectors float32 (T, D) of texts, of any length; raises `ModelError` for invalid output."""
        found = np.asarray(self.encode(self.tokens(texts)))
        if found.ndim != 2 or len(found) != len(texts) or found.dtype.kind != "f":
            raise ModelError(
                f"{self.name} gave {found.dtype} of shape {found.shape} for {len(texts)} texts",
                "it has to give floats of shape (texts, dimensions)",
            )
        if self.dim not in (0, found.shape[1]):
            raise ModelError(
                f"{self.name} gives {found.shape[1]:,} dimensions, the network of the pictures {self.dim:,}",
                "bring the two towers of one model",
            )
        with np.errstate(over="ignore"):
            floats = np.asarray(found, np.float32)
        if not np.isfinite(floats).all():
            raise ModelError(
                f"{self.name} gave NaN or infinity", "its file is damaged, or was exported badly"
            )
        return floats


def check_prompts(prompts: Sequence[Any]) -> None:
    """Raise `ModelError` unless there are 1 to 100 prompts with one `{}` each."""
    if not 1 <= len(prompts) <= _MOST_PROMPTS:
        raise ModelError(f"there are {len(prompts):,} prompts", f"give from 1 to {_MOST_PROMPTS}")
    for prompt in prompts:
        if not isinstance(prompt, str) or prompt.count("{}") != 1 or len(prompt) > _MOST_CHARACTERS:
            raise ModelError(
                f"the prompt {_shortened(str(prompt))!r} has no place for the text",
                "a prompt has {} once: 'a photo of {}'",
            )


def without_padding(tokens: Tokens, pad_id: int) -> Tokens:
    """Cut tokens (B, L), padded on the right, behind the first padding of the longest text.

    That one is kept because it may be the end of the text. A word takes an eighth of the time then.
    """
    used = tokens.shape[1] - np.argmax(tokens[:, ::-1] != pad_id, axis=1)
    return np.ascontiguousarray(tokens[:, : int(used.max()) + 1])


def _checked(text: str) -> str:
    if len(text) > _MOST_CHARACTERS:
        raise QueryError(
            f"the text has {len(text):,} characters, the limit is {_MOST_CHARACTERS:,}", "use a shorter one"
        )
    if not text.strip():
        raise QueryError("the text is empty", "describe what the picture shows: a red car at night")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise QueryError(f"the text {_shortened(text)!r} is not Unicode", "type it anew") from None
    return text.strip()


def _shortened(text: str, most: int = 60) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
