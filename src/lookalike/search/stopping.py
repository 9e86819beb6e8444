"""An end for work that takes long: whoever starts it says what is to be checked now and then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Check = Callable[[], None]

_CHECK: ContextVar[Check] = ContextVar("check", default=lambda: None)


@contextmanager
def checked_by(check: Check) -> Iterator[None]:
    """Call `check` now and then while a condition is computed in the block; what it raises ends that.

    Other threads have to carry the context of the block. Without one, nothing ends a condition early.
    """
    token = _CHECK.set(check)
    try:
        yield
    finally:
        _CHECK.reset(token)


def go_on() -> None:
    """Raise what the check of this context raises, if it does."""
    _CHECK.get()()
