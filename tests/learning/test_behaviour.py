"""Learning from events: what is read, what is learned, and that it is kept only if it is better."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from conftest import command, strict_json

import lookalike
from lookalike.demo.behaviour import make_events
from lookalike.errors import LookalikeError, ModelError, NoGainError, QueryError
from lookalike.learning.behaviour.events import read_events
from lookalike.learning.behaviour.measuring import Measured
from lookalike.learning.behaviour.towers import Liked, learn
from lookalike.learning.trained import Trained
from lookalike.models.head_model import Layer
from lookalike.models.users import Users, read_users, user_files

START = datetime(2026, 1, 1, tzinfo=UTC)


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> lookalike.Collection:
    """120 things of four kinds, which lie less apart than things are from each other."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(120, 24))
    vectors[:, 0] = 0.6 * np.where(np.arange(120) % 2, 1, -1)
    vectors[:, 1] = 0.6 * np.where(np.arange(120) // 2 % 2, 1, -1)
    ids = [f"{number:03d}" for number in range(120)]
    path = tmp_path_factory.mktemp("shop") / "shop.lookalike"
    return lookalike.from_vectors(
        path, unit(vectors), ids, columns={"label": [str(n % 4) for n in range(120)]}
    )


def clicks(count: int = 2500, seed: int = 0) -> pa.Table:
    """Each of 100 users clicks things of one kind; the things with a high number come late."""
    rng = np.random.default_rng(seed)
    user = rng.integers(100, size=count)
    time = np.sort(rng.random(count))
    latest = (60 + 60 * time).astype(int)
    item = (rng.random(count) * latest / 4).astype(int) * 4 + user % 4
    return pa.table(
        {
            "user": [f"u{one}" for one in user],
            "item": [f"{min(one, 119):03d}" for one in item],
            "time": [START + timedelta(seconds=float(one) * 1e6) for one in time],
        }
    )


@pytest.fixture
def events(tmp_path):
    pq.write_table(clicks(), tmp_path / "clicks.parquet")
    return tmp_path / "clicks.parquet"


def write(path, **columns):
    pq.write_table(pa.table(columns), path)
    return path


# Reading.


def test_the_columns_are_recognised_or_named(shop, tmp_path):
    times = [START, START + timedelta(days=1)]
    usual = write(tmp_path / "a.parquet", user_id=[1, 2], item_id=["000", "001"], timestamp=times)
    named = write(tmp_path / "b.parquet", wer=["1", "2"], was=["000", "001"], wann=times, wieviel=[1, 2])

    first = read_events(shop.snapshot, usual)
    second = read_events(shop.snapshot, named, user="wer", item="was", when="wann", weight="wieviel")

    assert (first.users, first.item.tolist(), first.weight.tolist()) == (["1", "2"], [0, 1], [1, 1])
    assert (second.users, second.item.tolist(), second.weight.tolist()) == (["1", "2"], [0, 1], [1, 2])


def test_events_come_in_the_order_of_time(shop, tmp_path):
    times = [START + timedelta(days=day) for day in (3, 1, 2)]
    path = write(tmp_path / "a.parquet", user=list("abc"), item=["000"] * 3, when=times)

    found = read_events(shop.snapshot, path)

    assert [found.users[one] for one in found.user] == ["b", "c", "a"]
    assert np.diff(found.when).tolist() == [86_400_000_000] * 2


def test_a_csv_file_is_read_too_with_seconds_since_1970(shop, tmp_path):
    (tmp_path / "a.csv").write_text("user,item,time\nx,000,1700000000\ny,001,1700000001.5\n")

    found = read_events(shop.snapshot, tmp_path / "a.csv")

    assert found.item.tolist() == [0, 1]
    assert found.when.tolist() == [1_700_000_000_000_000, 1_700_000_001_500_000]


def test_times_may_have_zones_and_one_that_is_none_is_left_out(shop, tmp_path):
    (tmp_path / "a.csv").write_text(
        "user,item,time\nx,000,2026-01-01T02:00:00+02:00\ny,001,2026-01-01T00:00:01\nz,002,yesterday\n"
    )

    found = read_events(shop.snapshot, tmp_path / "a.csv")

    assert (found.item.tolist(), found.invalid) == ([0, 1], 1)
    assert found.when.tolist() == [1_767_225_600_000_000, 1_767_225_601_000_000]


def test_what_cannot_be_used_is_left_out_and_counted(shop, tmp_path):
    now = datetime(2026, 6, 1, tzinfo=UTC)
    path = write(
        tmp_path / "a.parquet",
        user=["a", "a", "a", None, "a", "a", "a", "a"],
        item=["000", "gone", "001", "002", None, "003", "004", "005"],
        when=[START, START, now + timedelta(days=1), START, START, None, START, START],
        weight=[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, float("nan"), -1.0],
    )

    found = read_events(shop.snapshot, path, weight="weight", now=now)

    assert (len(found), found.unknown, found.future, found.invalid) == (1, 1, 1, 5)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"user": ["a"], "thing": ["000"]}, "no column that is recognised as the item"),
        ({"user": ["a"], "item": ["gone"]}, "none of the 1 events"),
        ({"user": [], "item": []}, r"a.parquet has no events$"),
        ({"user": ["a"], "item": ["000"], "when": ["yesterday"]}, "the column when .* has no times"),
        ({"user": ["a"], "item": ["000"], "weight": ["much"]}, "values that are not numbers"),
    ],
)
def test_a_file_of_no_use_is_a_clear_error(shop, tmp_path, columns, said):
    with pytest.raises(LookalikeError, match=said):
        read_events(shop.snapshot, write(tmp_path / "a.parquet", **columns))


def test_a_file_that_is_none_is_a_clear_error(shop, tmp_path):
    (tmp_path / "a.parquet").write_text("nothing")
    with pytest.raises(LookalikeError, match="cannot be read"):
        read_events(shop.snapshot, tmp_path / "a.parquet")


# Learning.


@pytest.mark.parametrize("objective", ["co-engagement", "bpr"])
def test_what_is_liked_together_comes_together_even_if_nobody_has_seen_it(shop, objective):
    rng = np.random.default_rng(0)
    user = rng.integers(100, size=1500)
    item = rng.integers(20, size=1500) * 4 + user % 4  # of the first 80 things alone
    vectors = shop.embeddings()

    made = learn(Liked(user, item, np.ones(1500, np.float32), vectors[:80], 100), objective, 0.0)

    unseen = made.items(vectors[80:])
    scores = made.users @ unseen.T
    alike = (np.arange(100) % 4)[:, None] == (np.arange(80, 120) % 4)[None, :]
    assert scores[alike].mean() > scores[~alike].mean() + 0.3
    assert np.linalg.norm(made.users, axis=1) == pytest.approx(np.ones(100), abs=1e-5)
    again = learn(Liked(user, item, np.ones(1500, np.float32), vectors[:80], 100), objective, 0.0)
    assert again.matrix.tobytes() == made.matrix.tobytes()


def test_a_heavy_event_is_learned_from_more_often(shop):
    rng = np.random.default_rng(0)
    user, vectors = rng.integers(50, size=2000), shop.embeddings()
    kind = rng.integers(2, size=2000)
    item = rng.integers(30, size=2000) * 4 + kind
    heavy = np.where(kind == 1, 10, 0.1).astype(np.float32)

    made = learn(Liked(user, item, heavy, vectors, 50), "co-engagement", 0.0)

    scores = made.users @ made.items(vectors).T
    assert scores[:, 1::4].mean() > scores[:, 0::4].mean() + 0.1


def test_popularity_can_be_taken_out(shop):
    rng = np.random.default_rng(0)
    user, vectors = rng.integers(50, size=2000), shop.embeddings()
    popular = rng.random(2000) < 0.9
    item = np.where(popular, rng.integers(12, size=2000), rng.integers(12, 120, size=2000))

    def lead(correction):
        made = learn(Liked(user, item, np.ones(2000, np.float32), vectors, 50), "co-engagement", correction)
        scores = made.users @ made.items(vectors).T
        return scores[:, :12].mean() - scores[:, 12:].mean()

    assert lead(0.0) > lead(0.5) > lead(1.0)


@pytest.mark.slow
def test_a_model_learned_from_events_beats_the_mean_of_what_was_liked(shop, events, tmp_path):
    model = lookalike.train(shop, events=events)

    report = model.report
    ours, liked = report.measured["this model"], report.measured["mean of liked"]
    assert report.gain == pytest.approx(ours.recall - liked.recall)
    assert report.gain > 2 * report.error > 0
    assert (ours.recall > 1.3 * liked.recall, ours.cold > 1.2 * liked.cold) == (True, True)
    assert set(report.measured) == {"this model", "mean of liked", "popularity", "item to item"}

    model.save(tmp_path / "taste")
    users = read_users(tmp_path / "taste", model.dim)
    scores = model.from_base(shop.embeddings()) @ users.vector("u1")
    assert [int(row) % 4 for row in np.argsort(-scores)[:10]] == [1] * 10


@pytest.mark.slow
def test_clicks_at_random_teach_nothing_and_nothing_is_written(shop, tmp_path):
    rng = np.random.default_rng(0)
    path = write(
        tmp_path / "a.parquet",
        user=[f"u{one}" for one in rng.integers(40, size=1500)],
        item=[f"{one:03d}" for one in rng.integers(120, size=1500)],
        time=[START + timedelta(minutes=one) for one in range(1500)],
    )
    with pytest.raises(NoGainError) as raised:
        lookalike.train(shop, events=path)
    assert raised.value.report.gain <= 2 * raised.value.report.error

    shown = command("train", shop.path, "--events", path, "-o", tmp_path / "taste")
    assert shown.returncode != 0
    assert "nothing was written" in shown.stderr
    assert not (tmp_path / "taste").exists()


@pytest.mark.parametrize(
    ("count", "options", "said"),
    [
        (40, {}, "too few to learn from"),
        (4000, {"method": "magic"}, "unknown objective 'magic'"),
        (4000, {"weight_column": "euros"}, "has no column euros"),
        (4000, {"max_memory_bytes": 1000}, "needs at least .* bytes, the limit is 1,000"),
    ],
)
def test_events_that_cannot_be_learned_from_are_a_clear_error(shop, tmp_path, count, options, said):
    pq.write_table(clicks(count), tmp_path / "a.parquet")
    with pytest.raises(LookalikeError, match=said):
        lookalike.train(shop, events=tmp_path / "a.parquet", **options)


# Users.


def test_a_user_is_found_by_name_and_a_wrong_name_is_told(tmp_path):
    vectors = np.float32([[1, 0], [0, 0]])
    for name, data in user_files(Users(["anna", "nobody"], vectors)).items():
        (tmp_path / name).write_bytes(data)
    users = read_users(tmp_path, 2)

    assert users.vector("anna").tolist() == [1, 0]
    with pytest.raises(QueryError, match="did you mean anna"):
        users.vector("ana")
    with pytest.raises(QueryError, match="knows nothing of"):
        users.vector("nobody")
    with pytest.raises(ModelError, match=r"users of .* cannot be read"):
        read_users(tmp_path, 3)


@pytest.mark.parametrize(
    ("items", "had"),
    [
        ([], [[0]]),
        (["a"], [[1]]),
        (["a"], [[-1]]),
        (["a"], [[True]]),
        (["a"], [[0], [0]]),
        ([7], [[0]]),
        ("a", []),
    ],
)
def test_what_users_had_has_to_be_among_the_items(tmp_path, items, had):
    for name, data in user_files(Users(["anna"], np.float32([[1, 0]]))).items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "users.json").write_text(json.dumps({"names": ["anna"], "items": items, "had": had}))

    with pytest.raises(ModelError, match="had has to have places in items"):
        read_users(tmp_path, 2)


def test_a_model_that_does_not_know_what_users_had_leaves_nothing_out(tmp_path):
    for name, data in user_files(Users(["anna"], np.float32([[1, 0]]))).items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "users.json").write_text('{"names": ["anna"]}')

    assert read_users(tmp_path, 2).items_of("anna") == []


def test_a_model_without_users_says_how_to_get_some(collection):
    shown = command("recommend", collection.path, "--user", "u1")
    assert shown.returncode != 0
    assert "knows no users" in shown.stderr
    assert "--events" in shown.stderr


@pytest.mark.slow
def test_the_command_prints_what_was_measured_and_keeps_the_users(shop, events, tmp_path):
    shown = command("train", shop.path, "--events", events, "-o", tmp_path / "taste")

    assert shown.returncode == 0, shown.stderr
    first, *_, last = shown.stdout.splitlines()
    assert first == "2,500 events of 100 users with 116 items"
    assert "recall@20 of 91 users' later choices" in last
    users = read_users(tmp_path / "taste", 64)
    table = pq.read_table(events)
    assert len(users.names) == 100
    assert users.items_of("u7") == sorted(
        set(table.filter(pc.equal(table["user"], "u7"))["item"].to_pylist())
    )
    assert "lookalike recommend NEW.lookalike --user NAME" in shown.stderr


def test_a_collection_built_with_the_model_recommends_to_its_users(collection, tmp_path):
    """Users like one kind of picture each; the build takes the stored vectors."""
    vectors, ids = collection.embeddings(), collection.ids
    kinds = np.unique(collection.items(["label"])["label"].to_pylist(), return_inverse=True)[1]
    user, item = np.nonzero(np.arange(3)[:, None] == kinds[None, :])
    made = learn(Liked(user, item, np.ones(42, np.float32), vectors, 3), "co-engagement", 0.5)
    mine = np.flatnonzero(kinds == 1)[:3].tolist()
    files = user_files(Users(["anna", "ben", "cleo"], made.users, [*ids, "gone"], [[], [*mine, 42], []]))
    layers = [Layer(made.matrix, made.offset)]
    report = Measured(1, 1, float("nan"), 1, 1, 1)
    Trained(collection.manifest.model, layers, report, files=files).save(tmp_path / "taste")
    target = tmp_path / "new.lookalike"

    built = command("build", collection.path, "--model", f"{tmp_path / 'taste'}/", "-c", target)
    found = command("recommend", target, "--user", "ben", "-k", 5, "--json")

    assert strict_json((tmp_path / "taste" / "report.json").read_text())["cold"] is None
    assert (built.returncode, found.returncode) == (0, 0), built.stderr + found.stderr
    hits = [hit["id"] for hit in json.loads(found.stdout)["hits"]]
    assert [kinds[ids.index(id_)] for id_ in hits] == [1] * 5
    new = lookalike.open(target)
    assert set(ids) - set(new.recommend(user="ben", k=42).ids) == {ids[row] for row in mine}
    labelled = new.where("label = 'meadow'")
    assert len(labelled.recommend(user="ben", k=42)) == len(labelled) - 3
    assert len(new.recommend(user="anna", k=42)) == 42


def test_made_up_visitors_are_the_same_for_a_seed_and_click_nothing_before_it_is_there(shop):
    arguments = (shop.ids, shop.embeddings(), shop.items(["label"])["label"].to_pylist())

    first, again = (make_events(*arguments, users=20, events_per_user=8, seed=3) for _ in range(2))

    assert first.equals(again)
    assert first["time"].to_pylist() == sorted(first["time"].to_pylist())
    pairs = list(zip(first["user"].to_pylist(), first["item"].to_pylist(), strict=True))
    assert len(set(pairs)) == len(pairs)
