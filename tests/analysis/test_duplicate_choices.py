"""Which of the files that are alike a plan keeps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from indexes import SPEC

from lookalike.analysis.duplicates import Duplicates, Pair
from lookalike.analysis.plan import make_plan
from lookalike.errors import LookalikeError
from lookalike.storage.manifest import Manifest
from lookalike.storage.state import State


def item(number: int, width: int = 100, mtime_ns: int = 0) -> dict[str, object]:
    return {
        "id": f"{number}.jpg", "uri": f"file:///pictures/{number}.jpg", "sha256": f"{number:064}",
        "size_bytes": 1000, "mtime_ns": mtime_ns, "width": width, "height": 100,
    }  # fmt: skip


def duplicates(items: list[dict[str, object]], *pairs: Pair) -> Duplicates:
    """What was found in a collection that has no part."""
    return Duplicates(State(Path("c.lookalike"), Manifest(SPEC), ()), items, pairs, 0, 1.0)


def planned(items: list[dict[str, object]], *pairs: tuple[int, int, str], **wishes) -> dict[str, list[str]]:
    """What a plan of these pairs would keep, and what it would move for it."""
    found = duplicates(items, *(Pair((a, b), tier, "", 1.0) for a, b, tier in pairs))
    plan = make_plan(found, "c.lookalike", **wishes)
    return {group.keep.id: [move.file.id for move in group.move] for group in plan.groups}


def test_the_largest_or_the_oldest_stays():
    items = [item(0, 100, 3), item(1, 300, 2), item(2, 200, 1)]
    pairs = [(0, 1, "copy"), (0, 2, "copy"), (1, 2, "copy")]

    assert planned(items, *pairs) == {"1.jpg": ["0.jpg", "2.jpg"]}
    assert planned(items, *pairs, keep="oldest") == {"2.jpg": ["0.jpg", "1.jpg"]}


def test_nothing_is_moved_for_a_file_that_it_was_not_compared_with():
    items = [item(0, 300), item(1, 200), item(2, 100)]

    assert planned(items, (0, 1, "copy"), (1, 2, "copy")) == {"0.jpg": ["1.jpg"]}
    items = [item(0, 200), item(1, 300), item(2, 100)]
    assert planned(items, (0, 1, "copy"), (1, 2, "copy")) == {} | {"1.jpg": ["0.jpg", "2.jpg"]}


def test_what_holds_for_a_file_holds_for_all_with_its_bytes():
    items = [item(0), item(1), item(2), item(3, 300)]

    pairs = [(0, 1, "bytes"), (0, 2, "bytes"), (0, 3, "copy")]
    assert planned(items, *pairs) == {"3.jpg": ["0.jpg", "1.jpg", "2.jpg"]}
    assert planned(items, *pairs, tiers=("bytes",)) == {"0.jpg": ["1.jpg", "2.jpg"]}


@pytest.mark.slow
def test_thousands_of_identical_files_are_one_group_without_a_pair_of_each_two():
    count = 20_000  # whose pairs would not fit in memory

    groups = planned([item(number) for number in range(count)], *((0, i, "bytes") for i in range(1, count)))

    assert [len(moved) for moved in groups.values()] == [count - 1]


def test_a_burst_is_moved_only_when_asked():
    assert planned([item(0), item(1)], (0, 1, "moment")) == {}
    assert planned([item(0), item(1)], (0, 1, "moment"), tiers=("moment",)) == {"0.jpg": ["1.jpg"]}


def test_what_lies_in_an_archive_is_counted_and_left():
    items = [item(0), {**item(1), "uri": "tar:///a.tar#1.jpg"}]

    plan = make_plan(duplicates(items, Pair((0, 1), "copy", "", 1.0)), "c.lookalike")

    assert (plan.groups, plan.left_out) == ((), 1)


def test_an_unknown_tier_is_refused():
    with pytest.raises(
        LookalikeError, match="unknown tier 'same'; known are: bytes, pixels, copy, edit, moment"
    ):
        planned([item(0)], tiers=("same",))


def test_what_people_keep_stays_and_is_never_moved():
    items = [item(0, 300), item(1, 200), item(2, 100)]
    pairs = [Pair((0, 1), "copy", "", 1.0), Pair((0, 2), "copy", "", 1.0)]
    found = replace(duplicates(items, *pairs), kept=frozenset({2}))

    plan = make_plan(found, "c")

    assert [(group.keep.id, group.why, [one.file.id for one in group.move]) for group in plan.groups] == [
        ("2.jpg", "you chose to keep it", ["0.jpg"])
    ]
    both = replace(duplicates(items, pairs[0]), kept=frozenset({0, 1}))
    assert make_plan(both, "c").groups == ()


def test_what_has_the_bytes_of_a_copy_stays_where_people_say_that_it_is_none():
    items = [item(0, 300), item(1), item(2)]
    found = duplicates(items, Pair((0, 1), "copy", "", 1.0), Pair((1, 2), "bytes", "", 1.0))

    plan = make_plan(replace(found, apart=frozenset({(0, 2)})), "c")

    assert [move.file.id for move in plan.moves()] == ["1.jpg"]


def test_of_two_pictures_of_one_size_the_one_with_transparency_stays():
    items = [item(0, 200, 1), item(1, 200, 2)]
    found = duplicates(items, Pair((0, 1), "copy", "", 1.0, richer=1))

    for keep in ("largest", "oldest"):
        (group,) = make_plan(found, "c", keep=keep).groups
        assert (group.keep.id, group.why) == ("1.jpg", "the one with transparency")


def test_neither_goes_if_one_has_transparency_and_the_other_more_pixels():
    items = [item(0, 201), item(1, 200)]
    found = duplicates(items, Pair((0, 1), "copy", "", 1.0, richer=1))

    assert make_plan(found, "c").groups == ()
    assert make_plan(found, "c", keep="oldest").groups == ()
