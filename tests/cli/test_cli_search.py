"""The command search: hits on stdout, what limits them on stderr."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import build, strict_json, write_picture

from lookalike.builder import build as builder


def test_search_prints_rank_score_label_and_id(run, collection, photos):
    code, stdout, stderr = run("search", collection.path, photos / "sea" / "sea-002.png", "-k", 3)

    assert (code, stderr) == (0, "")
    lines = stdout.splitlines()
    assert lines[0] == "   1   1.000   99%  sea  sea/sea-002.png"
    assert len(lines) == 3
    assert all(
        re.fullmatch(r"   [1-3]   [01]\.\d{3}  [ \d]+%  sea  sea/sea-\d{3}\.png", line) for line in lines
    )


def test_search_takes_an_item_of_the_collection(run, collection):
    assert run("search", collection.path, "id:sea/sea-002.png", "-k", 1)[1].startswith("   1   0.")


def test_search_prints_json(run, collection, photos):
    code, stdout, stderr = run(
        "search", collection.path, "id:sea/sea-002.png", "-k", 2, "--include-query", "--json"
    )

    answer = strict_json(stdout)
    assert (code, stderr) == (0, "")
    assert answer["query"] == ["id:sea/sea-002.png"]
    assert len(answer["hits"]) == 2
    assert answer["hits"][0]["id"] == "sea/sea-002.png"
    assert answer["hits"][0]["score"] == pytest.approx(1, abs=1e-6)
    assert answer["hits"][0]["uri"] == (photos / "sea" / "sea-002.png").as_uri()


def test_group_by_gives_one_hit_a_label_for_all_pictures_of_the_query(run, collection, photos):
    pictures = [photos / "sea" / "sea-002.png", photos / "sea" / "sea-005.png"]

    code, stdout, _ = run("search", collection.path, *pictures, "--group-by", "label", "--json")

    labels = [hit["label"] for hit in strict_json(stdout)["hits"]]
    assert (code, labels[0], len(labels)) == (0, "sea", len(set(labels)))


def test_group_by_takes_nothing_away(run, collection):
    code, _, stderr = run(
        "search", collection.path, "id:sea/sea-002.png", "--not", "id:x", "--group-by", "label"
    )

    assert (code, stderr) == (1, "lookalike: --group-by needs pictures of one item\n  leave --not out\n")


def test_json_has_no_number_that_is_none_and_text_as_it_is(run, folder, target, tmp_path):
    write_picture(folder / "雪.png", 100)
    columns = {
        "id": ["雪.png"],
        "price": [float("nan")],
        "limit": [float("inf")],
        "when": pa.array([0], pa.timestamp("us")),
        "raw": [b"\xff"],
        "many": [[1, 2]],
    }
    pq.write_table(pa.table(columns), tmp_path / "notes.parquet")
    build(folder, target, metadata=tmp_path / "notes.parquet")

    _, stdout, _ = run("search", target, "id:雪.png", "-k", 1, "--include-query", "--json")

    (hit,) = strict_json(stdout)["hits"]
    assert (hit["id"], hit["price"], hit["limit"]) == ("雪.png", None, None)
    assert (hit["when"], hit["many"]) == ("1970-01-01T00:00:00", [1, 2])
    assert "雪" in stdout


def test_search_says_when_nothing_meets_the_condition(run, collection):
    code, stdout, stderr = run("search", collection.path, "id:sea/sea-002.png", "--where", "width > 9000")

    assert (code, stdout) == (1, "")
    assert stderr == "the collection has 42 images; none matches\n"


def test_search_says_when_it_has_given_all(run, collection):
    code, stdout, stderr = run("search", collection.path, "id:sea/sea-002.png", "-k", 100)

    assert (code, len(stdout.splitlines())) == (0, 41)  # all but the one that was asked with
    assert stderr == "the collection has 42 images; that is all of them\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["id:sea/sea-02.png"], "has no item 'sea/sea-02.png'\n  did you mean sea/sea-"),
        (
            ["nowhere.jpg"],
            "there is no file nowhere.jpg\n  give a file, id:… for an item, or text:… for words",
        ),
        (["sea-002.png"], "there is no file sea-002.png\n  did you mean id:sea/sea-002.png?"),
        (["id:sea/sea-002.png", "--not", "sea-5.png"], "there is no file sea-5.png\n  did you mean id:"),
        ([__file__], "not a readable image"),
        (["id:sea/sea-002.png", "-k", "0"], "k is the number of results, at least 1, not 0"),
        (["id:sea/sea-002.png", "-k", "-3"], "k is the number of results, at least 1, not -3"),
    ],
)
def test_a_search_that_cannot_be_done_says_why(run, collection, words, message):
    code, stdout, stderr = run("search", collection.path, *words)

    assert (code, stdout) == (1, "")
    assert stderr.startswith("lookalike: ")
    assert message in stderr


def test_search_takes_a_condition(run, collection):
    code, stdout, _ = run(
        "search", collection.path, "id:sea/sea-002.png", "--where", "label = 'brick'", "-k", 3
    )

    assert code == 0
    assert [line.split()[3] for line in stdout.splitlines()] == ["brick"] * 3


def test_a_condition_with_an_unknown_column_is_an_error_that_lists_them(run, collection):
    code, _, stderr = run("search", collection.path, "id:sea/sea-002.png", "--where", "colour = 1")

    assert code == 1
    assert "width" in stderr


def test_a_search_says_that_the_index_is_older_than_the_collection(run, folder, target):
    build(folder, target)
    run("index", target, "--type", "flat")
    write_picture(folder / "new.png", 100)
    builder.build(folder, target, model="colors")  # which leaves the index as it is

    code, _, stderr = run("search", target, "id:new.png", "-k", 1)

    assert code == 0
    assert stderr.startswith("the index is older than the collection, so the search was exact")


def test_a_word_that_the_model_knows_is_offered_as_one(run, folder, target):
    build(folder, target, model="efficientnet-lite0")

    stderr = run("search", target, "daisy")[2]

    assert stderr == "lookalike: there is no file daisy\n  did you mean text:daisy?\n"


def test_a_word_that_is_also_an_id_is_offered_as_both(run, folder, target):
    write_picture(folder / "daisy.png", 100)
    build(folder, target, model="efficientnet-lite0")

    stderr = run("search", target, "daisy")[2]

    assert stderr == "lookalike: there is no file daisy\n  did you mean text:daisy or id:daisy.png?\n"


def test_names_cannot_steer_the_terminal(run, folder, target):
    write_picture(folder / "a\x1b[2Jb\u202egnp.png", 100)
    build(folder, target)

    shown = run("search", target, "id:sea/sea-002.png", "-k", 12)[1]
    as_json = run("search", target, "id:sea/sea-002.png", "-k", 12, "--json")[1]

    assert r"a\x1b[2Jb\u202egnp.png" in shown
    assert any(hit["id"] == "a\x1b[2Jb\u202egnp.png" for hit in strict_json(as_json)["hits"])
