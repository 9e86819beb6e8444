"""The text tower of a model's folder: `text.onnx`, which converts tokens to vectors, and `tokenizer.json`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from stat import S_ISREG
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from lookalike.errors import ExtraError, LookalikeError, ModelError, QueryError, one_line
from lookalike.models.onnx_session import start
from lookalike.models.onnx_weights import checksum_of, files_of
from lookalike.models.text_tower import (
    LOGIT_SCALE,
    PROMPTS,
    TextTower,
    Tokens,
    check_prompts,
    without_padding,
)

TOWER, TOKENIZER = "text.onnx", "tokenizer.json"

_MOST_TOKENS = 4096
_MOST_SCALE = 1000.0
_MOST_BYTES = 100_000_000  # of a tokenizer; those of many languages have 34 MB
_INTEGERS: dict[str, Any] = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
_MASK = "attention_mask"


@dataclass(frozen=True, slots=True)
class TextOptions:
    """What `text` in a `model.json` says about the two files.

    `context_length` is the number of tokens (None: what the files say), `pad_id` the token that fills them up
    (None: what the tokenizer says). `lower_case` texts are put into lower case first. `output` is the name of
    the output, empty for the only one. With `cut_padding`, the padding after the longest text of a batch is
    left out: where tokens see none of those after them, this changes no vector, and so no checksum.
    """

    context_length: int | None = None
    pad_id: int | None = None
    lower_case: bool = False
    output: str = ""
    logit_scale: float = LOGIT_SCALE
    cut_padding: bool = False


def has_text(folder: Path) -> bool:
    """Whether a model's folder has a text tower."""
    return (folder / TOWER).exists() or (folder / TOKENIZER).exists()


def text_files(folder: Path) -> list[Path]:
    """The files of a text tower; raises `ModelError` if one is missing or is not a file."""
    for name, use in ((TOWER, "converts tokens to vectors"), (TOKENIZER, "converts text to tokens")):
        path = folder / name
        if not path.exists() or not S_ISREG(path.stat().st_mode):  # a pipe would be waited for
            raise ModelError(
                f"{folder} has no {name}, which {use}", f"a model with words has {TOWER} and {TOKENIZER}"
            )
    if path.stat().st_size > _MOST_BYTES:
        raise ModelError(f"{path} has more than {_MOST_BYTES:,} bytes", "it is not a tokenizer")
    return [*files_of(folder / TOWER), folder / TOKENIZER]


def text_tower(folder: Path, fields: dict[str, Any], device: str = "cpu") -> TextTower:
    """The text tower in a model's folder, by the fields of its `model.json`; it is opened when it is used.

    Raises `ModelError` if a file is missing or the description does not fit.
    """
    options = _options(folder, fields.get("text", {}))
    prompts = fields.get("prompts", list(PROMPTS))
    check_prompts(prompts if isinstance(prompts, list) else [prompts])
    checksum = _checksum(folder, options)
    if fields.get("text_sha256") not in (None, "", checksum):
        raise ModelError(
            f"{folder} has another text tower than its description says: its checksum is {checksum}",
            "bring the right files, or take `text_sha256` out of model.json",
        )
    opened = partial(_opened, folder, options, checksum, device)
    return TextTower(
        partial(_tokens, opened),
        partial(_encode, opened),
        checksum,
        tuple(prompts),
        options.logit_scale,
        name=str(folder / TOWER),
    )


def _checksum(folder: Path, options: TextOptions) -> str:
    """The checksum of all that decides a text's vector; raises `ModelError` if a file is missing."""
    *network, tokenizer = text_files(folder)
    said = [options.context_length, options.pad_id, options.lower_case, options.output]
    lines = [checksum_of(network), checksum_of([tokenizer]), *map(str, said)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _options(folder: Path, given: Any) -> TextOptions:
    """Read `text` of a `model.json`; raises `ModelError` for a value of another type or out of range."""
    if not isinstance(given, dict):
        raise ModelError(f"{folder}: text is {given!r}, it has to be an object")
    length, pad_id, scale = (given.get(name) for name in ("context_length", "pad_id", "logit_scale"))
    lower_case, cuts = given.get("lower_case", False), given.get("cut_padding", False)
    output = given.get("output", "")
    scale = LOGIT_SCALE if scale is None else scale
    for name, value, holds, wanted in (
        ("context_length", length, _is_whole(length, 1, _MOST_TOKENS), f"from 1 to {_MOST_TOKENS}"),
        ("pad_id", pad_id, _is_whole(pad_id, 0, 2**31 - 1), "the number of a token"),
        ("lower_case", lower_case, isinstance(lower_case, bool), "true or false"),
        ("cut_padding", cuts, isinstance(cuts, bool), "true or false"),
        ("output", output, isinstance(output, str), "a name"),
        ("logit_scale", scale, _is_scale(scale), f"a number above 0, at most {_MOST_SCALE:g}"),
    ):
        if not holds:
            raise ModelError(f"{folder}: {name} of text is {value!r}", f"it has to be {wanted}")
    return TextOptions(length, pad_id, lower_case, output, float(scale), cuts)


def _is_whole(value: Any, least: int, most: int) -> bool:
    return value is None or (type(value) is int and least <= value <= most)


def _is_scale(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value <= _MOST_SCALE


@dataclass(frozen=True)
class OpenedTower:
    """A tokenizer that pads and cuts to a `length`, and the network that takes its tokens.

    `dtype` and `batch` are those that the network takes, `batch` None if any. `takes_mask` says whether it
    wants to know which tokens are padding; `pad_is_end` whether `pad_id` also ends every text, as in CLIP;
    `pads_left` whether padding comes before a text; `cuts_padding` whether what follows one may be missing.
    """

    tokenizer: Any
    session: onnxruntime.InferenceSession
    path: Path
    input_name: str
    output_name: str
    dtype: Any
    batch: int | None
    takes_mask: bool
    length: int
    pad_id: int
    pad_is_end: bool
    pads_left: bool
    lower_case: bool
    cuts_padding: bool

    def tokens(self, texts: list[str]) -> Tokens:
        """The tokens of texts, int64 (len(texts), length); raises `QueryError` if the tokenizer fails."""
        given = [text.lower() for text in texts] if self.lower_case else texts
        try:
            found = self.tokenizer.encode_batch(given)
        except Exception as error:
            raise QueryError(
                f"the tokenizer fails on this text: {one_line(error)}", "use other words"
            ) from None
        return np.array([one.ids for one in found], np.int64).reshape(len(texts), -1)


def opened_tower(folder: Path, fields: dict[str, Any], device: str = "cpu") -> OpenedTower:
    """Open the text tower in a model's folder, by the fields of its `model.json`; raises as `text_tower`."""
    options = _options(folder, fields.get("text", {}))
    return _opened(folder, options, _checksum(folder, options), device)


@lru_cache(maxsize=2)
def _opened(folder: Path, options: TextOptions, checksum: str, device: str) -> OpenedTower:
    """Open the two files; the checksum is here so that changed ones are opened anew."""
    path = folder / TOWER
    tokenizer = _tokenizer(folder / TOKENIZER)
    session = _session(path, device)
    ids, takes_mask = _input(session, path)
    length = ids.shape[1] if isinstance(ids.shape[1], int) else None
    wanted, pad_id = _padding(tokenizer, folder, options, length)
    padding = tokenizer.padding or {}
    direction = padding.get("direction", "right")
    if options.cut_padding:
        _check_cut(folder, length, direction)
    pad_is_end = [pad_id] == tokenizer.encode("a").ids[-1:] if not padding else False
    tokenizer.enable_truncation(max_length=wanted)
    tokenizer.enable_padding(length=wanted, pad_id=pad_id, direction=direction)
    return OpenedTower(
        tokenizer,
        session,
        path,
        ids.name,
        _output(session, path, options.output),
        _INTEGERS[ids.type],
        ids.shape[0] if isinstance(ids.shape[0], int) else None,
        takes_mask,
        length=wanted,
        pad_id=pad_id,
        pad_is_end=pad_is_end,
        pads_left=direction == "left",
        lower_case=options.lower_case,
        cuts_padding=options.cut_padding,
    )


def _session(path: Path, device: str) -> onnxruntime.InferenceSession:
    try:
        return start(str(path), device)
    except LookalikeError:
        raise
    except Exception as error:
        raise ModelError(f"onnxruntime cannot run {path}: {one_line(error)}") from None


def _padding(tokenizer: Any, folder: Path, options: TextOptions, length: int | None) -> tuple[int, int]:
    """The number of tokens of a text, and the token that pads it; `length` is what the network takes."""
    truncation, padding = tokenizer.truncation or {}, tokenizer.padding or {}
    wanted = options.context_length or length or truncation.get("max_length") or padding.get("length")
    pad_id = padding.get("pad_id") if options.pad_id is None else options.pad_id
    if wanted is None or pad_id is None:
        missing = "context_length" if wanted is None else "pad_id"
        raise ModelError(
            f"{folder} does not say how its texts are padded",
            f'add to model.json: "text": {{"{missing}": …}}',
        )
    if length not in (None, wanted):
        raise ModelError(
            f"{folder / TOWER} takes {length} tokens, not {wanted}", "correct `context_length` in model.json"
        )
    return wanted, pad_id


def _check_cut(folder: Path, length: int | None, direction: str) -> None:
    """Raise `ModelError` if the padding of texts cannot be left out."""
    if length is None and direction != "left":
        return
    raise ModelError(
        f"{folder / TOWER} needs its padding: it takes {length} tokens"
        if length
        else f"{folder / TOKENIZER} pads texts on the left",
        "take `cut_padding` out of model.json",
    )


def _tokenizer(path: Path) -> Any:
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise ExtraError("words need the package tokenizers for this model", "words") from None
    try:
        return Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # what it raises is an Exception itself
        raise ModelError(
            f"{path} is not a tokenizer: {one_line(error)}", "it has the form of Hugging Face's tokenizers"
        ) from None


def _input(session: onnxruntime.InferenceSession, path: Path) -> tuple[Any, bool]:
    """The input for tokens, and whether there is one for the attention mask."""
    inputs = session.get_inputs()
    said = ", ".join(f"{one.name}: {one.type} of shape {one.shape}" for one in inputs)
    ids = [one for one in inputs if one.name != _MASK]
    if len(ids) != 1 or ids[0].type not in _INTEGERS or len(ids[0].shape) != 2:
        raise ModelError(
            f"{path} takes {said}", f"export it with one input of int64 (batch, tokens), perhaps {_MASK} too"
        )
    return ids[0], len(inputs) > 1


def _output(session: onnxruntime.InferenceSession, path: Path, name: str) -> str:
    names = [one.name for one in session.get_outputs()]
    if name in names or (not name and len(names) == 1):
        return name or str(names[0])
    said = f"no output {name!r}" if name else f"{len(names)} outputs"
    raise ModelError(
        f"{path} has {said}: {', '.join(names)}", 'say which in model.json: "text": {"output": name}'
    )


# Module functions, so that a tower can be pickled.


def _tokens(opened: Any, texts: list[str]) -> Tokens:
    tower: OpenedTower = opened()
    return tower.tokens(texts)


def _encode(opened: Any, tokens: Tokens) -> NDArray[Any]:
    tower: OpenedTower = opened()
    step = tower.batch or len(tokens)
    if tower.cuts_padding:
        tokens = without_padding(tokens, tower.pad_id)
    found = []
    for first in range(0, len(tokens), step):
        some = tokens[first : first + step]
        padded = np.concatenate([some, some[-1:].repeat(step - len(some), 0)])
        found.append(_run(tower, padded)[: len(some)])
    return np.concatenate(found)


def _run(tower: OpenedTower, tokens: Tokens) -> NDArray[Any]:
    given = {tower.input_name: tokens.astype(tower.dtype)}
    if tower.takes_mask:
        given[_MASK] = _mask(tower, tokens).astype(tower.dtype)
    try:
        (found,) = tower.session.run([tower.output_name], given)
    except Exception as error:
        raise ModelError(f"{tower.path} fails on tokens {tokens.shape}: {one_line(error)}") from None
    return np.atleast_1d(found)  # also of a single number, which is not what is wanted


def _mask(tower: OpenedTower, tokens: Tokens) -> NDArray[np.bool_]:
    """Which tokens are not padding."""
    mask = tokens != tower.pad_id
    if tower.pad_is_end:  # the first one after the text is its end
        mask |= ~mask & (np.cumsum(~mask, axis=1) == 1)
    return np.asarray(mask)
