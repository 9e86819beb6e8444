"""How likely a picture shows what a text names, by a text tower, and tags by a list.

The towers are drawn: a word's vector is the mean of its pictures plus noise, as far off as CLIP's are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from lookalike.errors import ModelError
from lookalike.models import tower_words
from lookalike.models.text_tower import TextTower
from lookalike.models.tower_words import background_words, presence, tags_of

DIM = 512
SHOWN = [f"shown {number}" for number in range(20)]
ABSENT = [f"absent {number}" for number in range(100)]
EACH = 20


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


class Drawn:
    """A world of words and pictures: texts lie in one cone and pictures in another, as those of CLIP do.

    Half of the pictures show things of `SHOWN`, EACH of them, the others words of the background.
    """

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        cone, other = unit(rng.normal(size=(2, DIM)))
        pictures_cone = unit(0.25 * cone + 0.97 * other)
        self.names = [*SHOWN, *ABSENT, *background_words()]
        things = unit(rng.normal(size=(len(self.names), DIM)))
        self.rows = {name: row for row, name in enumerate(self.names)}
        self.words = unit(0.8 * cone + 0.6 * unit(things + unit(rng.normal(size=things.shape))))
        shown = [*SHOWN, *background_words()[:20]] * EACH
        seen = things[[self.rows[name] for name in shown]]
        noise = 2 * unit(rng.normal(size=seen.shape))
        self.shown = np.array(shown)
        self.pictures = unit(0.75 * pictures_cone + 0.66 * unit(seen + noise)).astype(np.float32)

    def tower(self, logit_scale: float = 100.0) -> TextTower:
        return TextTower(self._tokens, self._encode, "f" * 64, ("{}",), logit_scale)

    def _tokens(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([[self.rows[text]] for text in texts])

    def _encode(self, tokens: np.ndarray) -> np.ndarray:
        return self.words[tokens[:, 0]].astype(np.float32)

    def best(self, word: str) -> float:
        """The presence in the first hit of a search for a word."""
        cosines = self.pictures @ self.words[self.rows[word]]
        return float(presence(self.tower(), word, self.pictures[[cosines.argmax()]])[0])


def towards(drawn: Drawn, *words: str) -> np.ndarray:
    """A picture (1, D) in the direction of the mean of words."""
    mean = np.mean([drawn.words[drawn.rows[word]] for word in words], axis=0)
    return unit(mean[None]).astype(np.float32)


def forget() -> None:
    """Forget the vectors that are held in memory."""
    tower_words._stored.cache_clear()
    tower_words._least_of_kin.cache_clear()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    forget()
    return tmp_path / "cache" / "lookalike" / "words"


@pytest.fixture(scope="module")
def drawn() -> Iterator[Drawn]:
    yield Drawn()


def test_the_background_has_326_words_each_once():
    assert len(set(background_words())) == len(background_words()) == 326
    assert {"person", "ice cream", "x-ray"} < set(background_words())


# Confidence


def test_the_drawn_pictures_are_as_near_to_words_as_those_of_clip(drawn):
    right = np.sum(drawn.pictures * drawn.words[[drawn.rows[name] for name in drawn.shown]], axis=1)
    others = drawn.pictures @ drawn.words[: len(SHOWN) + len(ABSENT)].T

    assert 0.25 < right.mean() < 0.31
    assert 0.13 < np.median(others) < 0.19


def test_a_word_with_pictures_is_found_with_confidence(drawn):
    assert np.mean([drawn.best(word) >= 0.5 for word in SHOWN]) >= 0.95


def test_a_word_without_a_picture_is_rarely_confident(drawn):
    assert np.mean([drawn.best(word) >= 0.5 for word in ABSENT]) <= 0.05


def test_pictures_of_a_word_are_likelier_to_show_it_than_others(drawn):
    chances = np.array([presence(drawn.tower(), word, drawn.pictures) for word in SHOWN])

    right = np.array([drawn.shown == word for word in SHOWN])
    assert chances[right].mean() > 0.8
    assert chances[~right].mean() < 0.01


def test_the_probability_is_that_of_a_softmax_over_the_text_and_the_background(drawn):
    tower, picture = drawn.tower(logit_scale=30.0), drawn.pictures[:1]
    words = np.stack([drawn.words[drawn.rows[word]] for word in background_words()])
    pairs = (words @ words.T)[np.triu_indices(len(words), 1)]
    text = drawn.words[drawn.rows["shown 3"]]
    rivals = [one for one in words if one @ text < np.quantile(pairs, 0.99)]
    logits = 30 * np.array([text @ picture[0], *(one @ picture[0] for one in rivals)])

    expected = np.exp(logits[0]) / np.exp(logits).sum()
    assert presence(tower, "shown 3", picture)[0] == pytest.approx(expected, rel=1e-3)


def test_a_word_does_not_compete_with_itself_and_its_synonyms(drawn):
    word = background_words()[0]
    pictures = drawn.pictures[drawn.shown == word]

    assert presence(drawn.tower(), word, pictures).mean() > 0.8


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1000.0])
def test_a_probability_is_a_number_at_any_scale(drawn, scale):
    found = presence(drawn.tower(scale), "absent 1", drawn.pictures)

    assert found.dtype == np.float32
    assert ((found >= 0) & (found <= 1)).all()


# Tags


def test_a_tag_of_the_list_is_shown_where_it_is_likely_right(drawn):
    found = tags_of(drawn.tower(), (*SHOWN, *ABSENT), drawn.pictures)

    given = [(name, shown) for tags, shown in zip(found, drawn.shown, strict=True) for name, _ in tags]
    with_tag = np.mean([bool(tags) for tags, shown in zip(found, drawn.shown, strict=True) if shown in SHOWN])
    assert np.mean([name == shown for name, shown in given]) >= 0.97
    assert with_tag >= 0.9


def test_tags_have_their_probabilities_the_likeliest_first(drawn):
    found = tags_of(
        drawn.tower(), ("absent 1", "shown 3", "shown 4"), towards(drawn, "shown 3", "shown 3", "shown 4")
    )

    ((tag, chance),) = found[0]
    assert tag == "shown 3"
    assert 0.99 < chance <= 1


def test_a_picture_of_two_things_can_have_both_tags(drawn):
    found = tags_of(drawn.tower(), ("shown 3", "shown 4", "absent 1"), towards(drawn, "shown 3", "shown 4"))

    assert {tag for tag, _ in found[0]} == {"shown 3", "shown 4"}
    assert all(0.4 <= chance <= 0.5001 for _, chance in found[0])


def test_synonyms_in_a_list_do_not_compete_and_a_picture_has_at_most_five_tags(drawn):
    names = tuple(["shown 0"] * 8)

    assert [len(tags) for tags in tags_of(drawn.tower(), names, towards(drawn, "shown 0"))] == [5]


def test_an_empty_list_gives_no_tags(drawn):
    assert tags_of(drawn.tower(), (), drawn.pictures[:3]) == [[], [], []]


# The vectors of the background are computed once


def test_the_vectors_of_the_background_are_kept_in_the_cache_folder(drawn, cache):
    calls = []

    def encode(tokens: np.ndarray) -> np.ndarray:
        calls.append(len(tokens))
        return drawn._encode(tokens)

    def tower() -> TextTower:
        forget()  # as in another process
        return TextTower(drawn._tokens, encode, "e" * 64, ("{}",))

    first = presence(tower(), "shown 1", drawn.pictures[:9])
    assert sum(calls) == 326 + 1
    again = presence(tower(), "shown 1", drawn.pictures[:9])

    assert sum(calls) == 326 + 2
    assert np.array_equal(first, again)
    assert [path.suffix for path in cache.iterdir()] == [".npy"]


def test_the_background_is_computed_even_for_no_pictures(drawn, cache):
    tower = TextTower(drawn._tokens, drawn._encode, "a" * 64, ("{}",))

    assert presence(tower, "shown 1", np.empty((0, DIM), np.float32)).shape == (0,)
    assert len(list(cache.iterdir())) == 1


@pytest.mark.parametrize("data", [b"", b"\x93NUMPY", b"nothing", b"\x80\x04N."])
def test_a_damaged_file_in_the_cache_is_computed_again(drawn, cache, data):
    def tower() -> TextTower:
        return TextTower(drawn._tokens, partial(drawn._encode), "d" * 64, ("{}",))

    expected = presence(tower(), "shown 1", drawn.pictures[:9])
    (path,) = cache.iterdir()
    path.write_bytes(data)
    forget()

    assert np.array_equal(presence(tower(), "shown 1", drawn.pictures[:9]), expected)


def test_a_cache_that_cannot_be_written_is_done_without(drawn, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    tower = TextTower(drawn._tokens, drawn._encode, "c" * 64, ("{}",))

    assert presence(tower, "shown 1", drawn.pictures[:9]).shape == (9,)


def test_a_tower_of_other_dimensions_than_the_model_is_refused_before_tags(drawn):
    tower = TextTower(drawn._tokens, drawn._encode, "b" * 64, ("{}",), dim=DIM + 1)

    with pytest.raises(ModelError, match="gives 512 dimensions, the network of the pictures 513"):
        tags_of(tower, ("shown 1",), np.ones((1, DIM + 1), np.float32))


def test_a_long_computation_says_how_far_it_is(monkeypatch, caplog):
    monkeypatch.setattr(tower_words, "_SAID_EVERY_S", -1.0)
    caplog.set_level("INFO")
    drawn = Drawn()

    drawn.best(SHOWN[0])

    said = [one.getMessage() for one in caplog.records]
    assert said[0] == "computing the vectors of 326 words by the text tower, once"
    assert said[1:] == [f"{count} of 326 words" for count in range(32, 326, 32)]
