"""The server's views of what was derived: groups, duplicates, a map; refused where they are stale."""

from __future__ import annotations

import base64
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from conftest import build, write_picture, write_pictures
from deriving import derive_all
from PIL import Image
from serving import problem, running

import lookalike
from lookalike.storage.derived import COMMANDS


def analysed(folder: Path) -> lookalike.Collection:
    """20 pictures, of which two are there twice, with clusters, duplicates and a map."""
    source = write_pictures(folder / "photos", 18)
    shutil.copy(source / "sea" / "sea-002.png", source / "sea" / "again.png")
    with Image.open(source / "brick" / "brick-000.jpg") as image:
        image.save(source / "brick" / "other.png")
    made, _ = build(source, folder / "photos.lookalike", label="folder")
    derive_all(made)
    return made


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    made = analysed(tmp_path_factory.mktemp("views"))
    with running(made) as url, httpx.Client(base_url=f"{url}api/") as client:
        yield client


def get(client: httpx.Client, path: str, **parameters: object) -> dict:
    answer = client.get(f"photos/{path}", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def codes(answer: dict) -> np.ndarray:
    return np.frombuffer(base64.b64decode(answer["codes"]), np.uint8)


def test_a_collection_says_which_views_it_has(seen: httpx.Client) -> None:
    assert seen.get("collections").json()[0]["views"] == ["clusters", "duplicates", "outliers", "map"]


def test_clusters_have_the_items_nearest_to_their_centre_first(seen: httpx.Client) -> None:
    found = get(seen, "clusters")
    assert sum(one["size"] for one in found["clusters"]) == 20
    assert [one["items"][0]["id"] for one in found["clusters"]] == [
        one["medoid"] for one in found["clusters"]
    ]
    assert all(0 < len(one["items"]) <= 12 for one in found["clusters"])
    assert found["command"].startswith("lookalike cluster")


def test_the_groups_filter_as_any_column_does(seen: httpx.Client) -> None:
    one = get(seen, "clusters")["clusters"][1]
    assert get(seen, "items", where=f"cluster_name = '{one['name']}'")["total"] == one["size"]
    [facet] = [c for c in get(seen, "facets")["columns"] if c["name"] == "cluster_name"]
    assert {"value": one["name"], "count": one["size"]} in facet["values"]


def test_duplicates_come_in_groups_with_what_stays_and_why(seen: httpx.Client) -> None:
    found = get(seen, "duplicates")
    assert found["tiers"] == {"bytes": 1, "pixels": 1}
    assert found["command"].startswith("lookalike duplicates /")
    assert found["command"].endswith(" --keep largest --tiers bytes,pixels,copy")
    [same] = get(seen, "duplicates", tier="bytes")["groups"]
    assert {same["keep"]["id"], same["move"][0]["item"]["id"]} == {"sea/again.png", "sea/sea-002.png"}
    assert same["why"].startswith("the largest of them: 64 x 48")
    assert same["move"][0]["reason"] == "the files have the same SHA-256"
    assert get(seen, "duplicates", offset=1, limit=1)["groups"] == found["groups"][1:2]


def say(client: httpx.Client, kind: str, ids: list[str], value: bool | None = True, **more: object):
    return client.post("photos/marks", json={"kind": kind, "ids": ids, "value": value}, **more)


def test_what_is_said_of_duplicates_shows_at_once_and_can_be_taken_back(seen: httpx.Client) -> None:
    [group] = get(seen, "duplicates", tier="bytes")["groups"]
    one, other = group["keep"]["id"], group["move"][0]["item"]["id"]
    assert (group["kept"], group["move"][0]["kept"], group["move"][0]["not_duplicate"]) == (False,) * 3

    assert say(seen, "not_duplicate", [other, one]).status_code == 200
    assert say(seen, "keep", [other]).json()["marks"] == [{"kind": "keep", "ids": [other], "value": True}]
    [group] = get(seen, "duplicates", tier="bytes")["groups"]
    assert (group["kept"], group["move"][0]["kept"], group["move"][0]["not_duplicate"]) == (False, True, True)

    assert say(seen, "not_duplicate", [one, other], None).status_code == 200
    assert say(seen, "keep", [other], None).status_code == 200
    [group] = get(seen, "duplicates", tier="bytes")["groups"]
    assert (group["kept"], group["move"][0]["kept"], group["move"][0]["not_duplicate"]) == (False,) * 3


@pytest.mark.parametrize(
    ("kind", "ids", "value", "field"),
    [
        ("opinion", ["sea/again.png"], True, "kind"),
        (["keep"], ["sea/again.png"], True, "kind"),
        ("not_duplicate", ["sea/again.png"], True, "ids"),
        ("not_duplicate", ["sea/again.png", "sea/again.png"], True, "ids"),
        ("keep", "sea/again.png", True, "ids"),
        ("keep", [1], True, "ids"),
        ("keep", ["sea/again.png"], False, "value"),
    ],
)
def test_what_cannot_be_said_is_named(seen: httpx.Client, kind, ids, value, field: str) -> None:
    refused = say(seen, kind, ids, value)

    assert (problem(refused)[:2], refused.json()["field"]) == ((400, "bad-parameter"), field)


def test_no_other_site_and_no_form_can_say_something(seen: httpx.Client) -> None:
    foreign = say(seen, "keep", ["sea/again.png"], headers={"Origin": "https://example.org"})
    form = seen.post("photos/marks", content=b'{"kind": "keep"}', headers={"Content-Type": "text/plain"})

    assert (foreign.status_code, form.status_code) == (403, 415)
    assert say(seen, "keep", ["nothing"]).status_code == 404
    assert all(not group["move"][0]["kept"] for group in get(seen, "duplicates")["groups"])


def test_outliers_come_the_farthest_first_and_their_distance_is_a_column(seen: httpx.Client) -> None:
    found = get(seen, "outliers")
    assert (found["k"], found["label"], found["labelled"]) == (5, "label", 20)
    distances = [one["distance"] for one in found["farthest"]]
    assert distances == sorted(distances, reverse=True)
    near = get(seen, "items", where=f"outlier_distance < {distances[4] - 1e-6}")["items"]
    farthest = {one["item"]["id"] for one in found["farthest"][:5]}
    assert farthest == {item["id"] for item in get(seen, "items")["items"]} - {item["id"] for item in near}


def test_the_middle_of_some_items_is_nearest_to_them(seen: httpx.Client) -> None:
    found = get(seen, "middle", where="label = 'sea'")
    term = {"vector_int8": found["vector_int8"]}
    hits = seen.post("photos/search", json={"query": [term], "k": 7}).json()["hits"]
    assert (found["count"], [hit["label"] for hit in hits]) == (7, ["sea"] * 7)


def test_a_map_has_a_place_and_a_colour_for_every_item(seen: httpx.Client) -> None:
    found = get(seen, "map")
    places = np.frombuffer(base64.b64decode(found["places"]), "<f4").reshape(-1, 2)
    assert len(places) == found["count"] == 20
    assert np.abs(places).max() == pytest.approx(1)
    labels = get(seen, "map/colors", column="label")
    items = get(seen, "items")["items"]
    assert [labels["values"][code] for code in codes(labels)] == [item["label"] for item in items]
    assert codes(get(seen, "map/colors")).tolist() == [0] * 20


def test_colours_of_numbers_go_from_the_least_to_the_largest(seen: httpx.Client) -> None:
    found = get(seen, "map/colors", column="size_bytes")
    assert (codes(found).min(), codes(found).max()) == (0, 252)
    assert found["min"] < found["max"]


def test_what_filters_leave_out_has_a_code_of_its_own(seen: httpx.Client) -> None:
    found = codes(get(seen, "map/colors", column="label", where="label <> 'sea'"))
    assert (found == 255).sum() == 7


def test_a_part_of_the_map_is_a_condition(seen: httpx.Client) -> None:
    places = np.frombuffer(base64.b64decode(get(seen, "map")["places"]), "<f4").reshape(-1, 2)
    right = get(seen, "items", where="map_x > 0 AND map_y <= 0.5")
    assert right["total"] == ((places[:, 0] > 0) & (places[:, 1] <= 0.5)).sum()


def test_items_of_the_map_are_asked_for_by_number(seen: httpx.Client) -> None:
    ids = [item["id"] for item in get(seen, "items")["items"]]
    assert [card["id"] for card in get(seen, "map/cards", rows="7,0")] == [ids[7], ids[0]]


@pytest.mark.parametrize(
    "path, parameters, field",
    [
        ("duplicates", {"tier": "worse"}, "tier"),
        ("map/colors", {"column": "nothing"}, "column"),
        ("map/colors", {"column": "embedding"}, "column"),
        ("middle", {"where": "label = 'nothing'"}, "where"),
        ("map/cards", {"rows": "99"}, "rows"),
        ("map/cards", {"rows": ""}, "rows"),
        ("map/cards", {"rows": ",".join(["0"] * 201)}, "rows"),
    ],
)
def test_a_bad_parameter_is_named(seen: httpx.Client, path: str, parameters: dict, field: str) -> None:
    answer = seen.get(f"photos/{path}", params=parameters)
    assert problem(answer)[:2] == (400, "bad-parameter")
    assert answer.json()["field"] == field


def test_what_was_never_made_names_the_command(collection: lookalike.Collection) -> None:
    with running(collection) as url:
        for path, command in COMMANDS.items() - {("taught", "teach")}:  # tags have no view of their own
            answer = httpx.get(f"{url}api/photos/{path}")
            assert problem(answer)[:2] == (404, "no-view")
            assert answer.json()["hint"] == f"make it with: lookalike {command} {collection.path}"


@pytest.mark.slow
def test_what_is_stale_is_refused_with_the_command_and_comes_back(tmp_path: Path) -> None:
    made = analysed(tmp_path)
    with running(made) as url, httpx.Client(base_url=f"{url}api/photos/") as client:
        assert client.get("map").status_code == 200
        write_picture(tmp_path / "photos" / "sea" / "new.png", 99)
        build(tmp_path / "photos", made.path, label="folder")
        wait_for(client, 409)
        answer = client.get("map")
        assert problem(answer)[:2] == (409, "stale-view")
        assert "lookalike map" in answer.json()["hint"]
        assert client.get("items", params={"where": "map_x > 0"}).status_code == 400
        lookalike.open(made.path).map(write=True)
        wait_for(client, 200)
        assert client.get("map").json()["count"] == 21


def wait_for(client: httpx.Client, status: int) -> None:
    """Ask until the server has seen the change, for which it looks once a second."""
    end = time.monotonic() + 10
    while client.get("map").status_code != status and time.monotonic() < end:
        time.sleep(0.1)
