"""What connects the lines of one unit of work: the correlation id, across threads."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from exporter import tracing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

P = ParamSpec("P")
R = TypeVar("R")
_correlation: ContextVar[str | None] = ContextVar("correlation_id", default=None)


@contextmanager
def correlation(identifier: str | None = None, *, keep: bool = False) -> Iterator[str]:
    """Give everything logged inside the same `correlation_id`.

    It is `identifier`; else with `keep` the one that there is; else the trace's, or 16 random bytes in hex.
    """
    identifier = identifier or (_correlation.get() if keep else None) or _new()
    token = _correlation.set(identifier)
    try:
        yield identifier
    finally:
        _correlation.reset(token)


def fresh() -> None:
    """What is logged from here on in this thread is another unit of work than what was before."""
    _correlation.set(_new())


def correlation_id() -> str | None:
    """The id of the unit of work that the caller is in."""
    return _correlation.get()


def carried(function: Callable[P, R]) -> Callable[P, R]:
    """Wrap a function so that it runs, in whatever thread, with the correlation and trace of who called `carried`."""
    context = copy_context()

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        # A context can be entered once at a time, a pool may run this in several threads.
        return context.copy().run(function, *args, **kwargs)

    return run


def _new() -> str:
    here = tracing.ids()
    return here.trace_id if here is not None else secrets.token_hex(16)
