"""Terms: the parts of a condition with their types, and how values of two types are compared.

Only a few types are computed with: int64, float32, float64, text, bool, dates and time stamps, lists.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lookalike.search.conditions.sql import cannot

Values = Any  # a pa.Array of a batch of rows, or a pa.Scalar for all of them
Conversion = Callable[[Values], Values]

_LONGEST_NAME = 40


@dataclass(frozen=True, slots=True)
class Term:
    """A part of a condition: its type, its name in errors, and its value if that is constant."""

    type: pa.DataType
    name: str
    value: pa.Scalar | None = None

    @property
    def kind(self) -> str:
        return kind_of(self.type)

    def __str__(self) -> str:
        return f"{self.name} is {self.kind}"


def constant(value: Any, type_: pa.DataType, name: str) -> Term:
    """A term with one value for all rows."""
    return Term(type_, shortened(name), pa.scalar(value, type_))


def shortened(name: str) -> str:
    """A term's name in errors, shortened if it is long."""
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def kind_of(type_: pa.DataType) -> str:
    """What a person calls a type."""
    kinds = (
        (pa.types.is_null, "NULL"),
        (pa.types.is_boolean, "true or false"),
        (pa.types.is_integer, "a whole number"),
        (pa.types.is_floating, "a number"),
        (pa.types.is_decimal, "a number"),
        (is_text, "text"),
        (pa.types.is_date, "a date"),
        (pa.types.is_timestamp, "a time stamp"),
        (is_list, "a list"),
        (pa.types.is_struct, "a record"),
    )
    return next((name for is_one, name in kinds if is_one(type_)), f"of type {type_}")


def is_text(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_))


def is_list(type_: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_)
    )


def is_number(type_: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_))


def is_time(type_: pa.DataType) -> bool:
    return bool(pa.types.is_date(type_) or pa.types.is_timestamp(type_))


def computed_type(type_: pa.DataType) -> pa.DataType:
    """The type in which a column's values are computed."""
    if pa.types.is_dictionary(type_):
        return computed_type(type_.value_type)
    if type_ == pa.uint64():
        return pa.decimal128(20, 0)
    if pa.types.is_integer(type_):
        return pa.int64()
    if type_ == pa.float16():
        return pa.float32()
    if type_ == pa.string_view():
        return pa.large_string()
    return pa.date32() if type_ == pa.date64() else type_


def common_type(one: Term, other: Term) -> pa.DataType | None:
    """The type in which two terms can be compared; raises `QueryError` if there is none.

    None if Arrow compares the two types as they are. Constant text takes the type of the other term.
    """
    types = [term.type for term in (one, other)]
    if any(map(pa.types.is_null, types)):
        if any(map(pa.types.is_nested, types)):
            raise cannot(f"{one} and {other}, which cannot be compared", "use IS NULL")
        return next((type_ for type_ in types if not pa.types.is_null(type_)), pa.bool_())
    for term, beside in ((one, other), (other, one)):
        literal = term.value is not None and is_text(term.type) and not is_text(beside.type)
        if literal and (is_number(beside.type) or is_time(beside.type) or pa.types.is_boolean(beside.type)):
            return beside.type
    if all(map(is_number, types)):
        return _common_number(one, other)
    zones = {type_.tz for type_ in types if pa.types.is_timestamp(type_)}
    if len(zones) == 2 and None not in zones:
        return pa.timestamp("us", "UTC")
    if all(map(is_time, types)) and (zones <= {None} or (None not in zones and all_stamps(types))):
        return None
    same = types[0] == types[1] and not pa.types.is_nested(types[0])
    if same or all(map(is_text, types)):
        return None
    hint = "CAST one of them to the type of the other"
    if any(map(is_list, types)):
        hint = "ask what a list contains, as in: list_contains(tags, 'daisy')"
    elif any(map(pa.types.is_struct, types)):
        hint = "name a field of the record, as in: place.city = 'Rome'"
    elif all(map(is_time, types)):
        hint = "only one has a time zone: CAST the other AS TIMESTAMPTZ"
    raise cannot(f"{one} and {other}, which cannot be compared", hint)


def all_stamps(types: list[pa.DataType]) -> bool:
    return all(map(pa.types.is_timestamp, types))


def _common_number(one: Term, other: Term) -> pa.DataType | None:
    types = [one.type, other.type]
    if types[0] == types[1] or not any(map(pa.types.is_floating, types)):
        return None
    for term, beside in ((one, other), (other, one)):
        if term.value is not None and beside.type == pa.float32() and beside.value is None:
            return pa.float32()  # 0.1 equals the 0.1 of a column with fewer digits
    return pa.float64()


def conversion(term: Term, type_: pa.DataType | None, beside: Term) -> Conversion:
    """The conversion of a term's values to a type; a constant is converted now, or raises `QueryError`."""
    if type_ is None or (term.value is None and term.type == type_):
        return lambda values: values
    if term.value is None:
        return lambda values: values.cast(type_, safe=False)
    try:
        scalar = converted(term.value, type_)
    except (pa.ArrowException, ValueError):
        raise cannot(
            f"{beside}, and {term.name} is not", f"compare {beside.name} with {_example(type_)}"
        ) from None
    return lambda _: scalar


def converted(value: pa.Scalar, type_: pa.DataType) -> pa.Scalar:
    """A constant in another type; raises `ArrowException` if it does not fit."""
    if not is_text(value.type) or is_text(type_):
        return value.cast(type_, safe=False)
    text = pa.scalar(value.as_py().strip())
    if pa.types.is_timestamp(type_) and type_.tz is not None:
        try:
            return text.cast(pa.timestamp("us", type_.tz))
        except pa.ArrowInvalid:  # without an offset, it is a time in the column's zone
            return pc.assume_timezone(text.cast(pa.timestamp("us")), type_.tz)
    return text.cast(pa.timestamp("us") if pa.types.is_timestamp(type_) else type_)


def _example(type_: pa.DataType) -> str:
    if pa.types.is_timestamp(type_):
        return "a time such as '2024-02-29 12:00:00'"
    if pa.types.is_date(type_):
        return "a date such as '2024-02-29'"
    return "true or false" if pa.types.is_boolean(type_) else "a number such as 300"


def needs(term: Term, is_one: Callable[[pa.DataType], bool], who: str, what: str) -> None:
    """Raise `QueryError` if `who` does not accept a term's type; NULL has every type."""
    if not is_one(term.type) and not pa.types.is_null(term.type):
        raise cannot(f"{who} needs {what}, but {term}", f"give it {what}")


def constant_text(term: Term, who: str) -> str:
    """The text of a constant term; raises `QueryError` if it is not text, or differs between rows."""
    if term.value is None or not is_text(term.type):
        raise cannot(f"{who} needs text in single quotes, not {term.name}", "as in: label LIKE 'ro%'")
    return str(term.value.as_py())
