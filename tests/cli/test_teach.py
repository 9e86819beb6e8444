"""The command teach: words by examples, from a column, and taken back."""

from __future__ import annotations

from conftest import strict_json

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


def test_every_label_is_taught_at_once(run, copied):
    code, stdout, stderr = run("teach", copied.path, "--from", "label", "--json")

    answer = strict_json(stdout)
    assert (code, stderr) == (0, "")
    assert {one["word"]: one["examples"] for one in answer} == {"brick": 14, "meadow": 14, "sea": 14}


def test_a_column_that_names_single_pictures_has_no_words(run, collection):
    code, stdout, stderr = run("teach", collection.path, "--from", "sha256")

    assert (code, stdout) == (1, "")
    assert "there is no column of words 'sha256'" in stderr
    assert "there are: folder, label, camera" in stderr


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
