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


def test_marks_refine_a_query_and_are_left_out(served: httpx.Client) -> None:
    like = [f"sea/sea-{number:03}.png" for number in (2, 5, 8)]
    unlike = [f"brick/brick-{number:03}.jpg" for number in (0, 3, 6)]
    query = [{"id": "sea/sea-011.png"}]

    answer = served.post("search", json={"query": query, "like": like, "unlike": unlike, "k": 5}).json()

    assert [hit["label"] for hit in answer["hits"]] == ["sea"] * 5
    assert answer["refined"] in ("rocchio", "lda", "svm")
    assert answer["left_out"] == 7
    assert not {hit["id"] for hit in answer["hits"]} & {*like, *unlike}


@pytest.mark.parametrize("marks", [{"like": "a"}, {"like": [1]}, {"unlike": ["x"] * 201}])
def test_bad_marks_are_named(served: httpx.Client, marks: dict) -> None:
    answer = served.post("search", json={"query": [{"id": "sea/sea-011.png"}], **marks})

    assert answer.status_code == 400
    assert answer.json()["field"].startswith(next(iter(marks)))


def test_a_colour_is_searched_for_but_has_no_vector(served: httpx.Client) -> None:
    answer = served.post("search", json={"query": [{"text": "blue"}], "k": 3}).json()

    assert [hit["label"] for hit in answer["hits"]] == ["sea"] * 3
    assert answer["words"][0]["words"][0]["origin"] == "color"
    assert served.post("embed", json={"text": "blue"}).json()["detail"] == "a colour has no vector"
