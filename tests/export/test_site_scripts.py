"""The scripts of the static site against Python: the same pixels, and the same vectors of words."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import picture
from networks import MEAN, STD, write_network

from lookalike.export.vector_format import int8_file
from lookalike.images.fit import fit, fit_whole_pixels
from lookalike.models import words
from lookalike.models.head_model import Branch, Layer, apply, described
from lookalike.models.model import unit
from lookalike.models.onnx_network import Network
from lookalike.models.spec import ModelSpec
from lookalike.models.tags import presence
from lookalike.search import thumbs
from lookalike.search.confidence import Background, Distribution
from lookalike.search.engine import Engine
from lookalike.search.evidence import confidence_of, sharpened
from lookalike.search.lexicon import Lexicon
from lookalike.search.own_words import own_tables
from lookalike.search.query import Direction, Side
from lookalike.search.spread import Spread

TESTS = Path(__file__).parents[1] / "web" / "js"
SCRIPTS = Path(__file__).parents[2] / "src" / "lookalike" / "web" / "static"
NODE = shutil.which("node")
pytestmark = [pytest.mark.process, pytest.mark.skipif(NODE is None, reason="node is not installed")]


_SCRIPTS = ("resize", "network", "head", "lexicon", "vectors", "confidence", "evidence", "thumbs")


def node(script: str, *arguments: object) -> Any:
    """What a module that may use the scripts says, as JSON."""
    imports = "".join(
        f"import * as {name} from {json.dumps((SCRIPTS / f'{file}.js').as_uri())};"
        for name, file in {**{one: one for one in _SCRIPTS}, "ownWords": "own-words"}.items()
    )
    source = (
        f"import {{readFileSync, writeFileSync}} from 'node:fs';{imports}const argv = process.argv;{script}"
    )
    # A module from the command line: its arguments begin at 1.
    command = [str(NODE), "--input-type=module", "-e", source, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout or "null")


def test_the_tests_of_the_scripts_themselves():
    done = subprocess.run(
        [str(NODE), "--test", *map(str, sorted(TESTS.glob("static-*.test.js")))],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "size, crop",
    [((64, 48), 1.0), ((500, 375), 1.0), ((301, 640), 0.875), ((224, 224), 1.0), ((7, 900), 1.0)],
)
def test_pictures_are_resized_to_pythons_pixels(tmp_path, size, crop):
    pixels = np.asarray(picture(5, size=size))
    opaque = np.full((*pixels.shape[:2], 1), 255, np.uint8)
    (tmp_path / "rgba").write_bytes(np.concatenate([pixels, opaque], axis=2).tobytes())

    node(
        "const [path, width, height, crop] = argv.slice(1);"
        "const rgb = resize.centralSquare(readFileSync(path), +width, +height, 224, +crop);"
        "writeFileSync(path + '.out', rgb);",
        tmp_path / "rgba",
        *size,
        crop,
    )

    found = np.frombuffer((tmp_path / "rgba.out").read_bytes(), np.uint8).reshape(224, 224, 3)
    difference = np.abs(found.astype(int) - fit(pixels, 224, crop))
    assert difference.max() <= 1  # Pillow's weights have 22 bits, these 53
    assert (difference > 0).mean() < 0.02


@pytest.mark.parametrize("resize", ["crop", "squash"])
@pytest.mark.parametrize(
    ("size", "crop", "interpolation", "offset"),
    [
        ((64, 48), 1.0, "bicubic", "round"),
        ((500, 375), 0.875, "bicubic", "floor"),
        ((301, 640), 0.9, "bilinear", "round"),
        ((333, 250), 1.0, "lanczos", "floor"),
        ((97, 211), 0.95, "nearest", "round"),
        ((7, 900), 1.0, "bicubic", "round"),
        ((900, 7), 0.8, "bilinear", "floor"),
    ],
)
def test_what_other_models_see_are_pythons_pixels(tmp_path, size, crop, interpolation, offset, resize):
    pixels = np.asarray(picture(5, size=size))
    opaque = np.full((*pixels.shape[:2], 1), 255, np.uint8)
    (tmp_path / "rgba").write_bytes(np.concatenate([pixels, opaque], axis=2).tobytes())
    seen = {"size_px": 32, "crop": crop, "resize": resize, "interpolation": interpolation, "offset": offset}

    node(
        "const [path, width, height, seen] = argv.slice(1);"
        "const rgb = resize.seenBy(readFileSync(path), +width, +height, JSON.parse(seen));"
        "writeFileSync(path + '.out', rgb);",
        tmp_path / "rgba",
        *size,
        json.dumps(seen),
    )

    found = np.frombuffer((tmp_path / "rgba.out").read_bytes(), np.uint8).reshape(32, 32, 3)
    expected = fit_whole_pixels(
        pixels, 32, crop, squash=resize == "squash", interpolation=interpolation, offset=offset
    )
    difference = found.astype(int) - expected
    assert np.abs(difference).max() <= 1
    assert abs(difference.mean()) < 0.01


def test_pixels_become_the_input_that_python_makes_of_them(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (1, 4, 4, 3)).astype(np.uint8)
    for channels, layout, mean, batch in (
        ("BGR", "NCHW", MEAN, 1),
        ("RGB", "NHWC", MEAN, 2),
        ("RGB", "NCHW", (), 1),
    ):
        network = Network.open(
            write_network(tmp_path / "net.onnx", size=4, layout=layout, batch=batch), "cpu"
        )
        spec = ModelSpec("m", "0" * 64, 8, 4, 1.0, mean=mean, std=STD if mean else (), channels=channels)
        entry = {
            **asdict(spec),
            "input": {"type": "float32", "channels_first": network.channels_first, "batch": batch},
        }

        values, shape = node(
            "const [rgb, entry] = argv.slice(1).map((text) => JSON.parse(text));"
            "const { values, shape } = network.tensorOf(Uint8Array.from(rgb), entry);"
            "console.log(JSON.stringify([Array.from(values), shape]));",
            json.dumps(rgb.ravel().tolist()),
            json.dumps(entry),
        )

        expected = np.repeat(network._prepared(spec, rgb), batch, axis=0)
        assert shape == list(expected.shape)
        assert np.allclose(np.reshape(values, shape), expected, atol=1e-5)


@pytest.mark.parametrize(("shape", "axes"), [((2, 5), ()), ((2, 3, 5), (1,)), ((2, 5, 3, 2), (2, 3))])
def test_features_of_places_are_averaged(shape, axes):
    data = np.random.default_rng(0).normal(size=shape).astype(np.float32)

    found = node(
        "const [data, dims] = argv.slice(1).map((text) => JSON.parse(text));"
        "console.log(JSON.stringify(Array.from(network.vectorOf(Float32Array.from(data), dims))));",
        json.dumps(data.ravel().tolist()),
        json.dumps(shape),
    )

    assert np.allclose(found, data.mean(axis=axes)[0] if axes else data[0], atol=1e-6)


@pytest.mark.parametrize("by_cosine", [False, True])
@pytest.mark.parametrize(("of_words", "length", "weight"), [(False, 1, 1), (True, 1, 1), (False, 1.2, 0.5)])
def test_likenesses_have_pythons_odds(of_words, length, weight, by_cosine):
    rng = np.random.default_rng(3)
    clustered = np.concatenate([rng.normal(0.3, 0.1, 5000), np.zeros(500)])  # with percentiles that are equal
    background = Background(400, Distribution.of(clustered), Distribution.of(clustered / 2), by_cosine)
    scores = [-0.5, 0.0, 0.0001, 0.1, 0.25, 0.3, 0.5, *background.items.percentiles[::9], 0.7, 0.99, 1.0]

    found = node(
        "const [background, scores, sum] = argv.slice(1).map((text) => JSON.parse(text));"
        "console.log(JSON.stringify(scores.map((score) => confidence.oddsOf(background, score, sum))));",
        json.dumps(asdict(background)),
        json.dumps(scores),
        json.dumps({"ofWords": of_words, "length": length, "weight": weight}),
    )

    expected = background.odds(np.array(scores), of_words=of_words, length=length, weight=weight)
    assert found == pytest.approx(expected.tolist(), abs=1e-4)


def test_labels_sharpen_as_in_python():
    confidences, labels = np.array([0.9, 0.8, 0.2, 0.7]), ["a", "b", "a", None]
    scores, near = [0.9, 0.85, 0.6], ["a", "b", None]

    found = node(
        "const [own, labels, near] = argv.slice(1).map((text) => JSON.parse(text));"
        "console.log(JSON.stringify(confidence.sharpened(own, labels, near)));",
        json.dumps(confidences.tolist()),
        json.dumps(labels),
        json.dumps([{"score": one, "label": label} for one, label in zip(scores, near, strict=True)]),
    )

    assert found == pytest.approx(sharpened(confidences, labels, np.float32(scores), near).tolist())


@pytest.mark.parametrize("weights", [[1, 1], [1, -0.5], [-1, -1]])
def test_sums_have_pythons_confidence(weights):
    rng = np.random.default_rng(4)
    pictures = rng.normal(size=(3, 8)) + 1
    one, other, hit = (pictures / np.linalg.norm(pictures, axis=1, keepdims=True)).astype(np.float32)
    background = Background(400, Distribution.of(np.linspace(0, 1, 1001)))
    total = weights[0] * one + weights[1] * other
    direction = Direction(
        total / np.linalg.norm(total),
        *{
            (1, 1): (Side(total / np.linalg.norm(total), float(np.linalg.norm(total)), 2.0),),
            (1, -0.5): (Side(one), (Side(other, 0.5, 0.5),)),
            (-1, -1): (None, (Side(one), Side(other))),
        }[tuple(weights)],
    )

    found = node(
        "const [background, weights, pictures] = argv.slice(1).map((text) => JSON.parse(text));"
        "const [one, other, hit] = pictures.map((vector) => Float32Array.from(vector));"
        "const terms = weights.map((weight, i) => ({id: String(i), weight}));"
        "const sides = evidence.sidesOf(terms, [one, other]);"
        "console.log(evidence.confidenceIn(background, sides, hit, () => 0));",
        json.dumps(asdict(background)),
        json.dumps(weights),
        json.dumps([vector.tolist() for vector in (one, other, hit)]),
    )

    expected = confidence_of(
        background, direction, np.float32([hit @ direction.vector]), lambda: None, lambda: hit[None]
    )
    assert found == pytest.approx(float(expected[0]), abs=1e-5)


def test_a_head_gives_pythons_vectors():
    rng = np.random.default_rng(0)
    layers = [
        Layer(rng.normal(size=shape).astype(np.float32), rng.normal(size=shape[1]).astype(np.float32))
        for shape in ((6, 5), (5, 4), (6, 3))
    ]
    branches = [
        Branch(tuple(layers[:2]), power=0.5, end="softmax", weight=0.7),
        Branch((layers[2],)),
        Branch(),
        Branch(power=2.0, weight=3.0),
    ]
    given = rng.normal(size=(4, 6)).astype(np.float32)
    given /= np.linalg.norm(given, axis=1, keepdims=True)
    usual = {"power": 1, "end": "", "weight": 1}

    found = node(
        "const [branches, layers, given] = argv.slice(1).map((one) => JSON.parse(one));"
        "const read = layers.map(({rows, ...size}) => ({rows: Float32Array.from(rows), ...size}));"
        "const said = given.map((one) => [...head.applied(branches, read, Float32Array.from(one))]);"
        "console.log(JSON.stringify(said));",
        json.dumps([usual | described(one) for one in branches]),
        json.dumps(
            [
                {"rows": [*one.matrix.ravel().tolist(), *one.offset.tolist()]}
                | {"count": len(one.matrix) + 1, "dim": len(one.offset)}
                for one in layers
            ]
        ),
        json.dumps(given.tolist()),
    )

    np.testing.assert_allclose(found, apply(branches, given), atol=1e-6)


@pytest.mark.parametrize("side", [-1, 0, 1])
def test_marks_refine_a_query_by_pythons_plane(side):
    rng = np.random.default_rng(side + 1)
    query, liked, unliked = (
        unit((rng.normal(size=(count, 12)) + towards * np.eye(12)[0]).astype(np.float32))
        for count, towards in ((1, 0), (7, side), (9, -side))
    )

    found = node(
        "const said = JSON.parse(argv[1]).map((some) => some.map((one) => Float32Array.from(one)));"
        "const {vector, way} = thumbs.refined(said[0][0], said[1], said[2]);"
        "console.log(JSON.stringify({vector: [...vector], way}));",
        json.dumps([some.tolist() for some in (query, liked, unliked)]),
    )

    sample = Spread(np.arange(1), query)
    expected = thumbs.WAYS["svm"](query[0], liked, unliked, sample)
    assert found["way"] == "svm"
    np.testing.assert_allclose(found["vector"], expected, atol=2e-3)


def test_a_query_that_ranks_the_marks_better_than_the_plane_stays_as_it_is():
    query, liked, unliked = [-1, 0.04], [[-0.76, 0.65], [-0.68, -0.73]], [[-0.68, 0.73], [-0.8, -0.6]]

    found = node(
        "const said = JSON.parse(argv[1]).map((some) => some.map((one) => Float32Array.from(one)));"
        "console.log(JSON.stringify(thumbs.refined(said[0][0], said[1], said[2]).way));",
        json.dumps([[query], liked, unliked]),
    )

    assert found == "query"


def test_words_have_pythons_vectors(tmp_path):
    texts = [
        "daisy",
        "Dogs",
        "a photo of a cat",
        "Persian cat's",
        "mice",
        "sports-car",
        "daisies and red wine",
    ]
    rules, directions = words.tables()
    (tmp_path / "words.json").write_text(json.dumps(rules))
    (tmp_path / "words.bin").write_bytes(int8_file(directions))

    found = node(
        "const [folder, texts] = argv.slice(1);"
        "const bytes = readFileSync(folder + '/words.bin');"
        "const {rows, scales, dim} = vectors.parseVectors(bytes.buffer.slice(bytes.byteOffset, "
        "bytes.byteOffset + bytes.length));"
        "const row = (n) => rows.subarray(n * dim, (n + 1) * dim);"
        "const vector = (n) => Float32Array.from(row(n), (value) => value * scales[n]);"
        "const rules = JSON.parse(readFileSync(folder + '/words.json'));"
        "const score = (n, v) => vector(1000 + n).reduce((sum, x, d) => sum + x * v[d], 0);"
        "const known = new lexicon.Lexicon(rules, vector, score);"
        "const asked = JSON.parse(texts);"
        "const made = asked.map((text) => [...known.vectorOf(text)]);"
        "const shown = asked.map((text) => known.presence(text, known.vectorOf('daisy')));"
        "const near = ['woman', 'brocoli', 'dasiy', 'qqqq'].map((word) => known.near(word));"
        "console.log(JSON.stringify({made, shown, near}));",
        tmp_path,
        json.dumps(texts),
    )

    expected = np.stack([words.text_vector(text) for text in texts])
    shown = [presence(text, words.text_vector("daisy")[None])[0] for text in texts]
    assert np.vecdot(np.array(found["made"]), expected).min() > 0.999
    assert found["shown"] == pytest.approx(shown, abs=0.02)
    assert shown[0] > 0.9
    assert found["near"] == [["person"], ["broccoli"], ["daisy"], []]


def test_a_text_means_what_it_means_in_python(tmp_path, collection):
    engine = Engine(collection.snapshot)
    lexicon = Lexicon(engine.words.own, None)
    texts = ["meadow", "Seas", "a sea by the meadow", "brick and nothing"]
    (tmp_path / "own.json").write_text(json.dumps(own_tables(lexicon.own)))
    (tmp_path / "own.bin").write_bytes(int8_file(np.stack([one.vector for one in lexicon.own.words])))
    hits = engine.vectors_at(np.array([0, 20, 41]))

    found = node(
        "const [folder, texts, hits] = argv.slice(1);"
        "const bytes = readFileSync(folder + '/own.bin');"
        "const {rows, scales, dim} = vectors.parseVectors(bytes.buffer.slice(bytes.byteOffset, "
        "bytes.byteOffset + bytes.length));"
        "const row = (n) => rows.subarray(n * dim, (n + 1) * dim);"
        "const vector = (n) => Float32Array.from(row(n), (x) => x * scales[n]);"
        "const own = new ownWords.OwnWords(JSON.parse(readFileSync(folder + '/own.json')), vector);"
        "const found = await Promise.all(JSON.parse(texts).map((text) => own.meaningOf(text, null)));"
        "const chances = found.map((one) => JSON.parse(hits).map((hit) => "
        "ownWords.presenceOf(one, own, Float32Array.from(hit), () => 0, () => 1)));"
        "console.log(JSON.stringify({said: found.map(({words, unknown}) => ({words, unknown})), chances, "
        "near: own.near('meadwo'), complete: own.complete('me').map(({word}) => word)}));",
        tmp_path,
        json.dumps(texts),
        json.dumps(hits.tolist()),
    )

    expected = [lexicon.meant(text) for text in texts]
    odds = [one.odds(hits, lambda some: some, lambda text, some: some) for one in expected]
    wanted = [{name: one.as_dict()[name] for name in ("words", "unknown")} for one in expected]
    assert found["said"] == wanted
    assert np.array(found["chances"]) == pytest.approx(1 / (1 + np.exp(-np.array(odds))), abs=0.03)
    assert (found["near"], found["complete"]) == (["meadow"], ["meadow"])
