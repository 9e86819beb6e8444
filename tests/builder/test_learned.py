"""A model that learns from the images of its collection: what is kept, and what can go wrong with it."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from building import counts, failures, ids
from conftest import build, picture, write_picture, write_pictures
from PIL import Image
from web_server import web

import lookalike
from lookalike.acquire.pack import pack
from lookalike.builder.learning import learn
from lookalike.builder.listing import Listing
from lookalike.errors import CollectionError, ModelError, SourceError
from lookalike.models.registry import load_model
from lookalike.sources.fetch import FetchOptions
from lookalike.sources.opening import open_source
from lookalike.sources.sample import Sample

pytest.importorskip("cv2")

LOCAL = FetchOptions(allow_private=True, rate=0, timeout_s=2, retries=0)


def file_of(root: Path) -> Path:
    """The one file of what was learned."""
    (path,) = root.glob("model-*")
    return path


@pytest.fixture(scope="module")
def dozen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 12 small pictures; read it, never change it."""
    return write_pictures(tmp_path_factory.mktemp("learned") / "dozen", 12)


@pytest.fixture(scope="module")
def learned(dozen: Path) -> lookalike.Collection:
    """The collection of `dozen` by `sift`; read it, never change it."""
    return build(dozen, dozen.with_name("dozen.lookalike"), model="sift")[0]


@pytest.fixture
def broken(learned: lookalike.Collection, tmp_path: Path) -> lookalike.Collection:
    """A copy of `learned` that the test may damage."""
    shutil.copytree(learned.path, tmp_path / "broken.lookalike")
    return lookalike.open(tmp_path / "broken.lookalike")


# What is kept


def test_what_was_learned_is_a_file_beside_the_manifest_whose_checksum_the_manifest_has(learned):
    path, manifest = file_of(learned.path), json.loads((learned.path / "collection.json").read_bytes())

    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    assert manifest["model"]["sha256"] == checksum
    assert path.name == f"model-{checksum[:16]}.npz"
    assert list(learned.verify()) == []


def test_a_reopened_collection_is_asked_with_an_own_picture(learned, dozen):
    collection = lookalike.open(learned.path)

    (hit,) = collection.search(dozen / "sea" / "sea-002.png", k=1)

    assert (hit.id, hit.score) == ("sea/sea-002.png", pytest.approx(1, abs=1e-5))
    assert np.linalg.norm(collection.embeddings(), axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("format_", ["folder", "tar", "tfrecord", "parquet"])
def test_the_same_images_teach_the_same_whatever_the_source(learned, dozen, target, tmp_path, format_):
    pack(dozen, tmp_path / "packed", format=format_)

    collection, _ = build(tmp_path / "packed", target, model="sift")

    assert file_of(target).read_bytes() == file_of(learned.path).read_bytes()
    assert sorted(map(bytes, collection.embeddings())) == sorted(map(bytes, learned.embeddings()))


def test_images_of_a_list_of_urls_teach_too(target, tmp_path):
    with web() as site:
        (tmp_path / "list.txt").write_text("".join(f"{site.url}/ok/{seed}.jpg\n" for seed in range(5)))

        collection, report = build(tmp_path / "list.txt", target, model="sift", fetch=LOCAL)

    assert counts(report) == {"embedded": 5}
    assert list(collection.verify()) == []


def test_in_a_store_the_same_is_kept(learned, dozen, bucket):
    stored, _ = build(dozen, f"s3://{bucket}/c.lookalike", model="sift")

    assert stored.manifest.model == learned.manifest.model
    assert lookalike.open(str(stored.path)).search(dozen / "sea" / "sea-002.png", k=1)
    assert list(stored.verify()) == []
    build(dozen, str(stored.path), model="colors", rebuild=True)
    assert list(stored.path.glob("model-*")) == []


# What it is learned from


def listing_of(images: dict[str, bytes | None], read: list[str]) -> Listing:
    """Images by id, None where reading fails; `read` gets the ids of those that are read."""

    def sample(id_: str, data: bytes | None) -> Sample:
        def reading() -> bytes:
            read.append(id_)
            if data is None:
                raise OSError("gone")
            return data

        return Sample(id_, id_, None, 0, reading)

    samples = {id_: sample(id_, data) for id_, data in images.items()}
    return Listing("file:///", ("file:///",), (), {}, samples, [], {})


def test_128_images_from_all_over_the_listing_are_read_in_its_order(folder, monkeypatch):
    monkeypatch.setattr(
        "lookalike.builder.learning.learner", lambda name: lambda pictures: bytes(len(pictures))
    )
    data, read = (folder / "sea" / "sea-002.png").read_bytes(), []
    listing = listing_of({f"{number:04d}": data for number in range(1000)}, read)

    for _ in range(2):
        taught = learn(load_model("pixels"), listing, open_source(folder), max_megapixels=1)
        assert taught == bytes(128)

    first, again = read[:128], read[128:]
    assert first == again == sorted(first)
    assert all(any(id_.startswith(f"0{hundred}") for id_ in first) for hundred in range(10))


def test_a_model_with_nothing_to_learn_reads_none(folder):
    read = []
    listing = listing_of({"a": None}, read)

    assert learn(load_model("pixels"), listing, open_source(folder), max_megapixels=1) is None
    assert read == []


def test_images_that_cannot_be_read_are_passed_over(folder, target):
    whole = build(folder, target, model="sift")[0].manifest.model
    for number in range(5):
        (folder / f"broken-{number}.jpg").write_text("no picture")
    huge = write_picture(folder / "huge.png", 1, size=(400, 300))

    collection, _ = build(folder, target, model="sift", rebuild=True, max_megapixels=0.1)

    assert collection.manifest.model == whole
    assert {id_ for id_, _, _ in failures(collection)} == {huge.name, *(f"broken-{n}.jpg" for n in range(5))}


def test_where_no_image_can_be_read_nothing_is_made(tmp_path, target):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.jpg").write_text("no picture")

    with pytest.raises(ModelError, match=r"none of the 1 tried can be read; .*`model='pixels'`"):
        build(tmp_path / "pictures", target, model="sift")

    assert not (target / "collection.json").exists()
    build(tmp_path / "pictures", target, model="pixels")
    assert len(failures(lookalike.open(target))) == 1


def test_a_rebuild_that_can_learn_nothing_leaves_what_is_there(folder, target):
    before = build(folder, target, model="sift")[0]
    vectors = before.embeddings()
    shutil.rmtree(folder)
    folder.mkdir()
    Image.new("RGB", (64, 48), "grey").save(folder / "flat.png")

    with pytest.raises(ModelError, match="the images have 0"):
        build(folder, target, model="sift", rebuild=True)

    assert np.array_equal(lookalike.open(target).embeddings(), vectors)
    assert list(lookalike.open(target).verify()) == []


# A collection that changes


def test_an_update_keeps_what_was_learned(folder, target, tmp_path):
    before = build(folder, target, model="sift")[0]
    state = file_of(target).stat()
    for number in range(20):
        write_picture(folder / f"new-{number}.png", 100 + number)
        write_picture(tmp_path / "more" / f"more-{number}.png", 200 + number)

    collection, report = build(folder, target, model=None)
    collection, more = build(tmp_path / "more", target, model=None)

    assert [counts(one) for one in (report, more)] == [{"embedded": 20, "unchanged": 12}, {"embedded": 20}]
    assert collection.manifest.model == before.manifest.model
    assert (file_of(target).stat().st_ino, file_of(target).stat().st_mtime_ns) == (
        state.st_ino,
        state.st_mtime_ns,
    )


@pytest.mark.slow
def test_a_rebuild_learns_anew_and_keeps_no_other_file(folder, target):
    before = build(folder, target, model="sift")[0].manifest.model.sha256
    for number in range(20):
        write_picture(folder / f"new-{number}.png", 100 + number)

    after, _ = build(folder, target, model=None, rebuild=True)

    assert after.manifest.model.sha256 != before
    assert file_of(target).name == f"model-{after.manifest.model.sha256[:16]}.npz"
    build(folder, target, model="colors", rebuild=True)
    assert list(target.glob("model-*")) == []


def test_what_a_build_that_was_killed_while_it_learned_left_does_not_stop_the_next(folder, target):
    target.mkdir()
    (target / "model-0123456789abcdef.npz").write_bytes(b"another")
    (target / "model-0123456789abcdef.npz.tmp").write_bytes(b"half")

    collection, _ = build(folder, target, model="sift")

    assert file_of(target).name == f"model-{collection.manifest.model.sha256[:16]}.npz"


def test_a_file_with_another_name_stops_it(folder, target):
    target.mkdir()
    (target / "model-my-own.npz").touch()

    with pytest.raises(CollectionError, match="has other files"):
        build(folder, target, model="sift")


# Damage


def check_refused(collection: lookalike.Collection, dozen: Path, message: str) -> None:
    """A picture is no query any more, nor can images be added; items are still found by each other."""
    with pytest.raises(ModelError, match=rf"{message}.*rebuild=True"):
        collection.search(dozen / "sea" / "sea-002.png")
    with pytest.raises(ModelError, match=rf"{message}.*rebuild=True"):
        build(dozen, collection.path, model=None)
    assert len(collection.search(lookalike.Id("sea/sea-002.png"), k=3)) == 3


def test_a_file_that_is_missing_is_found_and_refused(broken, dozen):
    path = file_of(broken.path)
    path.unlink()

    (problem,) = broken.verify()
    assert problem.startswith(f"{path}, what sift learned, is missing")
    assert problem.endswith(f"`lookalike.build(source, collection='{broken.path}', rebuild=True)`")
    check_refused(broken, dozen, "missing")


def test_a_changed_byte_is_found_and_refused(broken, dozen, damage):
    path = file_of(broken.path)
    damage(path)

    (problem,) = broken.verify()
    assert problem.startswith(f"{path}: the checksum does not match, the file is damaged")
    assert problem.endswith(f"`lookalike.build(source, collection='{broken.path}', rebuild=True)`")
    check_refused(broken, dozen, "the file is damaged")


@pytest.mark.parametrize("checksum", ["0123456789abcdef" * 4, "/../../secret", ""])
def test_a_manifest_of_another_time_or_hand_names_no_file(broken, dozen, checksum):
    """The collections of the first version had a codebook that was part of the package."""
    manifest = json.loads((broken.path / "collection.json").read_bytes())
    manifest["model"]["sha256"] = checksum
    (broken.path / "collection.json").write_text(json.dumps(manifest))

    with pytest.raises(ModelError):
        lookalike.open(broken.path).search(dozen / "sea" / "sea-002.png")


def test_an_empty_folder_is_an_empty_source_and_no_question_of_learning(tmp_path, target):
    (tmp_path / "empty").mkdir()

    with pytest.raises(SourceError):
        build(tmp_path / "empty", target, model="sift")


def test_one_picture_with_details_is_enough(tmp_path, target):
    tmp_path.joinpath("one").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "one" / "noise.png")

    collection, _ = build(tmp_path / "one", target, model="sift")

    assert ids(collection) == ["noise.png"]
    (hit,) = collection.search(picture(3))
    assert hit.id == "noise.png"
