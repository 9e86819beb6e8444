"""Small tokenizers of the kinds that text towers have, and texts that tell them apart."""

# ruff: noqa: RUF001

from __future__ import annotations

from collections.abc import Callable

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

TEXTS = (
    "a red car at night",
    "A Red Car At NIGHT! it's the dog's ball, isn't it? we'll see",
    "größe äöüß ÄÖÜ ẞ l'été à côté, naïve façade Ångström",
    "красная МАШИНА ночью",
    "ΟΔΥΣΣΕΥΣ και ΣΙΣΥΦΟΣ",
    "İstanbul ISTANBUL ıi",
    "夜の赤い車 红色的汽车 在 夜晚",
    "سيارة حمراء في الليل שלום עולם",
    "빨간 자동차 एक लाल कार ทุ่งหญ้า",
    "🌹",
    "a 🌹 and 👩‍👩‍👧 flag 🇩🇪 family",
    "ﬁne ﬃ ½ ² ① Ⅷ ｆｕｌｌ ａ　ｂ ～",
    "e\u0301 cafe\u0301 café",
    "two  spaces \t tab\nnew line\u00a0nbsp\u3000wide",
    "1234567 3.14 2,000 a_b-c/d\\e|f <b>html</b> &amp; co.",
    "...!?…—–“quotes”‘’ ▁under ▁score",
    "x" * 150,
    "word " * 99 + "word",
    "日本語テキスト" * 30,
    "<end> <pad> [SEP] </s> <|endoftext|>",
    "?",
)
_MARKS = r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]"
_SPLIT = r"""'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""


def trained_tokenizer(kind: str) -> Tokenizer:
    """A tokenizer with its <pad> as 0, that ends every text."""
    return _KINDS[kind]()


def _clip() -> Tokenizer:
    """Byte pairs in lower case, with marks at the ends of words."""
    tokenizer = Tokenizer(models.BPE(unk_token="<end>", end_of_word_suffix="</w>"))
    spaces = normalizers.Replace(Regex(r"\s+"), " ")
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), spaces, normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=900,
        special_tokens=["<pad>", "<start>", "<end>"],
        initial_alphabet=[*alphabet, *(f"{one}</w>" for one in alphabet)],
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    return _ended(tokenizer, trainer, "<start> $A <end>", ["<start>", "<end>"])


def _siglip2() -> Tokenizer:
    """SentencePiece's byte pairs, which spell what they do not know in bytes."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unknown>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    special = ["<pad>", "<end>", "<unknown>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=900, special_tokens=special, show_progress=False)
    return _ended(tokenizer, trainer, "$A <end>", ["<end>"])


def _siglip() -> Tokenizer:
    """SentencePiece's unigrams, of texts in lower case and without punctuation."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Lowercase(),
            normalizers.Replace(Regex(_MARKS), ""),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Strip(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=700,
        special_tokens=["<pad>", "<end>", "<unknown>"],
        unk_token="<unknown>",
        show_progress=False,
    )
    return _ended(tokenizer, trainer, "$A <end>", ["<end>"])


def _bert() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="<unknown>"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["<pad>", "<unknown>", "<start>", "<end>"]
    trainer = trainers.WordPieceTrainer(vocab_size=700, special_tokens=special, show_progress=False)
    return _ended(tokenizer, trainer, "<start> $A <end>", ["<start>", "<end>"])


def _words() -> Tokenizer:
    names = ["<pad>", "<unknown>", "<end>", *"a red car at night красная машина ночью 🌹 word".split()]
    tokenizer = Tokenizer(models.WordLevel({name: at for at, name in enumerate(names)}, "<unknown>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(["<pad>", "<end>"])
    tokenizer.post_processor = processors.TemplateProcessing(single="$A <end>", special_tokens=[("<end>", 2)])
    return tokenizer


def _ended(tokenizer: Tokenizer, trainer: object, template: str, special: list[str]) -> Tokenizer:
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    numbers = [(name, tokenizer.token_to_id(name)) for name in special]
    tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=numbers)
    assert tokenizer.token_to_id("<pad>") == 0
    return tokenizer


_KINDS: dict[str, Callable[[], Tokenizer]] = {
    "clip": _clip,
    "siglip2": _siglip2,
    "siglip": _siglip,
    "bert": _bert,
    "words": _words,
}
KINDS = tuple(_KINDS)
