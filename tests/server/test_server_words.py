"""Own words over HTTP: searched, said whose they are, and completed while they are typed."""

from __future__ import annotations

import httpx
import pytest
from serving import running

import lookalike


@pytest.fixture(scope="module")
def served(collection: lookalike.Collection):
    with running(collection) as url, httpx.Client(base_url=f"{url}api/photos/") as client:
        yield client


def test_a_search_for_a_label_says_that_it_is_one(served: httpx.Client) -> None:
    answer = served.post("search", json={"query": [{"text": "a meadow at dawn"}], "k": 3}).json()

    assert [hit["label"] for hit in answer["hits"]] == ["meadow"] * 3
    assert answer["words"] == [
        {
            "text": "a meadow at dawn",
            "words": [
                {
                    "word": "meadow",
                    "origin": "label",
                    "count": 14,
                    "said": "meadow: your label, 14 pictures",
                }
            ],
            "unknown": ["dawn"],
        }
    ]


def test_words_are_completed(served: httpx.Client) -> None:
    found = served.get("words", params={"start": "ME"}).json()

    assert [one["word"] for one in found] == ["meadow"]
    assert served.get("words", params={"start": ""}).json() == []
    assert served.get("words", params={"start": "x" * 1001}).status_code == 400


def test_a_word_has_a_vector(served: httpx.Client) -> None:
    assert len(served.post("embed", json={"text": "meadow"}).json()["vector"]) == 192


def test_an_unknown_word_is_a_problem_with_what_may_be_meant(served: httpx.Client) -> None:
    answer = served.post("search", json={"query": [{"text": "meadwo"}]})

    assert (answer.status_code, answer.json()["nearest"]) == (400, ["meadow"])
