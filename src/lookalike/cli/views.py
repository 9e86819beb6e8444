"""Makes the page's views for a first look, if the collection is small enough to do it at once."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable

from lookalike.analysis.duplicates import find_duplicates
from lookalike.analysis.plan import keep_plan, make_plan
from lookalike.analysis.tiers import DUPLICATES
from lookalike.cli.output import say
from lookalike.cli.remedies import in_flags
from lookalike.collection import Collection
from lookalike.errors import LookalikeError
from lookalike.storage.derived import COMMANDS, derived_command, derived_state

# Up to here they take seconds: measured, 23 s of processor time for 3,000 vectors, 17 of them for clusters.
MOST_IMAGES = 3000
_LEAST_IMAGES = 12  # with fewer, an image does not have ten neighbours


def _keep_duplicates(collection: Collection) -> None:
    found = find_duplicates(collection.snapshot)
    keep_plan(found.state, found.items, make_plan(found, str(collection.path)), tiers=DUPLICATES)


# What makes a view, and the options in its command: a view made with other options is left alone.
_VIEWS: dict[str, tuple[Callable[[Collection], object], str]] = {
    "map": (lambda collection: collection.map(write=True), "--method pca --seed 0"),
    "clusters": (lambda collection: collection.cluster(write=True), "--seed 0 --method kmeans --k auto"),
    "outliers": (lambda collection: collection.outliers(write=True), "--label label -k 10"),
    "duplicates": (_keep_duplicates, "--keep largest --tiers bytes,pixels,copy"),
}


def make_views(collection: Collection) -> None:
    """Make the map, clusters, outliers and duplicates that are missing or older than the collection.

    For a large collection it names the commands instead. If one fails, it says so and goes on.
    """
    if len(collection) < _LEAST_IMAGES:
        return
    state = collection.snapshot.state
    wanted: list[str] = []
    others: list[str] = []
    for name, (_, usual) in _VIEWS.items():
        there = derived_state(state, name)
        usually = there == "none" or derived_command(state, name).endswith(usual)
        if there != "fresh":
            (wanted if usually and len(collection) <= MOST_IMAGES else others).append(name)
    started_s = time.monotonic()
    made = [name for name in wanted if _is_made(collection, name)]
    if made:
        say(f"made the {_listed(made)} in {time.monotonic() - started_s:.1f} s")
    for name in others:
        say(f"to see the {name} on the page: {derived_command(state, name)}")


def _is_made(collection: Collection, name: str) -> bool:
    try:
        _VIEWS[name][0](collection)
    except LookalikeError as error:
        hint = f"; {in_flags(error.hint, COMMANDS[name])}" if error.hint else ""
        say(f"the {name} could not be made: {error.message}{hint}")
        return False
    return True


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)


def say_next(collection: Collection) -> None:
    """Say what to do next with a collection."""
    path = shlex.quote(str(collection.path))
    say(f"the collection is in {collection.path}; search it with: lookalike search {path} PICTURE.jpg")
