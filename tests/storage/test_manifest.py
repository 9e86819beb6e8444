"""The manifest of a collection: what it says, and what is refused."""

from __future__ import annotations

import json
import re

import pytest
from building import edit_manifest
from hypothesis import given
from hypothesis import strategies as st

import lookalike
from lookalike import Id
from lookalike.errors import CollectionError, ModelError
from lookalike.models.spec import ModelSpec
from lookalike.storage.manifest import Manifest

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)

THREE = st.tuples(*[st.floats(0.1, 1)] * 3)
SPECS = st.builds(
    ModelSpec,
    *(TEXT, TEXT, st.integers(1, 9999), st.integers(1, 999), st.floats(0.1, 1)),
    resize=st.sampled_from(["square", "crop", "squash"]),
    interpolation=st.sampled_from(["bicubic", "bilinear", "lanczos", "nearest"]),
    mean=st.just(()) | THREE,
    std=st.just(()) | THREE,
    channels=st.sampled_from(["RGB", "BGR"]),
    output=TEXT,
    pooling=st.sampled_from(["", "mean"]),
    offset=st.sampled_from(["round", "floor"]),
    precision=st.sampled_from(["", "float16", "bfloat16"]),
    revision=TEXT,
    text_sha256=TEXT,
    prompts=st.lists(TEXT.map("{{}} {}".format), max_size=2).map(tuple),
)


def test_the_manifest_names_the_format_the_model_and_the_sources(collection, photos):
    manifest = json.loads((collection.path / "collection.json").read_text())

    assert manifest == {
        "format": "lookalike-collection",
        "version": 1,
        "model": {
            "name": "colors",
            "sha256": manifest["model"]["sha256"],
            "dim": 192,
            "size_px": 64,
            "crop": 1.0,
        },
        "dtype": "float32",
        "sources": {photos.as_uri() + "/": {"label": "folder", "metadata": None}},
    }
    assert re.fullmatch("[0-9a-f]{64}", manifest["model"]["sha256"])


def test_a_prompt_has_a_place_for_the_word():
    fields = ModelSpec("m", "s", 8, 32, 1.0).to_fields()

    with pytest.raises(ValueError, match="sentences with"):
        ModelSpec.from_fields({**fields, "prompts": ["a photo"]})


@given(
    spec=SPECS,
    dtype=st.sampled_from(["float32", "float16"]),
    sources=st.dictionaries(
        TEXT, st.fixed_dictionaries({"label": st.none() | TEXT, "metadata": st.none() | TEXT}), max_size=3
    ),
)
def test_any_manifest_is_read_back_as_it_was_written(tmp_path_factory, spec, dtype, sources):
    manifest = Manifest(spec, dtype, sources)
    path = tmp_path_factory.getbasetemp() / "collection.json"
    path.write_bytes(manifest.to_json())

    assert Manifest.read(path) == manifest


@given(
    text=st.binary(max_size=40)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | TEXT,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["format", "version", "model", "dtype", "sources"]), inner, max_size=5
            )
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_whatever_is_no_manifest_is_refused_with_a_collection_error(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "no-manifest.json"
    path.write_bytes(text)

    with pytest.raises(CollectionError, match=r"no-manifest\.json"):
        Manifest.read(path)


def test_a_folder_that_is_not_there_cannot_be_opened(tmp_path):
    with pytest.raises(CollectionError, match="there is no collection at") as caught:
        lookalike.open(tmp_path / "missing")
    assert caught.value.hint == f"make one with: `lookalike.build(source, collection='{tmp_path}/missing')`"


def test_a_folder_that_is_something_else_cannot_be_opened(photos):
    with pytest.raises(CollectionError, match=r"is not a collection: it holds no collection\.json") as caught:
        lookalike.open(photos)
    assert caught.value.hint == f"make one with: `lookalike.build('{photos}', collection=path)`"


def test_a_file_cannot_be_opened(photos):
    with pytest.raises(CollectionError, match="there is no collection at"):
        lookalike.open(photos / "brick" / "brick-000.jpg")


def test_the_manifest_of_another_program_is_refused(copied):
    with pytest.raises(CollectionError, match="is not the manifest of a Lookalike collection"):
        edit_manifest(copied, format="stac")


def test_a_newer_format_is_refused_with_the_advice_to_upgrade(copied):
    with pytest.raises(CollectionError, match="has format version 2, this Lookalike reads up to 1") as caught:
        edit_manifest(copied, version=2)
    assert caught.value.hint == "upgrade Lookalike"


@pytest.mark.parametrize("version", [None, "1", 0, -1, True, 1.0])
def test_a_version_that_is_none_is_refused(copied, version):
    with pytest.raises(CollectionError, match="version"):
        edit_manifest(copied, version=version)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"text"', "\x00\xff"])
def test_a_manifest_that_is_broken_is_refused(copied, text):
    (copied.path / "collection.json").write_text(text, encoding="latin-1")

    with pytest.raises(CollectionError, match=r"collection\.json"):
        lookalike.open(copied.path)


@pytest.mark.parametrize("missing", ["format", "version", "model", "dtype", "sources"])
def test_a_manifest_that_lacks_a_field_is_refused(copied, missing):
    path = copied.path / "collection.json"
    fields = json.loads(path.read_text())
    del fields[missing]
    path.write_text(json.dumps(fields))

    with pytest.raises(CollectionError):
        lookalike.open(copied.path)


def test_unknown_fields_and_a_whole_number_for_a_float_are_read(copied):
    path = copied.path / "collection.json"
    fields = json.loads(path.read_bytes())
    fields["model"] |= {"crop": 1, "antialias": "none"}
    path.write_text(json.dumps({**fields, "made_by": "a later version"}))

    spec = lookalike.open(copied.path).manifest.model

    assert (spec.crop, type(spec.crop)) == (1.0, float)
    assert len(lookalike.open(copied.path).search(Id("sea/sea-002.png"), k=3)) == 3


def test_what_a_model_adds_to_the_first_fields_is_written_and_changes_the_fingerprint(copied):
    before = copied.fingerprint()
    model = json.loads((copied.path / "collection.json").read_bytes())["model"]

    changed = edit_manifest(copied, model={**model, "resize": "squash", "mean": [0, 0.5, 1]})

    assert changed.manifest.model.mean == (0.0, 0.5, 1.0)
    assert json.loads(changed.manifest.to_json())["model"] == {
        **model,
        "resize": "squash",
        "mean": [0.0, 0.5, 1.0],
    }
    assert changed.fingerprint() != before


def test_a_field_with_the_value_that_it_has_when_it_is_left_out_changes_nothing(copied):
    before = copied.manifest, copied.fingerprint()
    model = json.loads((copied.path / "collection.json").read_bytes())["model"]
    said = {"resize": "square", "interpolation": "bicubic", "mean": [], "channels": "RGB", "pooling": ""}

    changed = edit_manifest(copied, model={**model, **said})

    assert (changed.manifest, changed.fingerprint()) == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("resize", "stretch"),
        ("resize", ["crop"]),
        ("interpolation", 3),
        ("mean", [0.5]),
        ("mean", "0.5"),
        ("mean", [0.1, 0.2, None]),
        ("std", [0.1, 0, 0.2]),
        ("channels", "rgb"),
        ("output", None),
        ("pooling", "max"),
    ],
)
def test_a_field_of_the_model_that_makes_no_sense_is_refused_and_named(copied, field, value):
    model = json.loads((copied.path / "collection.json").read_bytes())["model"]

    with pytest.raises(CollectionError, match=r"collection\.json lacks a field or has an invalid one"):
        edit_manifest(copied, model={**model, field: value})


@pytest.mark.parametrize(
    "changes",
    [
        {"model": None},
        {"model": {"name": "colors"}},
        {"model": {"name": "colors", "sha256": "0", "dim": "many", "size_px": 64, "crop": 1.0}},
        {"model": {"name": "colors", "sha256": "0", "dim": 192, "size_px": 64, "crop": "1.0"}},
        {"model": {"name": "colors", "sha256": "0", "dim": 192.0, "size_px": 64, "crop": 1.0}},
        {"model": {"name": "colors", "sha256": "0", "dim": True, "size_px": 64, "crop": 1.0}},
        {"dtype": "float64"},
        {"dtype": 32},
        {"sources": []},
        {"sources": {"file:///photos/": None}},
    ],
    ids=str,
)
def test_a_field_of_the_manifest_that_makes_no_sense_is_refused(copied, changes):
    with pytest.raises(CollectionError, match=r"collection\.json"):
        edit_manifest(copied, **changes)


def test_a_manifest_that_pins_another_model_is_refused_with_the_next_command(copied, photos):
    model = json.loads((copied.path / "collection.json").read_text())["model"]
    changed = edit_manifest(copied, model={**model, "sha256": "0" * 64})

    with pytest.raises(ModelError, match="was embedded with another version of colors") as caught:
        changed.search(photos / "brick" / "brick-000.jpg")
    assert f"`lookalike.build(source, collection='{copied.path}', rebuild=True)`" in caught.value.hint


def test_a_manifest_that_pins_an_unknown_model_is_refused(copied, photos):
    model = json.loads((copied.path / "collection.json").read_text())["model"]
    changed = edit_manifest(copied, model={**model, "name": "nosuch"})

    with pytest.raises(ModelError, match="unknown model 'nosuch'"):
        changed.search(photos / "brick" / "brick-000.jpg")
