"""The site of static files: what is written, and where."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import build, command, write_picture

import lookalike
from lookalike.errors import CollectionError, ModelError
from lookalike.export import export_site
from lookalike.export.site import CHUNK_ROWS
from lookalike.export.vector_format import read_vectors
from lookalike.storage.parts import list_parts


@pytest.fixture(scope="module")
def site(collection: lookalike.Collection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_site(collection.snapshot, tmp_path_factory.mktemp("exported") / "site")


def catalogue(site: Path) -> dict[str, Any]:
    (entry,) = read(site / "collections.json")["collections"]
    return entry


def data(site: Path) -> Path:
    return site / catalogue(site)["files"]["folder"]


def read(path: Path) -> Any:
    return json.loads(path.read_bytes())


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


# The files


def test_the_catalogue_says_what_there_is_and_how_the_files_are_cut(site, collection):
    entry = catalogue(site)

    assert read(site / "collections.json")["format"] == "lookalike-site"
    assert {
        name: entry[name] for name in ("name", "count", "model", "dim", "labels", "words", "pictures")
    } == {
        "name": "photos",
        "count": 42,
        "model": "colors",
        "dim": 192,
        "labels": {"brick": 14, "meadow": 14, "sea": 14},
        "words": True,
        "pictures": False,
    }
    assert entry["fingerprint"] == collection.fingerprint()
    assert {"name": "label", "type": "text"} in entry["columns"]
    assert {"name": "width", "type": "number"} in entry["columns"]


def test_a_card_has_what_the_grid_needs(site, collection):
    cards = read(data(site) / "cards" / "00000.json")
    row = collection.items().to_pylist()[5]

    assert {name: values[5] for name, values in cards.items()} == {
        "id": row["id"],
        "label": row["label"],
        "width": 64,
        "height": 48,
        "v": row["sha256"][:16],
    }


def test_thumbnails_are_the_collections_own(site, collection):
    cards = read(data(site) / "cards" / "00000.json")
    first = list_parts(collection.path)[0]
    thumbnails = dict(zip(cards["id"], cards["v"], strict=True))

    for id_ in first.items(["id"])["id"].to_pylist():
        v = thumbnails[id_]
        assert (data(site) / "thumbnails" / v[:2] / f"{v}.jpg").read_bytes() == first.thumbnails([id_])[0]


def test_where_the_files_were_is_not_published(site, photos):
    published = b"".join(
        content for name, content in files(site).items() if name.endswith((".json", ".html", ".bin"))
    )

    assert str(photos).encode() not in published
    assert b"file:" not in published.replace(b"data/", b"")
    assert {"uri", "mtime_ns"}.isdisjoint(read(data(site) / "columns" / "00000.json"))


def test_addresses_on_the_web_are_published(photos, tmp_path):
    table = tmp_path / "rows.csv"
    table.write_text("path,source\nsea/sea-002.png,https://example.org/2\n")
    built, _ = build(photos, tmp_path / "c.lookalike", metadata=str(table))

    columns = read(data(export_site(built.snapshot, tmp_path / "site")) / "columns" / "00000.json")

    assert [one for one in columns["source"] if one] == ["https://example.org/2"]


def test_vectors_point_where_the_collections_do(site, collection):
    first, vectors = read_vectors((data(site) / "vectors" / "00000.bin").read_bytes())

    assert first == 0
    assert np.vecdot(vectors, collection.embeddings()).min() > 0.9999
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(42), abs=1e-6)


def test_the_center_is_the_median_of_each_number(site, collection):
    _, center = read_vectors((data(site) / "vectors" / "center.bin").read_bytes())

    assert center[0] == pytest.approx(np.median(collection.embeddings(), axis=0))


def test_files_are_cut_after_a_thousand_items(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(2 * CHUNK_ROWS + 1, 8)).astype(np.float32)
    ids = [f"item {number}" for number in range(len(vectors))]
    made = lookalike.from_vectors(tmp_path / "many.lookalike", vectors, ids)

    root = data(export_site(made.snapshot, tmp_path / "site"))

    chunks = [read_vectors((root / "vectors" / f"{number:05d}.bin").read_bytes()) for number in range(3)]
    assert [(first, len(rows)) for first, rows in chunks] == [(0, 1000), (1000, 1000), (2000, 1)]
    cards = [read(root / "cards" / f"{number:05d}.json")["id"] for number in range(3)]
    assert [id_ for ids_of_chunk in cards for id_ in ids_of_chunk] == ids


def test_only_the_first_items_are_taken_if_so_wanted(collection, tmp_path):
    site = export_site(collection.snapshot, tmp_path / "site", max_items=20)

    assert catalogue(site)["count"] == 20
    assert read(data(site) / "cards" / "00000.json")["id"] == collection.items(["id"])["id"].to_pylist()[:20]
    assert sum(catalogue(site)["labels"].values()) == 20


def test_another_state_has_another_folder_so_that_no_cache_mixes_them(collection, site, tmp_path):
    other = export_site(collection.snapshot, tmp_path / "site", max_items=20)

    assert data(site).name != data(other).name


def test_the_same_state_gives_the_same_bytes(collection, site, tmp_path):
    assert files(export_site(collection.snapshot, tmp_path / "again")) == files(site)


def test_the_page_is_the_servers_with_another_host_and_a_strict_policy(site):
    page = (site / "index.html").read_text()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)

    assert (site / "web" / "host.js").read_text() == 'export { default } from "./static/host.js";\n'
    assert policy.startswith("default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'")
    assert "http:" not in policy and "https:" not in policy and "unsafe-inline" not in policy


def test_vectors_without_pictures_or_labels_are_a_site_too(tmp_path):
    made = lookalike.from_vectors(tmp_path / "made.lookalike", np.eye(3, dtype=np.float32), ["a", "b", "c"])

    site = export_site(made.snapshot, tmp_path / "site")

    assert read(data(site) / "cards" / "00000.json") == {
        "id": ["a", "b", "c"],
        "label": [None, None, None],
        "width": [0, 0, 0],
        "height": [0, 0, 0],
        "v": ["", "", ""],
    }
    assert not (data(site) / "thumbnails").exists()
    assert (catalogue(site)["words"], catalogue(site)["pictures"]) == (False, False)


def test_a_column_that_only_some_parts_have_is_published(folder, target, tmp_path):
    build(folder, target)
    table = tmp_path / "rows.csv"
    write_picture(tmp_path / "more" / "new.png", 99)
    table.write_text("path,price\nnew.png,7\n")
    both, _ = build(tmp_path / "more", target, metadata=str(table))

    site = export_site(both.snapshot, tmp_path / "site")

    columns = read(data(site) / "columns" / "00000.json")
    assert sorted(columns["price"], key=str) == [7, *[None] * 12]
    assert {"name": "price", "type": "number"} in catalogue(site)["columns"]


def test_an_empty_collection_is_refused(folder, target, tmp_path):
    empty, _ = build(folder, target)
    for part in list_parts(empty.path):
        part.write(part.items().slice(0, 0))

    with pytest.raises(CollectionError, match="has no items, so there is nothing to export"):
        export_site(empty.snapshot, tmp_path / "site")
    assert not (tmp_path / "site").exists()


# The model


@pytest.mark.slow
def test_the_model_goes_with_it_if_so_wanted(photos, tmp_path, runtime_folder):
    built, _ = build(photos, tmp_path / "c.lookalike", model="efficientnet-lite0")

    site = export_site(built.snapshot, tmp_path / "site", with_model=True, onnxruntime_web=runtime_folder)

    network = catalogue(site)["network"]
    model = (site / network["file"]).read_bytes()
    assert hashlib.sha256(model).hexdigest() == network["sha256"] == built.manifest.model.sha256
    assert (network["size_px"], network["crop"], catalogue(site)["pictures"]) == (224, 1.0, True)
    assert sorted(path.name for path in (site / "model").iterdir()) == [
        "NOTICE.txt",
        "efficientnet_lite0.onnx",
        "onnxruntime-wasm.js",
        "onnxruntime.js",
        "onnxruntime.wasm",
    ]
    assert catalogue(site)["words"] is True
    assert "daisy" in read(data(site) / "words.json")["terms"]


@pytest.fixture
def runtime_folder(tmp_path: Path) -> Path:
    """The names of onnxruntime-web's files, as `npm pack` would bring them."""
    dist = tmp_path / "package" / "dist"
    dist.mkdir(parents=True)
    for name in ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"):
        (dist / name).write_text(name)
    return tmp_path / "package"


def test_a_model_that_runs_in_no_browser_is_refused(collection, tmp_path):
    with pytest.raises(ModelError, match=r"colors does not run in a browser.*leave `with_model` out"):
        export_site(collection.snapshot, tmp_path / "site", with_model=True)
    assert not (tmp_path / "site").exists()


# The command


def test_the_command_says_what_it_made_and_how_to_see_it(collection, tmp_path):
    done = command("export", collection.path, tmp_path / "site", "--to", "site", "--json")

    assert done.returncode == 0
    assert json.loads(done.stdout) == {
        "folder": str(tmp_path / "site"),
        "to": "site",
        "files": len(files(tmp_path / "site")),
        "bytes": sum(map(len, files(tmp_path / "site").values())),
    }
    assert f"look at it: python -m http.server --bind 127.0.0.1 -d {tmp_path / 'site'}" in done.stderr
