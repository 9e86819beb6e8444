"""The tokens of a site's scripts against those of Python's `tokenizers`, by several kinds of tokenizers."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizing import KINDS, TEXTS, trained_tokenizer

from lookalike.errors import ModelError
from lookalike.export.npm import TOKENIZERS, package_files

SCRIPT = Path(__file__).parents[2] / "src" / "lookalike" / "web" / "static" / "tokens.js"
NODE = shutil.which("node")
pytestmark = [pytest.mark.process, pytest.mark.skipif(NODE is None, reason="node is not installed")]
OPTIONS = {"context_length": 24, "pad_id": 0, "pad_is_end": False, "pads_left": False, "lower_case": False}
# Reads {rules, options, texts}; says the tokens of each.
PROGRAM = """
import { readFileSync } from "node:fs";
const [library, script] = await Promise.all(process.argv.slice(1, 3).map((one) => import(one)));
const { rules, options, texts } = JSON.parse(readFileSync(0));
console.log(JSON.stringify(texts.map(script.tokenizerOf(library, rules, options))));
"""


@pytest.fixture(scope="module")
def library() -> str:
    """The address of the library that a site has."""
    try:
        return package_files(TOKENIZERS)["tokenizers.js"].as_uri()
    except ModelError as error:
        pytest.skip(str(error))


def in_javascript(library: str, tokenizer: Tokenizer, **options: Any) -> list[list[int]]:
    said = {"rules": json.loads(tokenizer.to_str()), "options": {**OPTIONS, **options}, "texts": TEXTS}
    command = [str(NODE), "--input-type=module", "-e", PROGRAM, library, SCRIPT.as_uri()]
    done = subprocess.run(
        command, input=json.dumps(said), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    found: list[list[int]] = json.loads(done.stdout)
    return found


def in_python(tokenizer: Tokenizer, length: int = 24, direction: str = "right") -> list[list[int]]:
    tokenizer.enable_truncation(max_length=length)
    tokenizer.enable_padding(length=length, pad_id=0, direction=direction)
    return [one.ids for one in tokenizer.encode_batch(list(TEXTS))]


@pytest.mark.parametrize("kind", KINDS)
def test_texts_become_pythons_tokens(library, kind):
    tokenizer = trained_tokenizer(kind)

    found = in_javascript(library, tokenizer)

    assert dict(zip(TEXTS, found, strict=True)) == dict(zip(TEXTS, in_python(tokenizer), strict=True))


def test_padding_may_come_first(library):
    tokenizer = trained_tokenizer("siglip2")

    found = in_javascript(library, tokenizer, pads_left=True)

    assert found == in_python(tokenizer, direction="left")


def test_a_text_is_cut_so_that_its_end_stays(library):
    tokenizer = trained_tokenizer("clip")

    found = in_javascript(library, tokenizer, context_length=5)

    assert found == in_python(tokenizer, length=5)
    assert {one[0] for one in found} == {tokenizer.token_to_id("<start>")}


def test_texts_are_lowered_first_if_the_model_says_so(library):
    tokenizer = trained_tokenizer("siglip2")
    lowered = Tokenizer.from_str(tokenizer.to_str())
    lowered.enable_truncation(max_length=24)
    lowered.enable_padding(length=24, pad_id=0)

    found = in_javascript(library, tokenizer, lower_case=True)

    assert found == [one.ids for one in lowered.encode_batch([text.lower() for text in TEXTS])]
