"""Checks the types of arguments at the public functions: their annotations say what is expected.

An argument of another type would fail somewhere below, after half of the work, as Python's TypeError about
something that the caller has never seen.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache, wraps
from numbers import Integral, Real
from pathlib import PurePath
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import numpy as np

from lookalike.errors import ArgumentError

Function = TypeVar("Function", bound=Callable[..., Any])
Class = TypeVar("Class", bound=type)

_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    NoneType: "None",
    Callable: "a function",
    Mapping: "a dictionary",
}
_TYPES: dict[Any, Any] = {int: Integral, float: Real, None: NoneType}
_LISTS = (Sequence, Iterable, Collection, np.ndarray)
_MOST_SHOWN = 60


def checked(function: Function) -> Function:
    """A function that first raises `ArgumentError` for an argument that its annotation excludes."""

    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        hints = _hints(function)
        try:
            given = _signature(function).bind(*args, **options).arguments
        except TypeError:  # too many, too few, or an unknown one: Python says which
            return function(*args, **options)
        for name, value in given.items():
            if name in hints and not _fits(value, hints[name]):
                shown = repr(value)
                shown = shown if len(shown) <= _MOST_SHOWN else f"{shown[:_MOST_SHOWN]}..."
                raise ArgumentError(f"{name} is {_said(hints[name])}, not {shown}")
        return function(*args, **options)

    return call  # type: ignore[return-value]


def checked_methods(class_: Class) -> Class:
    """A class whose public methods are `checked`."""
    for name, method in list(vars(class_).items()):
        if inspect.isfunction(method) and not name.startswith("_"):
            setattr(class_, name, checked(method))
    return class_


_signature = cache(inspect.signature)  # takes longer than many a call


@cache
def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotation of each parameter, without those whose names are there for type checkers only."""
    found = {}
    for name, parameter in _signature(function).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD or not isinstance(parameter.annotation, str):
            continue
        try:
            found[name] = eval(parameter.annotation, function.__globals__)
        except NameError:
            continue
    return found


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value may be what the hint says; true for any hint that is not known here."""
    parts = get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        return any(_fits(value, part) for part in parts)
    if get_origin(hint) is Literal:
        return isinstance(value, tuple({type(part) for part in parts}))
    if get_origin(hint) in _LISTS:
        return _is_iterable_of(value, parts[0])
    if hint is bool:  # NumPy's has another type, and is no number
        return isinstance(value, Integral) or type(value).__name__ in ("bool", "bool_")
    if _types(hint) is os.PathLike and hasattr(value, "parent"):  # a path in a store is not one of Python's
        return True
    return isinstance(value, _types(hint))


def _types(hint: Any) -> Any:
    """The type that values have for a hint; `object` for any that is not known here."""
    plain = get_origin(hint) or hint
    if isinstance(plain, type) and issubclass(plain, PurePath | os.PathLike):
        return os.PathLike
    is_known = isinstance(plain, type) and plain is not Any and not getattr(plain, "_is_protocol", False)
    return _TYPES.get(plain, plain if is_known else object)


def _is_iterable_of(value: Any, part: Any) -> bool:
    """Whether one can iterate over a value; text is no list of texts, and the parts of a list are checked."""
    if part in (str, int) and isinstance(value, str | bytes):
        return False
    if isinstance(value, list | tuple | set | frozenset):
        return all(_fits(one, part) for one in {type(one): one for one in value}.values())
    return hasattr(value, "__iter__") or hasattr(value, "__getitem__")


def _said(hint: Any) -> str:
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(map(_said, parts)))
    if origin is Literal:
        return " or ".join(map(repr, parts))
    if _types(hint) is os.PathLike:
        return "a path"
    if origin in _LISTS:
        return {str: "a list of texts", int: "a list of whole numbers"}.get(parts[0], "a list")
    return _WORDS.get(origin or hint, getattr(hint, "__name__", str(hint)))
