"""The results of `lookalike cluster`, `duplicates`, `outliers` and `map`, as the page shows them."""

from __future__ import annotations

import base64
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response

from lookalike.analysis.clusters import members
from lookalike.analysis.tiers import KEEP, NOT_DUPLICATE, TIERS
from lookalike.errors import CollectionError
from lookalike.search.engine import Engine
from lookalike.server.answers import as_json, asked_condition, cards, live_of, matching
from lookalike.server.browsing import asked_page
from lookalike.server.problems import Problem
from lookalike.server.queries import int8_text, whole
from lookalike.storage.columns import column_type, value_counts
from lookalike.storage.derived import Derived, derived_command, read_derived

Said = tuple[set[tuple[int, int]], set[int]]

MAX_CARDS = 200

# How many pictures of a group the page shows, and how many values of a column get a colour of their own.
_SHOWN, _COLORS = 12, 12
# Codes of a map's colours: the last two are for no value, and for items that the filters exclude.
OTHERS, NO_VALUE, FILTERED = 253, 254, 255
# The mean of this many vectors equals the mean of all to within a hundredth.
_MOST_AVERAGED = 2000


def clusters(request: Request) -> Response:
    """`GET /api/{c}/clusters`: the groups, largest first, each with the items nearest to its centre."""
    engine, made = _derived(request, "clusters")

    def described() -> dict[str, Any]:
        groups = []
        for one in made.facts["clusters"]:
            rows = engine.snapshot.rows_of(members(made, one["cluster"], _SHOWN))
            groups.append({**one, "items": cards(engine, rows)})
        facts = {name: made.facts[name] for name in ("method", "reason", "noise", "command")}
        return {**facts, "clusters": groups}

    return as_json(engine.kept("clusters", "", described))


def duplicates(request: Request) -> Response:
    """`GET /api/{c}/duplicates`: a range of the groups, of one `tier` or all."""
    engine, made = _derived(request, "duplicates")
    offset, limit = asked_page(request)
    tier = request.query_params.get("tier")
    if tier is not None and tier not in TIERS:
        known = ", ".join(TIERS)
        raise Problem("bad-parameter", f"tier must be one of {known}, not {tier!r}", field="tier")
    groups: list[list[dict[str, Any]]] = engine.kept("duplicates", "", lambda: _groups(made))
    counts = Counter(tier for group in groups for tier in {one["tier"] for one in group[1:]})
    said = _said(engine)
    wanted = [group for group in groups if tier is None or any(one["tier"] == tier for one in group[1:])]
    return as_json(
        {
            **{name: made.facts[name] for name in ("command", "keep", "left_out")},
            "tiers": {tier: counts[tier] for tier in TIERS if counts[tier]},
            "total": len(wanted),
            "offset": offset,
            "groups": [_group(engine, said, group) for group in wanted[offset : offset + limit]],
        }
    )


def outliers(request: Request) -> Response:
    """`GET /api/{c}/outliers`: the items unlike all others, and those that are probably mislabelled."""
    engine, made = _derived(request, "outliers")
    facts = made.facts

    def found(name: str) -> list[dict[str, Any]]:
        items = cards(engine, engine.snapshot.rows_of([one["id"] for one in facts[name]]))
        told = ({key: value for key, value in one.items() if key != "id"} for one in facts[name])
        return [{"item": item, **one} for item, one in zip(items, told, strict=True)]

    about = {name: facts[name] for name in ("command", "k", "label", "labelled")}
    return as_json({**about, "farthest": found("farthest"), "mislabelled": found("mislabelled")})


def middle(request: Request) -> Response:
    """`GET /api/{c}/middle`: the mean vector of the items that meet a condition."""
    engine = live_of(request).engine()
    rows = matching(engine, asked_condition(request))
    mean = engine.vectors_at(rows[:: max(1, len(rows) // _MOST_AVERAGED)]).sum(axis=0)
    if not mean.any():
        raise Problem("bad-parameter", "no item meets the condition, or vectors cancel out", field="where")
    return as_json({"count": len(rows), "vector_int8": int8_text(mean)})


def map_places(request: Request) -> Response:
    """`GET /api/{c}/map`: the position of each item, float32 (N, 2) little-endian in base64, in order."""
    _, made = _derived(request, "map")
    places = np.stack([np.asarray(made.rows[name], "<f4") for name in ("x", "y")], axis=1)
    facts = {name: made.facts[name] for name in ("method", "command")}
    return as_json({**facts, "count": len(places), "places": _base64(places)})


def map_colors(request: Request) -> Response:
    """`GET /api/{c}/map/colors`: a colour code for each item by a column's value, uint8 (N,) in base64.

    For text, the rank of the value among the most frequent ones; for numbers, 0 (lowest) to 252 (highest).
    """
    engine, _ = _derived(request, "map")
    name, where = request.query_params.get("column"), asked_condition(request)
    kind, codes, more = "none", np.zeros(len(engine), np.uint8), dict[str, Any]()
    if name:
        if name not in engine.snapshot.all_columns.names:
            raise Problem("bad-parameter", f"there is no column {name!r}", field="column")
        column = engine.snapshot.column(name)
        kind = column_type(column.type)
        if kind not in ("text", "number"):
            raise Problem("bad-parameter", f"{name} has neither text nor numbers", field="column")
        codes, more = (_text_codes if kind == "text" else _number_codes)(column)
    if where is not None:
        codes = np.where(engine.mask(where), codes, FILTERED).astype(np.uint8)
    nothing: dict[str, Any] = {"values": [], "min": None, "max": None}
    return as_json({"type": kind, "codes": _base64(codes), **nothing, **more})


def map_cards(request: Request) -> Response:
    """`GET /api/{c}/map/cards`: the columns that a grid needs of the items with these numbers."""
    engine, _ = _derived(request, "map")
    wanted = request.query_params.get("rows", "").split(",")
    if len(wanted) > MAX_CARDS:
        raise Problem("bad-parameter", f"at most {MAX_CARDS} rows, not {len(wanted)}", field="rows")
    last = len(engine) - 1
    return as_json(cards(engine, [whole(row, "rows", 0, last) for row in wanted]))


def _derived(request: Request, name: str) -> tuple[Engine, Derived]:
    """The newest engine and its table; raises a `Problem` that names the command if it is unusable."""
    live = live_of(request)
    engine = live.engine()
    state = engine.snapshot.state
    if name in engine.snapshot.derived:
        return engine, engine.snapshot.derived[name]
    hint = ""
    try:
        hint = f"make it with: {derived_command(state, name)}"
        read_derived(state, name)
    except CollectionError as error:
        raise Problem("stale-view", error.message, hint=hint or error.hint) from None
    raise Problem("no-view", f"{live.name} has no {name}", hint=hint)


def _groups(made: Derived) -> list[list[dict[str, Any]]]:
    """The rows of each group of duplicates, the kept one first."""
    numbered = made.rows.append_column("row", pa.array(np.arange(len(made.rows))))
    rows = numbered.filter(pc.greater_equal(numbered["group"], 0))
    found: dict[int, list[dict[str, Any]]] = {}
    for row in rows.to_pylist():
        found.setdefault(row["group"], []).append(row)
    return [sorted(found[number], key=lambda row: row["tier"] is not None) for number in sorted(found)]


def _said(engine: Engine) -> Said:
    """The pairs of rows that people have marked as not duplicates so far, and the rows marked as staying."""
    apart = {rows for rows, value in engine.snapshot.marked_pairs(NOT_DUPLICATE).items() if value}
    return apart, {row for row, value in enumerate(engine.snapshot.marked(KEEP)) if value}


def _group(engine: Engine, said: Said, group: list[dict[str, Any]]) -> dict[str, Any]:
    apart, kept = said
    keep, *others = cards(engine, [one["row"] for one in group], ("size_bytes",))
    first = group[0]["row"]
    moves = [
        {
            "item": card,
            "tier": one["tier"],
            "reason": one["reason"],
            "not_duplicate": (min(first, one["row"]), max(first, one["row"])) in apart,
            "kept": one["row"] in kept,
        }
        for card, one in zip(others, group[1:], strict=True)
    ]
    return {"keep": keep, "kept": first in kept, "why": group[0]["reason"], "move": moves}


def _text_codes(column: pa.ChunkedArray) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    values = value_counts(column.drop_null())["value"][:_COLORS]
    places = pc.fill_null(pc.index_in(column, value_set=values.combine_chunks()), OTHERS)
    codes = np.where(np.asarray(column.is_null()), NO_VALUE, np.asarray(places))
    return codes.astype(np.uint8), {"values": values.to_pylist()}


def _number_codes(column: pa.ChunkedArray) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    numbers = np.asarray(pc.cast(column, pa.float64()), np.float64)
    known = np.isfinite(numbers)
    codes = np.full(len(numbers), NO_VALUE, np.uint8)
    if not known.any():
        return codes, {}
    low, high = float(numbers[known].min()), float(numbers[known].max())
    codes[known] = (numbers[known] - low) / ((high - low) or 1) * (OTHERS - 1)
    return codes, {"min": low, "max": high}


def _base64(array: NDArray[Any]) -> str:
    return base64.b64encode(array.tobytes()).decode()
