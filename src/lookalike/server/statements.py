"""What a request says of pictures: statements of a few kinds, each checked before any is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lookalike.analysis.tiers import KEEP, NOT_DUPLICATE
from lookalike.learning.label_marks import PROPOSED
from lookalike.search.taught import KIND as WORD
from lookalike.server.problems import Problem
from lookalike.storage.given_labels import LABEL, labelled_column

FAVOURITE = "favourite"
MAX_IDS = 2000
MAX_KIND_LENGTH, MAX_LABEL_LENGTH = 200, 1000


@dataclass(frozen=True, slots=True)
class Statement:
    """One thing said of some pictures; the value None takes it back.

    A statement of the kind `not_duplicate` is about two pictures together, others about each of theirs, and
    one of a word without pictures is about the whole word.
    """

    kind: str
    ids: tuple[str, ...]
    value: Any

    @property
    def family(self) -> str:
        """The kind without the name that it may hold: `word` of `word:rex`."""
        return self.kind.partition(":")[0]

    @property
    def name(self) -> str:
        """The name that the kind holds, of a word or a column; empty without one."""
        return self.kind.partition(":")[2]


@dataclass(frozen=True, slots=True)
class _Family:
    """What statements of a family hold: their values in words, a test of them, and the numbers of ids."""

    values: str
    fits: Callable[[Statement], bool]
    least: int = 1
    most: int = MAX_IDS


def parse_statements(body: Any) -> list[Statement]:
    """The statements in the JSON of a body, an object or a list of them; a `Problem` names a bad field."""
    found = [_parsed(one) for one in (body if isinstance(body, list) else [body])]
    if not found:
        raise Problem("bad-json", "expected a mark, or a list of marks")
    if sum(max(1, len(one.ids)) for one in found) > MAX_IDS:
        raise Problem("bad-parameter", f"a request is about at most {MAX_IDS:,} ids", field="ids")
    return found


def _parsed(fields: Any) -> Statement:
    if not isinstance(fields, dict):
        raise Problem("bad-json", "a mark is an object with kind, ids and value")
    kind, ids, value = (fields.get(name) for name in ("kind", "ids", "value"))
    if not isinstance(kind, str) or not _is_kind(kind):
        raise Problem("bad-parameter", f"kind must be one of {', '.join(KINDS)}, not {kind!r}", field="kind")
    texts = ids if isinstance(ids, list) and all(isinstance(id_, str) for id_ in ids) else None
    said = Statement(kind, tuple(texts or ()), value)
    family = _FAMILIES[said.family]
    if texts is None or not family.least <= len(set(texts)) == len(texts) <= family.most:
        count = family.least if family.least == family.most else f"{family.least} to {family.most:,}"
        raise Problem("bad-parameter", f"{kind} needs {count} different ids", field="ids")
    if value is not None and not family.fits(said):
        raise Problem(
            "bad-parameter", f"value of {kind} must be {family.values} or null, not {value!r}", field="value"
        )
    return said


def _is_kind(kind: str) -> bool:
    family, colon, name = kind.partition(":")
    if family not in _FAMILIES or len(kind) > MAX_KIND_LENGTH or bool(colon) != bool(name):
        return False
    match family:
        case "word":
            return bool(name)
        case "label" | "label_proposed":
            return not name or bool(labelled_column(f"{LABEL}:{name}"))
    return not name


def _is_label(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value.strip()) <= len(value) <= MAX_LABEL_LENGTH


def _is_proposal(value: Any) -> bool:
    match value:
        case {"label": label, "probability": bool()}:
            return False
        case {"label": label, "probability": int() | float() as chance}:
            return len(value) == 2 and _is_label(label) and 0 <= chance <= 1
        case {"rejected": label}:
            return len(value) == 1 and _is_label(label)
    return False


def _is_lesson(said: Statement) -> bool:
    match said.value:
        case bool():
            return bool(said.ids)
        case dict() as about:
            return not said.ids and _is_about(about)
        case [_, *_] as abouts:  # what undoing says of a word that was taught from several columns
            return not said.ids and all(map(_is_about, abouts))
    return False


def _is_about(value: Any) -> bool:
    match value:
        case {"column": str(), "value": str()}:
            return len(value) == 2
    return False


def _is_true(said: Statement) -> bool:
    return said.value is True


_FAMILIES: Mapping[str, _Family] = {
    NOT_DUPLICATE: _Family("true", _is_true, 2, 2),
    KEEP: _Family("true", _is_true),
    FAVOURITE: _Family("true", _is_true),
    LABEL: _Family(f"a text of at most {MAX_LABEL_LENGTH:,} characters", lambda said: _is_label(said.value)),
    PROPOSED: _Family(
        '{"label": …, "probability": …}, {"rejected": …}', lambda said: _is_proposal(said.value)
    ),
    WORD.rstrip(":"): _Family(
        'true, false, {"column": …, "value": …} or a list of these without ids', _is_lesson, 0
    ),
}
# The kinds as a description names them.
KINDS: Sequence[str] = [
    NOT_DUPLICATE, KEEP, FAVOURITE, LABEL, f"{LABEL}:COLUMN", PROPOSED, f"{PROPOSED}:COLUMN", f"{WORD}NAME"
]  # fmt: skip
