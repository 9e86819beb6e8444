"""What is said of pictures over HTTP: labels, proposals, taught words; kept whole, and taken back."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator

import httpx
import pytest
from serving import problem, running

import lookalike

SEA, OTHER, BRICK = "sea/sea-002.png", "sea/sea-005.png", "brick/brick-000.jpg"


@pytest.fixture
def client(copied: lookalike.Collection) -> Iterator[httpx.Client]:
    """A client of a server of 42 pictures, whose answers about them are under `/`."""
    with running(copied) as url, httpx.Client(base_url=f"{url}api/copied/") as client:
        yield client


def say(client: httpx.Client, kind: str, ids: list[str], value: object) -> dict:
    answer = client.post("marks", json={"kind": kind, "ids": ids, "value": value})
    assert answer.status_code == 200, answer.text
    return answer.json()


def label_of(client: httpx.Client, id_: str) -> str:
    return client.get(f"items/{id_}").json()["label"]


def told(client: httpx.Client, id_: str) -> dict:
    """What is said of an item, by kind."""
    return {one["kind"]: one["value"] for one in client.get("marks", params={"id": id_}).json()}


def test_a_label_is_given_seen_at_once_and_taken_back(client: httpx.Client) -> None:
    answer = say(client, "label", [SEA, OTHER], "ocean")

    assert answer["marks"][0] == {"kind": "label", "ids": [SEA, OTHER], "value": "ocean"}
    assert [label_of(client, id_) for id_ in (SEA, OTHER)] == ["ocean", "ocean"]
    assert told(client, SEA) == {"label": "ocean"}
    assert answer["undo"] == [{"kind": "label", "ids": [SEA, OTHER], "value": None}]
    assert client.post("marks", json=answer["undo"]).status_code == 200
    assert label_of(client, SEA) == "sea"


def test_undoing_a_correction_brings_the_label_back_that_was_given_before(client: httpx.Client) -> None:
    say(client, "label", [SEA], "ocean")
    answer = say(client, "label", [SEA], "lake")

    client.post("marks", json=answer["undo"])

    assert label_of(client, SEA) == "ocean"


def test_another_column_gets_labels_too(client: httpx.Client) -> None:
    say(client, "label:mood", [SEA], "calm")
    assert client.get(f"items/{SEA}").json()["mood"] == "calm"


def test_proposals_are_listed_confirmed_by_their_label_and_rejected(
    client: httpx.Client, copied: lookalike.Collection
) -> None:
    assert "proposals" not in client.get("../collections").json()[0]["views"]
    for id_, chance in ((SEA, 0.7), (OTHER, 0.9), (BRICK, 0.8)):
        say(client, "label_proposed", [id_], {"label": "ocean", "probability": chance})
    assert "proposals" in client.get("../collections").json()[0]["views"]
    listed = client.get("proposals", params={"limit": 2}).json()
    assert listed["total"] == 3
    assert [(one["item"]["id"], one["label"], one["probability"]) for one in listed["proposals"]] == [
        (OTHER, "ocean", 0.9),
        (BRICK, "ocean", 0.8),
    ]

    given = say(client, "label", [SEA], "ocean")
    rejected = say(client, "label_proposed", [OTHER], {"rejected": "ocean"})
    assert [one["item"]["id"] for one in client.get("proposals").json()["proposals"]] == [BRICK]
    assert label_of(client, SEA) == "ocean"

    client.post("marks", json=given["undo"] + rejected["undo"])
    assert [one["item"]["id"] for one in client.get("proposals").json()["proposals"]] == [OTHER, BRICK, SEA]
    assert label_of(client, SEA) == "sea"


def test_a_word_is_taught_completed_a_tag_and_a_facet_and_taken_back(client: httpx.Client) -> None:
    lesson = [
        {"kind": "word:Rex", "ids": [SEA, OTHER], "value": True},
        {"kind": "word:Rex", "ids": [BRICK], "value": False},
    ]
    answer = client.post("marks", json=lesson).json()

    assert answer["tagged"] is True
    assert client.get("words", params={"start": "re"}).json()[0]["word"] == "Rex"
    facets = {one["name"]: one for one in client.get("facets").json()["columns"]}
    assert [one["value"] for one in facets["taught"]["values"] if one["value"]] == ["Rex"]
    assert "Rex" in client.get(f"items/{SEA}").json()["taught"]
    found = client.post("search", json={"query": [{"text": "rex"}]}).json()
    assert found["words"][0]["words"][0]["said"] == "Rex: taught by 2 pictures"

    client.post("marks", json=answer["undo"])
    assert not [one for one in client.get("words", params={"start": "re"}).json() if one["word"] == "Rex"]


def test_a_word_spelled_like_a_taught_one_is_that_one(client: httpx.Client) -> None:
    say(client, "word:Rex", [SEA], True)
    answer = say(client, "word:rex", [OTHER], True)

    assert answer["marks"] == [{"kind": "word:Rex", "ids": [OTHER], "value": True}]
    say(client, "word:REX", [SEA], None)
    assert told(client, SEA) == {}


def test_a_whole_word_is_forgotten_and_comes_back(client: httpx.Client) -> None:
    say(client, "word:rex", [SEA], True)
    say(client, "word:rex", [], {"column": "label", "value": "brick"})
    answer = say(client, "word:rex", [], None)
    assert told(client, SEA) == {}

    client.post("marks", json=answer["undo"])

    found = client.post("search", json={"query": [{"text": "rex"}]}).json()
    assert found["words"][0]["words"][0]["count"] == 15


def test_a_word_of_two_columns_is_forgotten_and_comes_back(
    client: httpx.Client, copied: lookalike.Collection
) -> None:
    for column in ("label", "folder"):
        copied.teach_from(column)
    answer = say(client, "word:brick", [], None)

    restored = client.post("marks", json=answer["undo"])

    both = [{"column": column, "value": "brick"} for column in ("label", "folder")]
    assert (restored.status_code, restored.json()["marks"]) == (
        200,
        [{"kind": "word:brick", "ids": [], "value": both}],
    )


def test_a_list_is_kept_whole_or_not_at_all(client: httpx.Client) -> None:
    marks = [
        {"kind": "favourite", "ids": [SEA], "value": True},
        {"kind": "favourite", "ids": ["nothing"], "value": True},
    ]
    assert problem(client.post("marks", json=marks))[:2] == (404, "unknown-item")
    assert told(client, SEA) == {}
    assert client.post("marks", json=marks[:1]).status_code == 200
    assert told(client, SEA) == {"favourite": True}


@pytest.mark.parametrize(
    ("kind", "ids", "value", "field"),
    [
        ("opinion", [SEA], True, "kind"),
        ("word:", [SEA], True, "kind"),
        ("word", [SEA], True, "kind"),
        ("keep:it", [SEA], True, "kind"),
        ("label:id", [SEA], "x", "kind"),
        ("label:", [SEA], "x", "kind"),
        ("label:" + "x" * 200, [SEA], "x", "kind"),
        ("label", [], "x", "ids"),
        ("label", ["x"] * 2, "x", "ids"),
        ("label", [SEA], "", "value"),
        ("label", [SEA], " ", "value"),
        ("label", [SEA], True, "value"),
        ("label", [SEA], "x" * 1001, "value"),
        ("label:width", [SEA], "wide", "kind"),
        ("label_proposed", [SEA], "x", "value"),
        ("label_proposed", [SEA], {"label": "x", "probability": 1.5}, "value"),
        ("label_proposed", [SEA], {"label": "x", "probability": True}, "value"),
        ("label_proposed", [SEA], {"rejected": ""}, "value"),
        ("word:rex", [], True, "value"),
        ("word:rex", [SEA], {"column": "label", "value": "sea"}, "value"),
        ("word:rex", [SEA], "yes", "value"),
        ("favourite", [SEA], False, "value"),
        ("favourite", [str(n) for n in range(2001)], True, "ids"),
    ],
)
def test_what_cannot_be_said_is_named_and_nothing_is_kept(
    client: httpx.Client, copied: lookalike.Collection, kind: str, ids: list, value: object, field: str
) -> None:
    refused = client.post("marks", json={"kind": kind, "ids": ids, "value": value})

    assert (problem(refused)[:2], refused.json()["field"]) == ((400, "bad-parameter"), field)
    assert len(copied.marks) == 0


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ([], "expected a mark"),
        (["label"], "a mark is an object"),
        ([{"kind": "word:the", "ids": [SEA], "value": True}], "'the' cannot be a word"),
        ([{"kind": "word:rex", "ids": [SEA], "value": False}], "nothing shows what 'rex' is"),
        ([{"kind": "word:rex", "ids": [], "value": None}], "nobody taught the word 'rex'"),
    ],
)
def test_a_body_that_makes_no_sense_says_why(client: httpx.Client, body: list, said: str) -> None:
    refused = client.post("marks", json=body)

    assert refused.status_code == 400
    assert said in problem(refused)[2]


def test_a_label_that_the_column_cannot_hold_is_said(client: httpx.Client, tmp_path) -> None:
    made = lookalike.from_vectors(tmp_path / "n.lookalike", [[1.0, 0.0]], ["a"], columns={"year": [1999]})
    with running(made) as url:
        refused = httpx.post(
            f"{url}api/n/marks", json={"kind": "label:year", "ids": ["a"], "value": "nineteen"}
        )

    assert problem(refused)[:2] == (400, "bad-parameter")
    assert "year" in problem(refused)[2]


def test_too_much_is_refused_before_it_is_parsed(client: httpx.Client) -> None:
    long = {"kind": "label", "ids": ["x" * 1_000_000], "value": "x"}
    assert problem(client.post("marks", json=long)) == (413, "too-large", "the limit is 1 MB")


def test_a_read_only_server_says_so_and_keeps_nothing(copied: lookalike.Collection) -> None:
    with running(copied, read_only=True) as url, httpx.Client(base_url=f"{url}api/") as client:
        assert client.get("collections").json()[0]["marks"] is False
        refused = client.post("copied/marks", json={"kind": "favourite", "ids": [SEA], "value": True})

    assert problem(refused)[:2] == (403, "read-only")
    assert len(copied.marks) == 0


def test_while_a_build_holds_the_collection_a_word_is_taught_without_tags(
    client: httpx.Client, copied: lookalike.Collection
) -> None:
    from lookalike.storage.writing import writing

    with writing(copied.path):
        assert say(client, "word:rex", [SEA], True)["tagged"] is False
    assert told(client, SEA) == {"word:rex": True}


def test_a_question_needs_an_item(client: httpx.Client) -> None:
    assert problem(client.get("marks"))[:2] == (400, "bad-parameter")
    assert problem(client.get("marks", params={"id": "nothing"}))[:2] == (404, "unknown-item")


def test_a_collection_that_moved_away_takes_no_marks(
    client: httpx.Client, copied: lookalike.Collection
) -> None:
    shutil.move(copied.path, copied.path.with_name("away"))
    time.sleep(0.01)

    answer = client.post("marks", json={"kind": "favourite", "ids": [SEA], "value": True})

    assert answer.status_code == 503
    assert not copied.path.exists()
