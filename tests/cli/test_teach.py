"""The command teach: words by examples, from a column, and taken back."""

from __future__ import annotations

import shutil

import numpy as np
from conftest import CLASSES, strict_json, write_picture

import lookalike

EXAMPLES = ["--like", "id:sea/sea-002.png", "--like", "sea/sea-005.png", "--unlike", "id:brick/brick-000.jpg"]


def test_a_word_is_taught_searched_for_and_forgotten(run, copied):
    path = copied.path

    code, stdout, stderr = run("teach", path, "pacific", *EXAMPLES)
    assert (code, stderr) == (0, "")
    assert stdout.startswith("pacific: taught by 2 pictures; ")

    code, stdout, stderr = run("search", path, "text:pacific coast", "-k", 2)
    assert {line.split()[-1] for line in stdout.splitlines()} == {"sea/sea-002.png", "sea/sea-005.png"}
    assert stderr == "pacific: taught by 2 pictures\nunknown, and left out: coast\n"

    code, stdout, stderr = run("teach", path, "pacific", "--forget", "--json")
    assert (code, strict_json(stdout), stderr) == (0, {"forgot": "pacific"}, "forgot pacific\n")
    assert run("search", path, "text:pacific")[0] == 1


def test_where_nothing_is_taught_it_says_so(run, copied):
    code, stdout, stderr = run("teach", copied.path)

    assert (code, stdout) == (0, "")
    assert stderr == "no picture here has taught a word; teach one with WORD --like id:…\n"


def test_every_label_is_taught_at_once(run, copied):
    code, stdout, stderr = run("teach", copied.path, "--from", "label", "--json")

    answer = strict_json(stdout)
    assert (code, stderr, answer["joined"], answer["left_out"]) == (0, "", [], [])
    assert {one["word"]: one["examples"] for one in answer["words"]} == {"brick": 14, "meadow": 14, "sea": 14}


def test_values_that_are_one_word_or_none_are_said(run, tmp_path):
    labels = ["Rose", "rose", "rose", "tulip", "the", "x" * 101] * 3
    lookalike.from_vectors(tmp_path / "c", np.eye(18), map(str, range(18)), columns={"label": labels})

    code, stdout, stderr = run("teach", tmp_path / "c", "--from", "label")
    assert code == 0
    assert {line.split(";")[0] for line in stdout.splitlines()} == {
        "rose: taught by 9 pictures",
        "tulip: taught by 3 pictures",
    }
    assert stderr == (
        "spelled alike, and so one word: 'rose', 'Rose'\n"
        "left out: 2 values of label, such as 'the'; a word has letters or digits, at most 100 characters, "
        "and is not one like 'the'\n"
    )
    answer = strict_json(run("teach", tmp_path / "c", "--from", "label", "--json")[1])
    assert (answer["joined"], answer["left_out"]) == ([["rose", "Rose"]], ["the", "x" * 101])


def test_files_of_the_collection_teach_and_others_are_refused(run, copied, photos, tmp_path):
    copy = shutil.copy(photos / "sea/sea-005.png", tmp_path / "copy.png")
    new = write_picture(tmp_path / "new.png", 500, CLASSES["sea"])

    code, stdout, _ = run(
        "teach", copied.path, "pacific", "--like", photos / "sea/sea-002.png", "--like", copy
    )
    assert (code, stdout[:31]) == (0, "pacific: taught by 2 pictures; ")
    assert copied.marks.of("word:pacific")[1].ids == ("sea/sea-005.png",)

    code, stdout, stderr = run("teach", copied.path, "ocean", "--like", new)
    assert (code, stdout) == (1, "")
    assert stderr == (
        f"lookalike: {new} is not in {copied.name}, which keeps what is said about its own items alone\n"
        "  put it among the collection's pictures and build again, then it is one\n"
    )
    assert (
        "there is no file and no item nope.png\n  give"
        in run("teach", copied.path, "x", "--like", "nope.png")[2]
    )


def test_a_column_that_names_single_pictures_has_no_words(run, collection):
    code, stdout, stderr = run("teach", collection.path, "--from", "sha256")

    assert (code, stdout) == (1, "")
    assert "there is no column of words 'sha256'" in stderr
    assert "there are: folder, label, camera" in stderr


def test_teaching_a_word_tells_of_that_word_alone(run, copied):
    run("teach", copied.path, "rex", "--like", "id:sea/sea-002.png")
    stdout = run("teach", copied.path, "Pacific", *EXAMPLES)[1]

    assert [line.split(":")[0] for line in stdout.splitlines()] == ["Pacific"]


def test_teaching_what_is_a_label_says_so(run, copied):
    _, _, stderr = run("teach", copied.path, "sea", "--like", "id:sea/sea-002.png")

    assert stderr == "sea: your label, 14 pictures; what you taught goes before that\n"


def test_a_search_says_whose_words_it_took(run, collection):
    answer = strict_json(run("search", collection.path, "text:seas", "-k", 1, "--json")[1])

    assert answer["words"] == [
        {
            "text": "seas",
            "words": [
                {"word": "sea", "origin": "label", "count": 14, "said": "sea: your label, 14 pictures"}
            ],
            "unknown": [],
        }
    ]


def test_what_to_teach_has_to_be_clear(run, collection):
    for words in (["x"], ["x", "--from", "label"], ["--like", "id:a"], ["--forget"]):
        code, stdout, stderr = run("teach", collection.path, *words)

        assert (code, stdout) == (1, "")
        assert "it is not clear what to teach" in stderr


def test_a_search_is_refined_by_marks(run, collection):
    marks = [f"--like=id:sea/sea-{n:03}.png" for n in (2, 5, 8)]
    marks += [f"--unlike=id:brick/brick-{n:03}.jpg" for n in (0, 3, 6)]

    code, stdout, stderr = run("search", collection.path, "id:sea/sea-011.png", *marks, "-k", 5, "--json")

    answer = strict_json(stdout)
    assert (code, [hit["label"] for hit in answer["hits"]]) == (0, ["sea"] * 5)
    assert answer["like"] == ["sea/sea-002.png", "sea/sea-005.png", "sea/sea-008.png"]
    assert stderr.startswith("refined by ")


def test_what_is_liked_is_a_query_by_itself(run, collection):
    marks = ["--like=id:sea/sea-002.png", "--like=id:sea/sea-005.png", "--unlike=id:brick/brick-000.jpg"]

    code, stdout, _ = run("search", collection.path, *marks, "-k", 4, "--json")

    hits = strict_json(stdout)["hits"]
    assert (code, [hit["label"] for hit in hits]) == (0, ["sea"] * 4)
    assert not {"sea/sea-002.png", "sea/sea-005.png"} & {hit["id"] for hit in hits}
    tastes = [one.replace("like=", "liked=").replace("--un", "--dis") for one in marks]
    recommended = run("recommend", collection.path, *tastes, "-k", 4, "--json")[1]
    assert hits == strict_json(recommended)["hits"]


def test_a_search_without_a_query_or_a_liking_says_what_to_give(run, collection):
    code, stdout, stderr = run("search", collection.path, "--unlike", "id:sea/sea-002.png")

    assert (code, stdout) == (1, "")
    assert stderr == (
        "lookalike: nothing is searched for\n  give a file, id:…, text:…, or --like with an item\n"
    )


def test_files_are_marks_those_of_the_collection_as_its_items(run, collection, photos, tmp_path):
    write_picture(tmp_path / "new.jpg", 500, CLASSES["sea"])
    copy = shutil.copy(photos / "sea/sea-008.png", tmp_path / "copy.png")
    marks = [f"--like={one}" for one in (tmp_path / "new.jpg", photos / "sea/sea-002.png", copy)]

    code, stdout, _ = run("search", collection.path, "id:sea/sea-011.png", *marks, "-k", 9, "--json")

    hits = strict_json(stdout)["hits"]
    assert (code, [hit["label"] for hit in hits]) == (0, ["sea"] * 9)
    assert not {"sea/sea-002.png", "sea/sea-008.png", "sea/sea-011.png"} & {hit["id"] for hit in hits}
