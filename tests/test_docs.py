"""What the documents show is executed as it stands."""

import re
from pathlib import Path

import numpy as np
import pytest

import lookalike
from lookalike.demo.flowers import write_flowers

ROOT = Path(__file__).parents[1]


def python_blocks(document: str) -> str:
    return "\n".join(re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(), re.S))


@pytest.mark.slow
def test_the_python_of_the_tour_runs_and_the_network_beats_the_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(python_blocks("docs/tour.md"), names)
    precision_at_5 = names["precision_at_5"]
    assert precision_at_5(names["collection"]) > precision_at_5(names["by_pixels"]) + 0.2  # type: ignore[operator]


def test_the_model_of_ones_own_in_the_documents_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lookalike.models.registry._registered", {})
    (first, *_) = write_flowers(tmp_path / "photos", count=12)
    (tmp_path / "query.jpg").write_bytes(first.read_bytes())
    names: dict[str, object] = {}
    exec(python_blocks("docs/model.md"), names)
    assert names["results"][0].id == first.relative_to(tmp_path / "photos").as_posix()  # type: ignore[index]


@pytest.mark.slow
def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = write_flowers(tmp_path / "photos", count=24)[:2]
    (tmp_path / "photos" / "2021").mkdir()
    first.rename(tmp_path / "photos" / "2021" / "beach.jpg")
    for name in ("query.jpg", "a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(second.read_bytes())
    names: dict[str, object] = {}
    exec(python_blocks("README.md"), names)
    assert len(names["r"]) == 10  # type: ignore[arg-type]
    assert "2021/beach.jpg" not in names["r"].ids  # type: ignore[attr-defined]
    assert len(names["c"]) == 24  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_python_of_the_analysis_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_flowers(tmp_path / "photos", count=40)
    collection = lookalike.build("photos", "photos.lookalike", label="folder", model="colors")
    names: dict[str, object] = {"collection": collection}
    exec(python_blocks("docs/analysis.md"), names)
    assert len(names["found"].labels) == 40  # type: ignore[attr-defined]


def test_the_python_of_learning_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    random, kinds = np.random.default_rng(0), np.repeat(np.arange(6), 20)
    vectors = np.concatenate([4 * np.eye(6)[kinds], 3 * random.normal(size=(120, 6))], axis=1)
    vectors += 0.5 * random.normal(size=vectors.shape)
    ids = [f"{number}.jpg" for number in range(120)]
    lookalike.from_vectors(
        "photos.lookalike", vectors, ids, columns={"label": [f"kind {one}" for one in kinds]}
    )
    names: dict[str, object] = {}
    exec(python_blocks("docs/learning.md"), names)
    assert names["better"].ids == ids  # type: ignore[attr-defined]
    assert names["model"].report.average_precision.after > 0.9  # type: ignore[attr-defined]
