"""Whatever a request says, it is understood or a problem is named."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pictures import quick

from lookalike.server import Access
from lookalike.server.problems import Problem
from lookalike.server.queries import Request, parse_json, parse_search, whole
from lookalike.server.security import Guard

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters())
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
TERMS = st.dictionaries(
    st.sampled_from("id text image url vector vector_int8 box weight other".split()), VALUES, max_size=4
)
SEARCHES = st.dictionaries(
    st.sampled_from("id k where include_query min_confidence other".split()), VALUES
) | (st.fixed_dictionaries({"query": st.lists(TERMS, max_size=3)}, optional={"k": VALUES, "where": VALUES}))


@quick
@given(st.binary() | st.builds(lambda value: json.dumps(value).encode(), VALUES))
def test_any_body_is_an_object_of_text_or_a_problem(body: bytes) -> None:
    try:
        fields = parse_json(body)
    except Problem as problem:
        assert problem.kind == "bad-json"
    else:
        json.dumps(fields, ensure_ascii=False).encode()


@quick
@given(SEARCHES)
def test_any_object_is_a_search_or_a_problem_that_names_a_field(fields: dict[str, Any]) -> None:
    try:
        found = parse_search(fields)
    except Problem as problem:
        assert problem.kind in ("bad-json", "bad-parameter", "bad-condition")
        assert problem.response().status_code == 400
    else:
        assert isinstance(found, Request)


@quick
@given(VALUES)
def test_any_value_is_a_whole_number_within_its_limits_or_a_problem(value: Any) -> None:
    with suppress(Problem):
        assert 1 <= whole(value, "k", 1, 100) <= 100


@quick
@given(st.text())
def test_no_host_is_admitted_but_the_own_names(host: str) -> None:
    if Guard(lambda *_: None, Access()).admits(host):  # type: ignore[arg-type]
        assert host.lower().startswith(("localhost", "127.0.0.1", "[::1]"))
