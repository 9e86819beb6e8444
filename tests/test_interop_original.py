"""Against the original image_embeddings, as it is on PyPI: its search, its array, its records."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import lookalike
from lookalike.acquire.pack import pack

pytestmark = [
    pytest.mark.interop,
    pytest.mark.filterwarnings("default"),  # its own are not ours to mend
]


@pytest.fixture
def original(monkeypatch):
    """The library; its network, its command line and its download of data sets are not needed here."""
    for name in ("efficientnet", "efficientnet.tfkeras", "efficientnet.preprocessing", "fire"):
        module = types.ModuleType(name)
        module.EfficientNetB0 = module.center_crop_and_resize = None
        monkeypatch.setitem(sys.modules, name, module)
    os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3", "NO_GCE_CHECK": "true"}
    import image_embeddings

    return image_embeddings


def test_it_searches_what_is_exported_for_it(original, collection, tmp_path, capsys):
    folder = collection.export(tmp_path / "out", "image-embeddings", images=True)
    knn = original.knn.knn

    knn.random_search(str(folder / "parquet"))

    asked, *found = capsys.readouterr().out.splitlines()
    assert len(found) == 5
    assert found[0] == f"1.00 {asked}"
    id_to_name, name_to_id, vectors = knn.read_embeddings(str(folder / "parquet"))
    assert np.array_equal(vectors, collection.embeddings())
    for id_ in ("sea/sea-002.png", "brick/brick-000.jpg"):
        name = Path(id_).stem
        theirs = knn.search(knn.build_index(vectors), id_to_name, vectors[name_to_id[name]], k=3)
        ours = [Path(hit.id).stem for hit in collection.search(lookalike.Id(id_), k=2)]
        assert [one for _, one in theirs] == [name, *ours]
        knn.display_results(str(folder / "images"), theirs)  # opens the pictures


def test_it_makes_the_same_array_and_list_of_names(original, collection, tmp_path):
    folder = collection.export(tmp_path / "out", "image-embeddings")

    original.knn.embeddings_to_numpy(str(folder / "parquet"), str(tmp_path / "theirs"))

    for name in ("embedding.npy", "id_name.json"):
        assert (tmp_path / "theirs" / name).read_bytes() == (folder / "embeddings" / name).read_bytes()


def test_what_it_writes_is_imported(original, tmp_path):
    import tensorflow as tf

    save = original.inference.inference.save_embeddings_ds_to_parquet
    vectors = np.random.default_rng(0).normal(size=(10, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = [f"rose_{number}" for number in range(10)]
    (tmp_path / "parts").mkdir()
    for part in range(2):
        rows = slice(5 * part, 5 * part + 5)
        pictures = tf.data.Dataset.from_tensor_slices(([0.0] * 5, names[rows]))
        save(vectors[rows], pictures, str(tmp_path / "parts" / f"part-{part:03d}.parquet"))
    original.knn.embeddings_to_numpy(str(tmp_path / "parts"), str(tmp_path / "numpy"))

    for form in ("parts", "numpy"):
        back = lookalike.import_vectors(tmp_path / form, tmp_path / f"{form}.lookalike")
        assert back.items(["id"])["id"].to_pylist() == names
        assert np.array_equal(back.embeddings(), vectors)


def test_it_reads_records_with_bare_names(original, folder, tmp_path):
    pack(folder, tmp_path / "out", format="tfrecord", bare_names=True)

    rows = original.inference.inference.read_tfrecord(str(tmp_path / "out" / "00000.tfrecord"))

    found = {name.numpy().decode(): tuple(image.shape) for image, name in rows}
    assert found["brick-000"] == (48, 64, 3)
    assert set(found) == {path.stem for path in folder.rglob("*.jpg")} | {
        path.stem for path in folder.rglob("*.png")
    }


def test_records_that_it_writes_are_read(original, folder, tmp_path):
    inference = original.inference.inference
    for path in folder.rglob("*.*"):
        (tmp_path / "flat" / path.name).parent.mkdir(exist_ok=True)
        (tmp_path / "flat" / path.name).write_bytes(path.read_bytes())

    inference.write_tfrecord(str(tmp_path / "flat"), str(tmp_path / "records"), num_shards=3)

    built = lookalike.build(tmp_path / "records", tmp_path / "c.lookalike", model="colors")
    names = {Path(id_).name for id_ in built.items(["id"])["id"].to_pylist()}
    assert names == {path.stem for path in (tmp_path / "flat").iterdir()}
