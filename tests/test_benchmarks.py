"""Every figure of the documents comes from a command in benchmarks/: each has to start."""

import argparse
import importlib
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
# Of others, which import them.
PARTS = {
    "http_load.py",
    "index_systems.py",
    "index_vectors.py",
    "labels.py",
    "machine.py",
    "search_collections.py",
    "sections.py",
}


@pytest.fixture
def benchmark(monkeypatch):
    """Imports a benchmark by its name."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


def run(name, monkeypatch, *words):
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(sys, "argv", [name, *words])
    runpy.run_path(str(FOLDER / name), run_name="__main__")


@pytest.mark.parametrize("name", sorted({path.name for path in FOLDER.glob("*.py")} - PARTS))
def test_a_benchmark_says_how_it_is_run(name, monkeypatch, capsys):
    with pytest.raises(SystemExit) as ended:
        run(name, monkeypatch, "--help")
    assert ended.value.code == 0
    assert f"python benchmarks/{name}" in capsys.readouterr().out


@pytest.mark.process
def test_the_search_benchmark_measures_every_section(monkeypatch, tmp_path, capsys):
    np.save(tmp_path / "views-40.npy", unit_rows(40, 16))
    small = ["--indexed", "900x16", "--unindexed", "900x16", "--started", "900x16", "--served", "900x16"]
    small += ["--count", "300", "--views", "40", "--queries", "4", "--runs", "1", "--seconds", "0.2"]
    result = tmp_path / "result.json"
    run("search.py", monkeypatch, *small, "--cache", str(tmp_path), "--json", str(result))

    found = json.loads(result.read_text())
    assert list(found) == ["machine", "indexed", "unindexed", "started", "served"]
    (indexed,), (unindexed,) = found["indexed"], found["unindexed"]
    assert (indexed["size"], indexed["queries"]) == ("300 x 16", 4)
    assert indexed["index"].startswith("flat")
    assert unindexed["index"] is None
    assert [one["recall"] for one in indexed["systems"].values()] == [1.0] * len(indexed["systems"])
    assert set(indexed["systems"]) - set(unindexed["systems"]) == {"Index.search"}
    assert all(one["median_s"] > 0 for one in found["started"]["first"].values())
    assert found["started"]["memory_mb"]["RssAnon"] > 10
    assert found["served"]["errors"] == 0
    assert "numpy / search: " in capsys.readouterr().out


@pytest.mark.process
@pytest.mark.reference
@pytest.mark.filterwarnings("ignore")  # it runs as a program does
def test_the_benchmark_of_gpus_measures_every_section_on_a_cpu_too(monkeypatch, capsys):
    pytest.importorskip("torch")
    run("gpu.py", monkeypatch, "--device", "cpu", "--count", "8", "--gpu-count", "8", "--repeats", "1")
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one for one in found if "error" in one] == []
    assert len(found) > 10


def test_recall_is_the_share_of_the_true_rows_that_were_found(benchmark):
    search = benchmark("search")
    asked = search.Asked([1.0, 3.0, 8.0, 2.0], [[1, 2], [3, 4], [5, 9], [7, 8]])
    found = search.figures_of(asked, [[2, 1], [4, 6], [1, 2], [8, 7]])
    assert found["recall"] == 0.625
    assert found["median_ms"] == 2.5
    assert found["p95_ms"] == pytest.approx(7.25)


def test_the_better_numpy_is_compared_with_the_whole_call(benchmark):
    search = benchmark("search")
    medians = {"numpy exact, threads: 1": 9.0, "numpy exact, threads: 2": 6.0, "Index.search": 0.5}
    systems = {name: {"median_ms": ms} for name, ms in {**medians, "collection.search": 2.0}.items()}
    found = search.summary(systems)
    assert (found["numpy_ms"], found["numpy_over_search"], found["search_minus_index_ms"]) == (6, 3, 1.5)


def test_systems_take_turns_which_begin_with_a_query_that_does_not_count(benchmark):
    search, asked = benchmark("search"), []

    def system(name):
        return search.System(lambda query: asked.append(f"{name}{int(query[0])}") or [int(query[0])])

    found = search.in_turns({"a": system("a"), "b": system("b")}, np.arange(21.0)[:, None])
    numbers = [str(number) for number in range(20)]
    first = ["a20", *(f"a{n}" for n in numbers), "b20", *(f"b{n}" for n in numbers)]
    assert asked == [*first, "a19", "a20", "b19", "b20"]
    assert found["b"].rows == [[number] for number in range(21)]
    assert len(found["b"].times_ms) == 21


def test_no_size_exceeds_the_count_and_none_is_there_twice(benchmark):
    search = benchmark("search")
    sizes = [search.Size.parse(text) for text in ("100x8", "700x4", "900x4")]
    limited = search.limited(argparse.Namespace(count=500), sizes)
    assert limited == [search.Size(100, 8), search.Size(500, 4)]
    assert search.limited(argparse.Namespace(count=None), sizes) == sizes


def test_columns_are_a_label_then_whole_numbers_floats_and_texts(benchmark):
    table = benchmark("search_collections").columns(5, 20)
    assert table.shape == (5, 20)
    assert table.column_names[:5] == ["label", "float_1", "text_2", "integer_3", "float_4"]
    assert [str(table.schema.field(n).type) for n in range(4)] == ["string", "double", "string", "int64"]


def test_turned_vectors_have_the_strongest_axes_and_length_one(benchmark):
    turned = benchmark("search_collections").turned
    seeds = np.array([[0.6, 0, 0.8], [0.8, 0, -0.6], [0.48, 0.6, 0.64], [0.8, 0, 0.6]], np.float32)
    shorter = turned(seeds, 2)
    assert shorter.shape == (4, 2)
    assert np.allclose(np.linalg.norm(shorter, axis=1), 1)
    assert np.abs(shorter @ shorter.T - seeds @ seeds.T).max() < 0.25  # the weakest axis is left out
    assert turned(seeds, 3) is seeds
    with pytest.raises(SystemExit, match="4 dimensions are wanted, and the model makes 3"):
        turned(seeds, 4)


def test_a_size_that_the_disk_has_no_room_for_is_refused(benchmark, tmp_path):
    collections = benchmark("search_collections")
    collections.check_disk(tmp_path, collections.Size(10, 4), index=True)
    with pytest.raises(SystemExit, match=r"give another folder with --cache, or a smaller --count"):
        collections.check_disk(tmp_path, collections.Size(10**12, 1280), index=False)


def test_what_is_made_once_is_there_the_next_time(benchmark, tmp_path):
    collections = benchmark("search_collections")
    np.save(tmp_path / "views-40.npy", unit_rows(40, 16))
    options = argparse.Namespace(cache=tmp_path, images=None, views=40, columns=2, queries=3)
    first = collections.made(options, collections.Size(50, 8), index=False)
    written = (first.path / "collection.json").stat().st_mtime_ns
    again = collections.made(options, collections.Size(50, 8), index=False)
    assert again.queries.shape == (3, 8)
    assert (again.queries == first.queries).all()
    assert (again.path / "collection.json").stat().st_mtime_ns == written


def test_a_section_that_fails_says_so_and_loses_no_other(benchmark, tmp_path, capsys):
    sections = benchmark("sections").Sections(tmp_path / "found.json")

    sections.run("first", lambda: {"rate": 1234.5678})
    assert "error" in sections.run("second", lambda: 1 / 0)
    sections.run("third", lambda: {"problems": []})

    found = json.loads((tmp_path / "found.json").read_text())
    assert found["first"]["rate"] == 1235
    assert found["second"]["error"] == "ZeroDivisionError: division by zero"
    assert found["third"]["problems"] == []
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["section"] for line in lines] == ["first", "second", "third"]


def test_a_section_is_skipped_if_less_time_is_left_than_the_longest_took(benchmark, monkeypatch):
    module, now = benchmark("sections"), [0.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    sections = module.Sections(None, minutes=1)

    def lasting(seconds):
        now[0] += seconds
        return {}

    assert "error" not in sections.run("long", lambda: lasting(25))
    assert "error" not in sections.run("short", lambda: lasting(10))
    assert sections.run("just", lambda: lasting(1)) == {"seconds": 1}
    assert sections.run("late", lambda: lasting(1)) == {
        "error": "skipped: too little time is left",
        "seconds": 0,
    }


def unit_rows(count, dim):
    vectors = np.random.default_rng(0).standard_normal((count, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
