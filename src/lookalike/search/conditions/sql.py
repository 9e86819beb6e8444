"""Parses the text of a condition to a tree: limited before parsing, and a single expression after it.

sqlglot parses it, in DuckDB's dialect. Its parser recurses for each bracket, so depth is limited first.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import Dialect, Token, TokenType, exp
from sqlglot.errors import ParseError, TokenError

from lookalike.errors import QueryError

MAX_CONDITION_LENGTH = 100_000  # characters: some thousand ids in a list
# The parser takes half a second for this many words and signs.
_MAX_TOKENS = 25_000
# Nested brackets, or signs such as NOT in a row: the parser recurses some 23 calls deep for each.
_MAX_BRACKETS = 16

# The functions that a condition may call, by the names that people know.
FUNCTIONS = (
    "abs", "contains", "day", "ends_with", "length", "list_contains", "lower", "month", "regexp_matches",
    "starts_with", "upper", "year",
)  # fmt: skip
_CALLED = frozenset([*FUNCTIONS, "len", "cast", "try_cast"])

_OPENING = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE, TokenType.CASE})
_CLOSING = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE, TokenType.END})
_ENDS_A_RUN = _CLOSING | {
    TokenType.VAR, TokenType.IDENTIFIER, TokenType.STRING, TokenType.NUMBER, TokenType.COMMA,
    TokenType.DCOLON, TokenType.NULL, TokenType.TRUE, TokenType.FALSE,
}  # fmt: skip


def parsed(text: str) -> exp.Expr:
    """Parse a condition to its one expression; if that fails, `QueryError` says what is wrong, and where."""
    _check_length(text)
    dialect = Dialect.get_or_raise("duckdb")
    try:
        tokens = dialect.tokenize(text)
    except TokenError:
        raise cannot("it has an unclosed quote or comment") from None
    _check_tokens(tokens)
    try:
        found = dialect.parser().parse_into(exp.Condition, tokens, text)
    except ParseError as error:
        raise _unreadable(error) from None
    except RecursionError:  # nested without brackets
        raise QueryError("the condition is nested too deeply", "use a shorter one") from None
    if len(found) != 1 or found[0] is None:
        raise _not_one_condition()
    return found[0]


def refused(what: str) -> QueryError:
    """The error for something that a condition may not contain; the hint lists what it may."""
    return QueryError(
        f"the condition has {what}, which is not allowed there",
        "use columns, values, = <> < <= > >=, AND, OR, NOT, IN, BETWEEN, LIKE, ILIKE, IS NULL, "
        f"+ - * / // %, CAST, TRY_CAST and the functions {', '.join(FUNCTIONS)}",
    )


def cannot(reason: str, hint: str = "") -> QueryError:
    """The error for a condition that cannot be applied, with the reason."""
    usual = "put text in single quotes, as in: label = 'roses' AND width > 300"
    return QueryError(f"the condition cannot be applied: {reason}", hint or usual)


def _check_length(text: str) -> None:
    if not isinstance(text, str):
        raise QueryError(f"a condition is a text, not {text!r}", "such as: label = 'roses'")
    if not text.strip():
        raise QueryError("the condition is empty", "write one, such as: label = 'roses' AND width > 300")
    if len(text) > MAX_CONDITION_LENGTH:
        raise _too_many(len(text), "characters", MAX_CONDITION_LENGTH)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise cannot(f"character {error.start + 1} is half of one") from None


def _check_tokens(tokens: Sequence[Token]) -> None:
    if len(tokens) > _MAX_TOKENS:
        raise _too_many(len(tokens), "words and signs", _MAX_TOKENS)
    depth = run = 0
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        kind = token.token_type
        if kind == TokenType.SEMICOLON:
            raise _not_one_condition()
        if kind in (TokenType.TILDE, TokenType.RLIKE):  # databases disagree about its meaning
            raise refused(f"the sign {token.text}")
        named = kind in (TokenType.VAR, TokenType.IDENTIFIER)
        called = after is not None and after.token_type == TokenType.L_PAREN
        if named and called and token.text.lower() not in _CALLED:
            raise refused(f"the function {token.text}")
        depth += (kind in _OPENING) - (kind in _CLOSING)
        run = 0 if kind in _ENDS_A_RUN else run + 1
        if max(depth, run) > _MAX_BRACKETS:
            raise QueryError(
                f"the condition is nested more than {_MAX_BRACKETS} deep at character {token.start + 1}",
                "use fewer brackets: a chain of only AND or only OR needs none",
            )


def _too_many(count: int, what: str, limit: int) -> QueryError:
    hint = "split it into shorter ones, one after the other"
    return QueryError(f"the condition has {count:,} {what}, the limit is {limit:,}", hint)


def _not_one_condition() -> QueryError:
    hint = "write what follows WHERE, such as: width > 300"
    return QueryError("the condition is not a single SQL condition", hint)


def _unreadable(error: ParseError) -> QueryError:
    """Where the parser stopped, in one line."""
    place = error.errors[0]
    if "provided arguments" in str(place.get("description")):
        return cannot("a function in it has too many arguments", "give it fewer")
    at, rest = place.get("highlight") or "", place.get("end_context") or ""
    if "Unexpected token" not in str(place.get("description")) and not rest.strip():
        return cannot("something is missing at its end, or a bracket is not closed")
    if at == ")":
        return _not_one_condition()
    line = f"line {place['line']}, " if (place.get("line") or 1) > 1 else ""
    column = (place.get("col") or 1) - len(at) + 1
    return cannot(f"it makes no sense at {at!r} ({line}character {column})")
