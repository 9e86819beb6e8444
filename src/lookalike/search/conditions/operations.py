"""The operations of conditions, computed by Arrow: comparisons, arithmetic, patterns, lists and casts.

NULL is SQL's: any operation with it gives NULL. NaN equals itself and is larger than all other numbers, as in
PostgreSQL and DuckDB, so that each row is on one side of a bound.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lookalike.search.conditions.sql import cannot
from lookalike.search.conditions.terms import is_text

Values = Any  # a pa.Array of a batch of rows, or a pa.Scalar for all of them
Operation = Callable[..., Values]

_MAX_REGEX = 1000


def compared(sign: str, *, floats: bool) -> Operation:
    """The operation of = <> < <= > or >=; with `floats`, NaN is ordered too."""
    plain: Operation = {
        "=": pc.equal, "<>": pc.not_equal, "<": pc.less, "<=": pc.less_equal,
        ">": pc.greater, ">=": pc.greater_equal,
    }[sign]  # fmt: skip
    if not floats:
        return plain

    def ordered(a: Values, b: Values) -> Values:
        if not (_has_nan(a) or _has_nan(b)):
            return plain(a, b)
            # As numbers, 1 for NaN: if either is NaN these decide, else the values do.
        of_a, of_b = pc.is_nan(a), pc.is_nan(b)
        return pc.if_else(pc.or_(of_a, of_b), plain(of_a.cast(pa.int8()), of_b.cast(pa.int8())), plain(a, b))

    return ordered


def _has_nan(values: Values) -> bool:
    found = pc.is_nan(values)
    return bool(found.as_py() if isinstance(found, pa.Scalar) else pc.any(found).as_py())


def distinct(a: Values, b: Values, differ: Values) -> Values:
    """Whether two values differ, treating NULL as a value; `differ` compares the others."""
    one_is_null = pc.xor(pc.is_null(a), pc.is_null(b))
    return pc.or_(one_is_null, pc.fill_null(differ, False))


def among(values: Values, wanted: pa.Array) -> Values:
    """Whether each value is among constants; NULL if it is NULL, or missing while NULL is among them."""
    known = wanted.drop_null()
    if pa.types.is_floating(values.type):  # -0.0 equals 0.0, but has another hash
        zero = pa.scalar(0, values.type)
        values, known = pc.add(values, zero), pc.add(known, zero)
    found = pc.is_in(values, value_set=known)
    unknown = pa.scalar(None, pa.bool_())
    if len(known) < len(wanted):
        found = pc.if_else(found, True, unknown)
    return pc.if_else(pc.is_null(values), unknown, found)


def contained(lists: Values, wanted: Values, equal: Operation) -> Values:
    """Whether each list contains the wanted value, which may differ from row to row.

    NULL if either is NULL, but an empty list contains nothing.
    """
    if isinstance(lists, pa.Scalar):
        lists = pa.repeat(lists, 1 if isinstance(wanted, pa.Scalar) else len(wanted))
    parents, values = pc.list_parent_indices(lists), pc.list_flatten(lists)
    same = equal(values, wanted if isinstance(wanted, pa.Scalar) else wanted.take(parents))
    found = np.zeros(len(lists), np.bool_)
    found[parents.filter(same).to_numpy()] = True
    unknown = pc.and_(pc.is_null(wanted), pc.greater(pc.list_value_length(lists), 0))
    return pc.if_else(pc.fill_null(unknown, True), pa.scalar(None, pa.bool_()), pa.array(found))


def arithmetic(sign: str, *, whole: bool) -> Operation:
    """The operation of + - * / // or %; `whole` if both sides are whole numbers."""
    if sign == "/":
        return lambda a, b: pc.divide(a.cast(pa.float64(), safe=False), b.cast(pa.float64(), safe=False))
    if sign in ("//", "%"):
        return _quotient if sign == "//" else _remainder
    checked: Operation = {"+": pc.add_checked, "-": pc.subtract_checked, "*": pc.multiply_checked}[sign]
    if whole:
        return checked
    return lambda a, b: checked(a.cast(pa.float64(), safe=False), b.cast(pa.float64(), safe=False))


def _quotient(a: Values, b: Values) -> Values:
    """a / b without its fraction; NULL if b is 0."""
    return pc.divide_checked(a, pc.if_else(pc.equal(b, 0), pa.scalar(None, pa.int64()), b))


def _remainder(a: Values, b: Values) -> Values:
    return pc.subtract_checked(a, pc.multiply_checked(_quotient(a, b), b))


def like(pattern: str, escape: str, *, ignore_case: bool) -> Operation:
    """LIKE: `%` matches any text and `_` one character; after `escape`, each matches only itself.

    Raises `QueryError` if the pattern ends with its escape.
    """
    parts = _like_parts(pattern, escape)
    if not ignore_case:
        match parts:
            case []:
                return lambda values: pc.equal(values, "")
            case [(text, False)]:
                return lambda values: pc.equal(values, text)
            case [(text, False), ("%", True)]:
                return lambda values: pc.starts_with(values, text)
            case [("%", True), (text, False)]:
                return lambda values: pc.ends_with(values, text)
            case [("%", True), (text, False), ("%", True)]:
                return lambda values: pc.match_substring(values, text)
    signs = {"%": ".*", "_": "."}
    regex = "".join(signs[text] if is_sign else re.escape(text) for text, is_sign in parts)
    return matching(rf"(?s)\A(?:{regex})\z", ignore_case=ignore_case)


def _like_parts(pattern: str, escape: str) -> list[tuple[str, bool]]:
    """The pieces of a pattern, each with whether it is a wildcard: text in one piece, and `%%` as `%`."""
    parts: list[tuple[str, bool]] = []
    letters = iter(pattern)
    for letter in letters:
        is_escape = letter == escape
        text = next(letters, None) if is_escape else letter
        if text is None:
            raise cannot(f"the pattern {pattern!r} ends with its escape {escape!r}")
        is_sign = text in "%_" and not is_escape
        if not is_sign and parts and not parts[-1][1]:
            parts[-1] = (parts[-1][0] + text, False)
        elif (text, is_sign) != ("%", True) or parts[-1:] != [("%", True)]:
            parts.append((text, is_sign))
    return parts


def matching(regex: str, *, ignore_case: bool = False) -> Operation:
    """Whether a text contains a match of a regular expression, by RE2, in time linear in the text.

    Raises `QueryError` for an expression that is invalid or longer than 1,000 characters.
    """
    if len(regex) > _MAX_REGEX:
        raise cannot(
            f"a pattern has {len(regex):,} characters, the limit is {_MAX_REGEX:,}", "use a shorter one"
        )

    def found(values: Values) -> Values:
        return pc.match_substring_regex(values, regex, ignore_case=ignore_case)

    try:
        found(pa.array([""]))
    except pa.ArrowException as error:
        raise cannot(f"{error} is not a regular expression of RE2") from None
    return found


def cast(source: pa.DataType, target: pa.DataType, *, or_null: bool) -> Operation:
    """CAST to a type; with `or_null`, TRY_CAST, which gives NULL if a value does not fit.

    A number is rounded to the nearest whole one, and halves to the even one. Text may have spaces around it.
    """

    def once(values: Values) -> Values:
        if is_text(source) and not is_text(target):
            values = pc.utf8_trim_whitespace(values)
        if pa.types.is_floating(source) and pa.types.is_integer(target):
            values = pc.round(values, 0, "half_to_even")
        found = values.cast(target)
        return _written(found, source) if is_text(target) else found

    def tried(values: Values) -> Values:
        try:
            return once(values)
        except pa.ArrowException:
            return _each(once, values, target)

    return tried if or_null else once


def _written(texts: Values, source: pa.DataType) -> Values:
    """Numbers and times as SQL writes them: 1.0, and no zeros after the seconds."""
    if pa.types.is_floating(source):
        return pc.replace_substring_regex(texts, r"^(-?[0-9]+)$", r"\1.0")
    if pa.types.is_timestamp(source):
        return pc.replace_substring_regex(texts, r"(\.[0-9]*[1-9])0+|\.0+", r"\1")
    return texts


def _each(once: Operation, values: Values, target: pa.DataType) -> Values:
    """Convert each distinct value by itself, to NULL if it does not fit."""

    def one(value: Any) -> Any:
        try:
            return once(pa.array([value], values.type))[0].as_py()
        except pa.ArrowException:
            return None

    if isinstance(values, pa.Scalar):
        return pa.scalar(one(values.as_py()), target)
    coded = values.dictionary_encode()
    return pa.array([one(value) for value in coded.dictionary.to_pylist()], target).take(coded.indices)
