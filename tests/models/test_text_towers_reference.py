"""Text towers against the library that publishes them: CLIP of transformers, with random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from networks import write_network
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from towers import describe

import lookalike

pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("ignore")]

DIM, LENGTH, SIZE = 8, 16, 300
TEXTS = [
    "a photo of a cat",
    "A RED car, at night!",
    "",
    "straße 犬 🚗",
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen",
]


def byte_level_tokenizer() -> Tokenizer:
    """A tokenizer of CLIP's kind, trained on a few texts: byte pairs, lower case, start and end."""
    tokenizer = Tokenizer(models.BPE(unk_token="<end>", end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        [*TEXTS, "the cat sat on the mat", "at night all cats are grey"],
        trainers.BpeTrainer(
            vocab_size=SIZE - 2,
            special_tokens=[],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            end_of_word_suffix="</w>",
            show_progress=False,
        ),
    )
    tokenizer.add_special_tokens(["<start>", "<end>"])  # last, as in CLIP, which finds the end by its number
    ends = [(name, tokenizer.token_to_id(name)) for name in ("<start>", "<end>")]
    tokenizer.post_processor = processors.TemplateProcessing(single="<start> $A <end>", special_tokens=ends)
    return tokenizer


@pytest.mark.parametrize("takes_mask", [False, True])
def test_a_text_tower_of_clip_gives_the_vectors_of_transformers(tmp_path: Path, takes_mask: bool) -> None:
    torch = pytest.importorskip("torch")
    try:  # transformers imports it where it is there
        import torchvision  # noqa: F401
    except RuntimeError:  # it has no operators that work here: it can be imported once they are declared
        declared = torch.library.Library("torchvision", "FRAGMENT")
        for operator in ("nms", "qnms"):
            declared.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    except ImportError:
        pass
    transformers = pytest.importorskip("transformers")
    tokenizer = byte_level_tokenizer()
    folder = tmp_path / "model"
    write_network(folder / "image.onnx")
    tokenizer.save(str(folder / "tokenizer.json"))
    end = tokenizer.token_to_id("<end>")
    torch.manual_seed(0)
    config = transformers.CLIPTextConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=LENGTH,
        projection_dim=DIM,
        bos_token_id=tokenizer.token_to_id("<start>"),
        eos_token_id=end,
        pad_token_id=end,
    )
    clip = transformers.CLIPTextModelWithProjection(config).eval().requires_grad_(False)
    for weights in clip.parameters():
        torch.nn.init.normal_(weights, std=0.3)

    class Tower(torch.nn.Module):
        def forward(self, tokens, mask=None):
            return clip(input_ids=tokens, attention_mask=mask).text_embeds

    tokens = torch.zeros((2, LENGTH), dtype=torch.int64)
    names = ["input_ids", "attention_mask"][: 1 + takes_mask]
    torch.onnx.export(
        Tower().eval(),
        (tokens, torch.ones_like(tokens))[: 1 + takes_mask],
        str(folder / "text.onnx"),
        input_names=names,
        output_names=["text_embeds"],
        dynamic_axes={name: {0: "batch"} for name in [*names, "text_embeds"]},
        opset_version=17,
        dynamo=False,
    )
    describe(folder, text={"pad_id": end, "context_length": LENGTH}, prompts=["{}"])
    model = lookalike.load_model(f"{folder}/")

    theirs = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<end>", bos_token="<start>", pad_token="<end>"
    )
    for text in filter(None, TEXTS):
        given = theirs(text, padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt")
        with torch.no_grad():
            vector = clip(input_ids=given.input_ids, attention_mask=given.attention_mask).text_embeds[0]
        expected = vector.numpy() / np.linalg.norm(vector.numpy())
        assert model.embed_text(text) @ expected >= 0.9999
