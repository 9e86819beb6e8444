"""Tiny text towers as ONNX files, with a real tokenizer, whose words point where a test wants them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from conftest import CLASSES, picture, write_picture
from networks import save, write_network
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

import lookalike
from lookalike.models.tower_words import background_words

LENGTH = 12
PIXELS = {"mean": [0.4] * 3, "std": [0.1] * 3}
PAD, END, UNKNOWN = "<pad>", "<end>", "<unknown>"


def train_tokenizer(words: Sequence[str]) -> Tokenizer:
    """A tokenizer of whole words, in lower case, that ends every text; trained on the words."""
    tokenizer = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.train_from_iterator(
        [" ".join(word for word in words if word not in (PAD, END, UNKNOWN))],
        trainers.WordLevelTrainer(special_tokens=[PAD, END, UNKNOWN], show_progress=False),
    )
    end = tokenizer.token_to_id(END)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"$A {END}", special_tokens=[(END, end)])
    return tokenizer


def write_text_tower(
    folder: Path,
    vectors: Mapping[str, np.ndarray],
    *,
    length: int | str = LENGTH,
    batch: int | str = "batch",
    dtype: str = "float32",
    mask: bool = False,
    outputs: Sequence[str] = ("vectors",),
) -> None:
    """Write `text.onnx` and `tokenizer.json`: a text's vector is the sum of those of its words.

    Words without a vector, such as those of a prompt, count nothing. With `mask`, padding counts as
    [1, 0, ...], unless the attention mask takes it out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer([word for name in vectors for word in name.split()])
    tokenizer.save(str(folder / "tokenizer.json"))
    dim = len(next(iter(vectors.values())))
    table = np.zeros((tokenizer.get_vocab_size(), dim), np.float32)
    for name, vector in vectors.items():
        for word in name.split():  # the last name with a word decides
            table[tokenizer.token_to_id(word.lower())] = vector
    if mask:
        table[tokenizer.token_to_id(PAD), 0] = 1
    to = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16}[dtype]
    inputs = [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [batch, length])]
    nodes, last = [helper.make_node("Gather", ["table", "input_ids"], ["rows"])], "rows"
    if mask:
        inputs.append(helper.make_tensor_value_info("attention_mask", TensorProto.INT64, [batch, length]))
        nodes += [
            helper.make_node("Cast", ["attention_mask"], ["shares"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["shares", "last_axis"], ["columns"]),
            helper.make_node("Mul", ["rows", "columns"], ["kept"]),
        ]
        last = "kept"
    nodes.append(helper.make_node("ReduceSum", [last, "axis"], ["sums"], keepdims=0))
    nodes += [helper.make_node("Cast", ["sums"], [name], to=to) for name in outputs]
    graph = helper.make_graph(
        nodes,
        "tower",
        inputs,
        [helper.make_tensor_value_info(name, to, [None, None]) for name in outputs],
        [
            numpy_helper.from_array(table, "table"),
            numpy_helper.from_array(np.array([1]), "axis"),
            numpy_helper.from_array(np.array([2]), "last_axis"),
        ],
    )
    save(folder / "text.onnx", graph)


def write_model(folder: Path, vectors: Mapping[str, np.ndarray] | None = None, **tower: Any) -> Path:
    """Write the folder of a model of 8 dimensions and 32 px, with the words of `vectors` if there are any."""
    write_network(folder / "image.onnx")
    if vectors:
        write_text_tower(folder, vectors, **tower)
    describe(folder, text={"pad_id": 0, "context_length": LENGTH} if vectors else None)
    return folder


def describe(folder: Path, **fields: Any) -> None:
    """Write `model.json` of a folder."""
    said = {name: value for name, value in fields.items() if value is not None}
    (folder / "model.json").write_text(json.dumps({"name": "tiny-clip", "size_px": 32, **said}))


def write_model_of_classes(folder: Path) -> Path:
    """Write a model that knows the words brick, meadow and sea: each points to the middle of its pictures.

    All other words point at right angles to these.
    """
    write_network(folder / "image.onnx")
    describe(folder, **PIXELS)
    model = lookalike.load_model(f"{folder}/")
    seen = {name: model.embed([picture(seed, color) for seed in range(8)]) for name, color in CLASSES.items()}
    middles = np.stack([vectors.mean(axis=0) for vectors in seen.values()])
    elsewhere = np.linalg.svd(middles)[2][len(middles) :]
    rng = np.random.default_rng(0)
    others = {word: rng.normal(size=len(elsewhere)) @ elsewhere for word in (UNKNOWN, *background_words())}
    of_classes = dict(zip(seen, middles - middles.mean(axis=0), strict=True))
    write_text_tower(folder, {**others, **of_classes})
    describe(folder, text={"pad_id": 0, "context_length": LENGTH}, prompts=["{}"], **PIXELS)
    return folder


def write_numbered(folder: Path, count: int) -> Path:
    """Write pictures whose names do not say what they show: 0.png brick, 1.png meadow, 2.png sea, and on."""
    for number in range(count):
        write_picture(folder / f"{number}.png", number, list(CLASSES.values())[number % 3])
    return folder
