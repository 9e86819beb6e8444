"""Whether identification tells pictures of other things, where a model has learned labels."""

import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import CLASSES, build, picture, write_pictures
from labelled import collection_of
from PIL import Image
from test_identify import leaves, stored

import lookalike
from lookalike.errors import ModelError
from lookalike.learning.familiar import FIELD, FILE, Familiar, read_familiar
from lookalike.learning.identifier import Verdicts
from lookalike.learning.saving import REPORT, save_head
from lookalike.models.head_model import Branch, Layer

SHA256 = "0" * 64


def write_odd(path, seed: int = 0):
    """Squares of two shades of brick: a picture with the mean colour of a kind, and yet unlike it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[0:64, 0:64] // 8
    shades = np.where((x + y) % 2, 80 + seed, -80)[:, :, None] + np.array(CLASSES["brick"])
    Image.fromarray(np.clip(shades, 0, 255).astype(np.uint8)).save(path)
    return path


@pytest.fixture
def made_by(tmp_path):
    """A function that makes a collection of leaves by a head of some branches."""

    def make(*branches: Branch) -> lookalike.Collection:
        vectors, kinds = leaves(90)
        trees = stored(tmp_path, vectors, label=kinds)
        save_head(tmp_path / "m", "m", trees.snapshot.manifest.model, branches)
        (tmp_path / "m" / REPORT).write_text("{}")
        return lookalike.build(trees.path, tmp_path / "made.lookalike", model=f"{tmp_path}/m/")

    return make


DIRECTIONS = Branch((Layer(np.eye(16, 4, dtype=np.float32), np.zeros(4, np.float32)),))


def test_a_model_that_learned_labels_and_keeps_nothing_of_its_base_is_said_not_to_know_strangers(made_by):
    collection = made_by(DIRECTIONS)
    answer = collection.identify(lookalike.Vector(np.eye(4, dtype=np.float32)[0]))

    assert answer.knows_strangers is False
    assert answer.as_dict()["knows_strangers"] is False
    assert collection.identify_missing().knows_strangers is False


def test_a_model_that_keeps_its_base_knows_strangers(made_by):
    collection = made_by(DIRECTIONS, Branch((), weight=0.3))
    answer = collection.identify(lookalike.Vector(np.eye(20, dtype=np.float32)[0]))

    assert answer.knows_strangers is True
    assert collection.identify_missing().knows_strangers is True


def test_a_head_on_a_model_that_learned_labels_is_said_not_to_know_strangers(made_by, tmp_path):
    learned = made_by(DIRECTIONS)
    base, path = learned.manifest.model, learned.manifest.model_path
    save_head(tmp_path / "n", "n", base, (Branch(), DIRECTIONS_OF_4), base_path=path)
    (tmp_path / "n" / REPORT).write_text("{}")
    collection = lookalike.build(learned.path, tmp_path / "again.lookalike", model=f"{tmp_path}/n/")

    assert collection.identify_missing().knows_strangers is False


DIRECTIONS_OF_4 = Branch((Layer(np.eye(4, 2, dtype=np.float32), np.zeros(2, np.float32)),))


def test_the_command_says_where_a_model_does_not_know_strangers(made_by, run):
    path = made_by(DIRECTIONS).path

    code, _, said = run("identify", path, "id:003")
    assert code == 0
    assert said.startswith(
        "the model has learned to tell labels apart, and takes many pictures of other things"
    )


# What a learned model keeps of its base.


def familiar_of(collection: lookalike.Collection, label: str = "label") -> Familiar:
    """What a model that learned all labelled pictures of a collection would keep."""
    table = collection.items(["id", label])
    kept = [at for at, name in enumerate(table[label].to_pylist()) if name]
    names, classes = np.unique(table[label].take(kept).to_pylist(), return_inverse=True)
    found = Familiar.of(collection.snapshot, collection.embeddings()[kept], classes, tuple(names.tolist()))
    assert found is not None
    return found


def learn(collection: lookalike.Collection, path, familiar: Familiar | None) -> str:
    """A model in the folder `path` that finds one of the kinds in everything."""
    means = familiar_of(collection).means
    head = [Branch((Layer(20 * means.T, np.zeros(len(means), np.float32)),), end="softmax")]
    kept = {"files": familiar.files(), "fields": familiar.fields()} if familiar else {}
    save_head(path, "m", collection.manifest.model, head, **kept)
    (path / REPORT).write_text("{}")
    return f"{path}/"


@pytest.fixture
def stones(tmp_path):
    """60 pictures of three kinds with labels, and three pictures of something else without one."""
    folder = write_pictures(tmp_path / "pictures", 60)
    for number in range(3):
        write_odd(folder / "odd" / f"{number}.png", number)
    made, _ = build(folder, tmp_path / "c.lookalike")
    label(made)
    return made


def label(collection: lookalike.Collection) -> None:
    for kind in CLASSES:
        of_kind = [id_ for id_ in collection.items(["id"])["id"].to_pylist() if id_.startswith(kind)]
        collection.give_label(of_kind, kind)


@pytest.fixture
def taught(stones, tmp_path):
    """The same pictures by a model that learned the kinds, and keeps what its base says of them."""
    model = learn(stones, tmp_path / "m", familiar_of(stones))
    return lookalike.build(stones.path, tmp_path / "taught.lookalike", model=model)


def test_a_stranger_is_told_by_the_base_of_a_model_that_learned_labels(taught, tmp_path):
    found = taught.identify(str(write_odd(tmp_path / "a.png", 9)))

    assert (found.label, found.reason, found.knows_strangers) == (None, "strange", True)


def test_without_what_the_base_says_a_stranger_has_a_label(stones, tmp_path):
    old = learn(stones, tmp_path / "m", None)
    collection = lookalike.build(stones.path, tmp_path / "old.lookalike", model=old)
    found = collection.identify(str(write_odd(tmp_path / "a.png", 9)))

    assert found.label == "brick"
    assert found.knows_strangers is False


def test_a_picture_like_those_that_were_learned_has_a_label_that_the_base_does_not_refuse(taught):
    found = [taught.identify(picture(seed, CLASSES["sea"])) for seed in range(100, 110)]

    assert [one.label for one in found].count("sea") >= 8
    assert {one.label for one in found} <= {"sea", None}


def test_items_are_told_by_their_pictures_and_strangers_get_no_proposal(taught):
    found = taught.identify(lookalike.Id("odd/1.png"))
    filled = taught.identify_missing()

    assert (found.label, found.reason, found.knows_strangers) == (None, "strange", True)
    assert (filled.asked, filled.proposed, filled.knows_strangers) == (3, [], True)


def test_an_item_without_any_picture_is_not_claimed_to_be_known(stones, tmp_path):
    model = learn(stones, tmp_path / "m", familiar_of(stones))
    bare, _ = build(tmp_path / "pictures", tmp_path / "bare.lookalike", model=model, thumbnails=False)
    label(bare)
    (tmp_path / "pictures" / "odd" / "1.png").unlink()

    assert bare.identify(lookalike.Id("odd/1.png")).knows_strangers is False
    assert bare.identify(lookalike.Id("odd/2.png")).knows_strangers is True


def test_a_proposal_for_an_item_without_any_picture_is_not_claimed_to_know_strangers(stones, tmp_path):
    model = learn(stones, tmp_path / "m", familiar_of(stones))
    bare, _ = build(tmp_path / "pictures", tmp_path / "bare.lookalike", model=model, thumbnails=False)
    label(bare)
    assert bare.identify_missing().knows_strangers is True
    (tmp_path / "pictures" / "odd" / "1.png").unlink()
    filled = bare.identify_missing()

    assert [one.id for one in filled.proposed] == ["odd/1.png"]
    assert filled.knows_strangers is False


def test_a_collection_may_have_some_of_the_labels_that_were_learned(stones, tmp_path):
    model = learn(stones, tmp_path / "m", familiar_of(stones))
    collection = lookalike.build(stones.path, tmp_path / "taught.lookalike", model=model)
    two = collection.where("label <> 'sea'")

    assert two.identify(lookalike.Id("brick/brick-000.jpg")).knows_strangers is True


def test_labelled_items_without_any_picture_say_nothing_against_the_base(stones, tmp_path):
    model = learn(stones, tmp_path / "m", familiar_of(stones))
    bare, _ = build(tmp_path / "pictures", tmp_path / "bare.lookalike", model=model, thumbnails=False)
    label(bare)
    for kind in ("meadow", "sea"):
        for path in (tmp_path / "pictures" / kind).iterdir():
            path.unlink()

    assert bare.identify(lookalike.Id("odd/1.png")).knows_strangers is True


def test_a_vector_has_no_picture_to_tell_by(taught):
    assert taught.identify(lookalike.Vector([1.0, 0, 0])).knows_strangers is False


def test_a_label_that_the_model_has_not_learned_is_not_strange_to_it(taught):
    taught.give_label(["odd/0.png", "odd/1.png"], "odd")
    found = taught.identify(lookalike.Id("odd/2.png"))

    assert found.knows_strangers is False


def test_a_collection_of_other_pictures_than_the_model_learned_from_is_not_all_strange(stones, tmp_path):
    of_others = replace(familiar_of(stones), means=-familiar_of(stones).means)
    model = learn(stones, tmp_path / "m", of_others)
    collection = lookalike.build(stones.path, tmp_path / "taught.lookalike", model=model)
    found = collection.identify(lookalike.Id("sea/sea-002.png"))

    assert (found.label, found.knows_strangers) == ("sea", False)


def test_a_copy_of_a_labelled_picture_has_its_label_however_strange_it_is():
    no = np.zeros(4, bool)
    copies = np.array([False, True, False, False])
    own = np.array([True, True, True, False])
    verdicts = Verdicts(np.zeros((4, 1), int), np.ones((4, 1), np.float32), own, no, copies)
    judged = verdicts.judged_strange(
        np.array([True, True, False, False]), seen=np.array([True, True, True, False])
    )

    assert judged.strange.tolist() == [True, False, False, False]


def test_what_is_farther_from_every_mean_than_one_in_ten_of_the_learnt_is_strange():
    familiar = Familiar(("a", "b"), np.eye(2, 3, dtype=np.float32), 0.6, spec())

    vectors = np.array([[0.6, 0, 0.8], [0.59, 0, 0.8], [0, 0.7, 0.7], [-1, 0, 0]], np.float32)
    assert familiar.is_strange(vectors).tolist() == [False, True, False, True]


def spec():
    return lookalike.load_model("colors").spec


def test_nine_in_ten_of_the_learnt_pictures_that_are_held_out_are_not_strange(stones):
    vectors = np.array([[1, 0]] * 9 + [[0.6, 0.8]], np.float32)
    familiar = Familiar.of(stones.snapshot, vectors, np.zeros(10, int), ("a",))

    # Held out two at a time, eight have a cosine of 0.9945, the last but one 1, the last 0.6.
    assert familiar.least == pytest.approx(0.6 + 0.9 * (0.9945 - 0.6), abs=1e-3)
    assert familiar.means == pytest.approx(np.array([[0.9965, 0.0830]]), abs=1e-3)
    assert familiar.names == ("a",)


def test_what_is_kept_is_read_as_it_was_written(stones, tmp_path):
    familiar = replace(familiar_of(stones), base_path="/somewhere")
    learn(stones, tmp_path / "m", familiar)
    described = json.loads((tmp_path / "m" / "model.json").read_text())
    found = read_familiar(tmp_path / "m", described["sha256"])

    assert (found.names, found.least, found.base_path) == (familiar.names, familiar.least, "/somewhere")
    assert found.base == familiar.base
    assert found.means == pytest.approx(familiar.means, abs=1e-3)
    assert read_familiar(tmp_path / "m", SHA256) is None


@pytest.mark.parametrize("damage", [b"other", None])
def test_a_damaged_or_missing_file_is_an_error(stones, tmp_path, damage):
    learn(stones, tmp_path / "m", familiar_of(stones))
    file = tmp_path / "m" / FILE
    file.unlink()
    if damage:
        file.write_bytes(damage)
    checksum = json.loads((tmp_path / "m" / "model.json").read_text())["sha256"]

    with pytest.raises(ModelError, match="is not the file that" if damage else "cannot be read"):
        read_familiar(tmp_path / "m", checksum)


def test_a_head_that_keeps_no_vector_of_its_base_keeps_what_that_says_of_the_classes(tmp_path):
    collection = collection_of(tmp_path / "c.lookalike")
    learned = collection.train("label", method="lda")
    learned.save(tmp_path / "m")
    said = json.loads((tmp_path / "m" / "model.json").read_text())

    assert learned.familiar.names == tuple(f"kind {number}" for number in range(6))
    assert said[FIELD]["base"] == collection.manifest.model.to_fields()
    assert read_familiar(tmp_path / "m", said["sha256"]).least == learned.familiar.least
    assert collection.train("label", method="blend").familiar is None


def test_vectors_of_a_model_that_was_learned_itself_are_not_kept(made_by):
    collection = made_by(DIRECTIONS)
    vectors, classes = collection.embeddings(), np.arange(90) % 3

    assert Familiar.of(collection.snapshot, vectors, classes, ("a", "b", "c")) is None


def test_means_of_more_than_400_classes_are_not_kept(stones):
    vectors, classes = np.ones((802, 2), np.float32), np.arange(802) % 401
    names = tuple(map(str, range(401)))

    assert Familiar.of(stones.snapshot, vectors, classes, names) is None
    assert Familiar.of(stones.snapshot, vectors, np.arange(802) % 400, names[:400]) is not None
