"""The words of open_clip's models: their tower for texts, and a `tokenizer.json` of their tokenizer."""

from __future__ import annotations

import string
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.models.torch_network import library, only_output
from lookalike.models.torch_text import TOKENIZER, TorchText, padding_of

if TYPE_CHECKING:
    import torch

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
    is_causal = padding_side == "right" and _is_causal(whole)
    encode = _causal_features if is_causal else lambda one, tokens: one.encode_text(tokens)
    if is_causal:
        for block in whole.transformer.resblocks:
            block.attn = _attention(block.attn)
    return TorchText(
        only_output(whole, encode),
        tokenizer or _simple(),
        length=config.get("context_length", 77),
        pad_id=pad_id,
        lower_case=False,
        logit_scale=float(whole.logit_scale.exp()),
        padding_side=padding_side,
        is_causal=is_causal,
    )


def _is_causal(whole: Any) -> bool:
    """Whether it is CLIP's own tower, in which tokens see only those before them, and the end is taken."""
    import torch

    if getattr(whole, "attn_mask", None) is None or whole.text_pool_type not in ("argmax", "eos"):
        return False
    layers = [getattr(block, "attn", None) for block in whole.transformer.resblocks]
    return all(isinstance(one, torch.nn.MultiheadAttention) and one.batch_first for one in layers)


def _causal_features(whole: Any, tokens: torch.Tensor) -> torch.Tensor:
    """What `encode_text` gives, which itself takes only texts of full length."""
    count = tokens.shape[1]
    rows = whole.token_embedding(tokens) + whole.positional_embedding[:count]
    rows = whole.ln_final(whole.transformer(rows, attn_mask=whole.attn_mask[:count, :count]))
    pool = library("open_clip", "open-clip").transformer.text_global_pool
    found = pool(rows, tokens, whole.text_pool_type, eos_token_id=getattr(whole, "text_eos_id", None))
    last = whole.text_projection
    return found if last is None else last(found) if callable(last) else found @ last


def _attention(own: Any) -> torch.nn.Module:
    """What a `MultiheadAttention` does, in steps that can be exported for texts of any length."""
    import torch

    class Attention(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.own = own

        def forward(
            self, rows: torch.Tensor, *_same: torch.Tensor, attn_mask: torch.Tensor, need_weights: bool
        ) -> tuple[torch.Tensor, None]:
            batch, count, _ = rows.shape
            joined = torch.nn.functional.linear(rows, own.in_proj_weight, own.in_proj_bias)
            parts = joined.view(batch, count, 3, own.num_heads, -1).permute(2, 0, 3, 1, 4)
            found = torch.nn.functional.scaled_dot_product_attention(*parts, attn_mask=attn_mask)
            return own.out_proj(found.transpose(1, 2).flatten(2)), None

    return Attention()


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
