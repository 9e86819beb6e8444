"""An argument of another type is a clear error at once, not a surprise somewhere below."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest

import lookalike
from lookalike.checking import checked
from lookalike.errors import ArgumentError, LookalikeError
from lookalike.search.query import Id

if TYPE_CHECKING:
    from somewhere import Unknown


@checked
def asked(
    number: int = 1,
    real: float = 1.0,
    yes: bool = True,
    text: str | None = None,
    path: str | Path = "",
    names: Sequence[str] = (),
    many: Iterable[Any] = (),
    kind: Literal["flat", "hnsw"] = "flat",
    work: Callable[[int], None] | None = None,
    other: Unknown | None = None,
    anything: Any = None,
) -> str:
    return "asked"


@pytest.mark.parametrize(
    "given",
    [
        {"number": np.int64(3), "real": 3, "yes": np.bool_(True)},
        {"real": np.float32(0.5), "text": "a", "path": Path("a")},
        {"names": ["a", "b"], "many": np.zeros(3), "kind": "other"},
        {"names": iter("ab"), "many": {"a": 1}, "work": print},
        {"names": np.array(["a"]), "many": (one for one in "ab"), "other": 5, "anything": object()},
    ],
)
def test_what_the_annotations_say_is_accepted(given: dict[str, Any]) -> None:
    assert asked(**given) == "asked"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"number": "3"}, "number is a whole number, not '3'"),
        ({"number": 2.5}, "number is a whole number, not 2.5"),
        ({"number": None}, "number is a whole number, not None"),
        ({"real": "3"}, "real is a number, not '3'"),
        ({"yes": "no"}, "yes is true or false, not 'no'"),
        ({"text": 3}, "text is text or None, not 3"),
        ({"path": 3}, "path is text or a path, not 3"),
        ({"names": "ab"}, "names is a list of texts, not 'ab'"),
        ({"names": ["a", 3]}, r"names is a list of texts, not \['a', 3\]"),
        ({"many": 3}, "many is a list, not 3"),
        ({"kind": 3}, "kind is 'flat' or 'hnsw', not 3"),
        ({"work": "a"}, "work is a function or None, not 'a'"),
        ({"text": [0] * 100}, r"text is text or None, not \[0(, 0)+,\.\.\.$"),
    ],
)
def test_any_other_type_is_an_error_that_says_which_is_wanted(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        asked(**given)


def test_a_missing_or_unknown_argument_is_told_by_python() -> None:
    with pytest.raises(TypeError, match=r"asked\(\) got an unexpected keyword argument 'colour'"):
        asked(colour=3)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "call",
    [
        lambda c: lookalike.build(c.path, c.path, threads="a"),
        lambda c: lookalike.evaluate(3),
        lambda c: lookalike.from_vectors(c.path, 3, ["a"]),
        lambda c: c.search(Id("a"), k="x"),
        lambda c: c.search(Id("a"), min_confidence="x"),
        lambda c: c.recommend(3),
        lambda c: c.cluster(seed="x"),
        lambda c: c.duplicates(tiers=3),
        lambda c: c.outliers(max_memory_bytes="1GB"),
        lambda c: c.evaluate(ks="1"),
        lambda c: c.model.embed(3),
        lambda c: c.add([3]),
        lambda c: c.remove(3),
        lambda c: c.export(3),
        lambda c: c.serve(port="x"),
        lambda c: c.embeddings("a"),
        lambda c: c[None],
    ],
)
def test_every_public_function_says_so(collection: lookalike.Collection, call: Any) -> None:
    with pytest.raises(LookalikeError):
        call(collection)
