"""The words of open_clip's models: their tower for texts, and a `tokenizer.json` of their tokenizer."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

from lookalike.models.torch_network import library, only_output
from lookalike.models.torch_text import TOKENIZER, TorchText, padding_of

_SPLIT = r"""'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""


def tokenizer_of(config: dict[str, Any], name: str, folder: Path) -> bytes | None:
    """What stands for the tokenizer in a checksum; None if it is of a kind that is not supported.

    `config` is the `text_cfg` of the model, `folder` has its files.
    """
    said = config.get("tokenizer_kwargs", {})
    if config.get("hf_tokenizer_name") or config.get("hf_model_name"):
        is_plain = not config.get("tokenizer_mode") and {*said} <= {"clean"}
        return (folder / TOKENIZER).read_bytes() if is_plain and (folder / TOKENIZER).is_file() else None
    return None if said or "siglip" in name.lower() else b"SimpleTokenizer of open_clip"


def text_of(whole: Any, config: dict[str, Any], folder: Path) -> TorchText:
    """The tower for texts of a model that is loaded, with its tokenizer."""
    pad_id, padding_side, tokenizer = 0, "right", ""
    if config.get("hf_tokenizer_name") or config.get("hf_model_name"):
        pad_id, padding_side = padding_of(folder, pad_id)
        clean = config.get("tokenizer_kwargs", {}).get("clean", "whitespace")
        tokenizer = _cleaned((folder / TOKENIZER).read_text("utf-8"), clean)
    return TorchText(
        only_output(whole, lambda one, tokens: one.encode_text(tokens)),
        tokenizer or _simple(),
        length=config.get("context_length", 77),
        pad_id=pad_id,
        lower_case=False,
        logit_scale=float(whole.logit_scale.exp()),
        padding_side=padding_side,
    )


def _simple() -> str:
    """open_clip's own tokenizer, CLIP's byte pairs, as transformers writes that of CLIP."""
    tokenizers = library("tokenizers", "words")
    regex, normalizers, pre_tokenizers = tokenizers.Regex, tokenizers.normalizers, tokenizers.pre_tokenizers
    own = library("open_clip", "open-clip").tokenizer.SimpleTokenizer()
    start, end = ((own.decoder[number], number) for number in (own.sot_token_id, own.eot_token_id))
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.BPE(own.encoder, list(own.bpe_ranks), end_of_word_suffix="</w>", unk_token=end[0])
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(regex(_SPLIT), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.post_processor = tokenizers.processors.RobertaProcessing(
        end, start, trim_offsets=False, add_prefix_space=False
    )
    return str(tokenizer.to_str())


def _cleaned(tokenizer: str, clean: str) -> str:
    """A tokenizer that first cleans texts as open_clip does: white space, capitals, punctuation."""
    tokenizers = library("tokenizers", "words")
    regex, normalizers = tokenizers.Regex, tokenizers.normalizers
    found = tokenizers.Tokenizer.from_str(tokenizer)
    steps: list[Any] = [normalizers.Lowercase()] if clean in ("lower", "canonicalize") else []
    if clean == "canonicalize":
        marks = "".join(f"\\{one}" for one in string.punctuation)
        steps.append(normalizers.Replace(regex(f"[{marks}]"), ""))
    steps += [normalizers.Replace(regex(r"\s+"), " "), normalizers.Strip()]
    found.normalizer = normalizers.Sequence([*steps, *([found.normalizer] if found.normalizer else [])])
    return str(found.to_str())
