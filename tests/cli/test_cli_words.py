"""Words and tags by a text tower in the terminal and over HTTP: as with the built-in network."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import pytest
from conftest import strict_json
from serving import problem, running
from towers import write_model_of_classes, write_numbered

import lookalike
from lookalike.models import tower_words


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model_of_classes(tmp_path_factory.mktemp("towers") / "classes")


@pytest.fixture
def built(run, target, classes, tmp_path) -> Path:
    numbered = write_numbered(tmp_path / "numbered", 12)
    assert run("build", numbered, "-c", target, "--model", f"{classes}/")[0] == 0
    return target


def test_words_are_searched_in_the_terminal(run, built):
    code, stdout, _ = run("search", built, "text:Sea", "-k", 4, "--json")

    hits = strict_json(stdout)["hits"]
    assert code == 0
    assert {hit["id"] for hit in hits} == {"2.png", "5.png", "8.png", "11.png"}
    assert all(hit["confidence"] > 0.5 for hit in hits)


def test_a_word_without_a_picture_is_weak(run, built):
    _, _, stderr = run("search", built, "text:dragon", "-k", 1)

    assert "the best hit is weak" in stderr


def test_it_is_said_that_the_background_is_computed_which_happens_once(run, built):
    tower_words._stored.cache_clear()

    said = [run("search", built, "text:sea")[2] for _ in range(2)]

    assert re.match(r"computing the vectors of 326 words by .*text\.onnx, once\n", said[0])
    assert "computing" not in said[1]


def test_other_words_of_the_same_model_are_taken_by_a_build_that_names_it(run, target, tmp_path):
    classes = write_model_of_classes(tmp_path / "classes")
    numbered = write_numbered(tmp_path / "numbered", 12)
    assert run("build", numbered, "-c", target, "--model", f"{classes}/")[0] == 0
    said = json.loads((classes / "model.json").read_bytes())
    (classes / "model.json").write_text(json.dumps({**said, "prompts": ["{}", "a photo of {}"]}))

    assert run("search", target, numbered / "2.png")[2] == (
        f"lookalike: {target} was built with other words of tiny-clip: "
        "its text tower, tokenizer or prompts changed\n"
        "  bring back what was there, or take what is there now, which embeds nothing anew: "
        f"lookalike build SOURCE -c {target} --model {classes}\n"
    )
    assert "0 embedded, 12 unchanged" in run("build", numbered, "-c", target, "--model", classes)[2]
    assert run("search", target, "text:sea", "-k", 4)[0] == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the text is empty"),
        ("x" * 6000, "the text has 6,000 characters, the limit is 5,000"),
    ],
)
def test_a_text_that_cannot_be_searched_is_an_error(run, built, text, message):
    code, stdout, stderr = run("search", built, f"text:{text}")

    assert (code, stdout) == (1, "")
    assert message in stderr


def test_a_file_that_is_missing_is_not_taken_for_words(run, built):
    assert run("search", built, "beach.jpg")[2] == (
        "lookalike: there is no file beach.jpg\n  give a file, id:… for an item, or text:… for words\n"
    )
    assert "did you mean text:beach?" in run("search", built, "beach")[2]


def test_pictures_are_tagged_by_a_file_of_tags(run, folder, target, classes, tmp_path):
    (tmp_path / "tags.txt").write_text("sea\n\nmeadow\nsea\n")

    code, _, _ = run("build", folder, "-c", target, "--model", f"{classes}/", "--tags", tmp_path / "tags.txt")

    rows = lookalike.open(target).items(["id", "tags"]).to_pylist()
    assert code == 0
    assert {tuple(row["tags"]) for row in rows if "brick" in row["id"]} == {()}
    assert {tuple(row["tags"]) for row in rows if "sea" in row["id"]} == {("sea",)}
    assert json.loads((target / "collection.json").read_bytes())["tags"] == ["sea", "meadow"]
    assert run("build", folder, "-c", target, "--tags", "none")[0] == 0
    assert "tags" not in json.loads((target / "collection.json").read_bytes())


def test_a_model_without_words_says_how_to_do_without_tags(run, folder, target, tmp_path):
    (tmp_path / "tags.txt").write_text("sea")

    code, _, stderr = run("build", folder, "-c", target, "--model", "colors", "--tags", tmp_path / "tags.txt")

    assert code == 1
    assert stderr == (
        "lookalike: the model colors knows no words, so it cannot tag by a list\n"
        "  leave --tags out, or build with a model that has a text tower\n"
    )


def test_words_are_searched_over_http_and_a_query_picture_gets_the_tags_of_the_list(
    run, folder, target, classes, tmp_path
):
    (tmp_path / "tags.txt").write_text("sea\nmeadow\n")
    run("build", folder, "-c", target, "--model", f"{classes}/", "--tags", tmp_path / "tags.txt")

    with running(lookalike.open(target)) as url, httpx.Client(base_url=url) as client:
        (listed,) = client.get("/api/collections").json()
        found = client.post("/api/target/search", json={"query": [{"text": "the sea"}], "k": 3}).json()
        picture = (folder / "sea" / "sea-002.png").read_bytes()
        embedded = client.post(
            "/api/target/embed", content=picture, headers={"Content-Type": "image/png"}
        ).json()
        empty = client.post("/api/target/search", json={"query": [{"text": "  "}]})

    assert listed["words"] is True
    assert all(hit["id"].startswith("sea/") for hit in found["hits"])
    assert [tag["tag"] for tag in embedded["tags"]] == ["sea"]
    assert problem(empty)[0] == 400
    assert "the text is empty" in problem(empty)[2]
