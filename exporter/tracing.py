"""Traces: spans of work in, OTLP over HTTP out. While off, OpenTelemetry is never imported and a span is nothing.

The only door to OpenTelemetry. `span("warming.write", {…})` is for units of work, never for single keys, and its
attributes never hold keys, values or texts of errors. Ids are those of W3C's Trace Context.
"""

from __future__ import annotations

import re
import sys
import threading
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exporter.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from exporter.config.settings import Tracing

STOP_SECONDS = 2.0
"""How long the last spans may take to leave: the process has 5 s to end."""
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_NOTHING: AbstractContextManager[None] = nullcontext()


@dataclass(frozen=True, slots=True)
class Ids:
    """Where we are in a trace, in lower-case hex; the lowest bit of `flags` says that it is recorded."""

    trace_id: str
    span_id: str
    flags: str

    @property
    def is_recorded(self) -> bool:
        """Whether somebody can look at this trace later."""
        return bool(int(self.flags, 16) & 1)

    @property
    def traceparent(self) -> str:
        """The header of that name, version 00."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


class _State:
    """What tracing needs while it is on."""

    def __init__(self, trace: Any, context: Any, tracer: Any, provider: Any) -> None:
        self.trace = trace
        self.context = context
        self.tracer = tracer
        self.provider = provider
        self.kinds = {kind.name: kind for kind in trace.SpanKind}


class _Current:
    """A span that begins, is the current one, and ends with a `with`; never says more of an exception than it is told.

    The SDK's `start_as_current_span` is two generators inside of each other and costs a sixth more.
    """

    __slots__ = ("_asked", "_span", "_state", "_token")

    def __init__(self, state: _State, *asked: Any) -> None:
        self._state = state
        self._asked = asked

    def __enter__(self) -> Any:
        state = self._state
        self._span = state.tracer.start_span(*self._asked)
        self._token = state.context.attach(state.trace.set_span_in_context(self._span))
        return self._span

    def __exit__(self, *_: object) -> None:
        self._state.context.detach(self._token)
        self._span.end()


_state: _State | None = None


@contextmanager
def hidden() -> Iterator[None]:
    """Hide OpenTelemetry from what is imported inside.

    redis-py loads all of its metrics wherever it is installed, and we use none: 57 ms, and memory for ever.
    """
    if "opentelemetry" in sys.modules:
        yield
        return
    modules: dict[str, Any] = sys.modules
    modules["opentelemetry"] = None  # how import is told that there is none
    try:
        yield
    finally:
        del sys.modules["opentelemetry"]


def start(settings: Tracing, service: str, version: str, processor: Any = None) -> None:
    """Begin to trace, if that is configured; `processor` takes the spans instead of a collector (for tests).

    Raises:
        ConfigError: the packages of the extra `otel` are not installed.

    """
    global _state  # noqa: PLW0603 - a process has one trace of what it does, as it has one log
    if not settings.enabled or _state is not None:
        return
    try:
        from opentelemetry import context, trace  # noqa: PLC0415 - off means never imported
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, TraceIdRatioBased  # noqa: PLC0415
    except ImportError:
        words = "needs the packages of the extra otel: pip install 'redis-hotkey-exporter[otel]'"
        raise ConfigError(Problem("tracing.enabled", words)) from None
    every = settings.sample_ratio >= 1
    provider = TracerProvider(
        sampler=ParentBased(ALWAYS_ON if every else TraceIdRatioBased(settings.sample_ratio)),
        resource=Resource.create({"service.name": service, "service.version": version}),
        shutdown_on_exit=False,
    )
    if processor is None:
        # Without an endpoint the exporter goes by OpenTelemetry's own variables, and by localhost:4318 without those.
        place = f"{settings.endpoint.rstrip('/')}/v1/traces" if settings.endpoint else None
        processor = BatchSpanProcessor(OTLPSpanExporter(endpoint=place, timeout=STOP_SECONDS))
    provider.add_span_processor(processor)
    _state = _State(trace, context, provider.get_tracer(service, version), provider)


def stop() -> None:
    """Send what is left, for as long as STOP_SECONDS, and trace no longer."""
    global _state
    state, _state = _state, None
    if state is not None:
        last = threading.Thread(target=state.provider.shutdown, name="last spans", daemon=True)
        last.start()
        last.join(STOP_SECONDS)


def is_on() -> bool:
    """Whether spans are recorded."""
    return _state is not None


def span(
    name: str, attributes: Mapping[str, Any] | None = None, *, kind: str = "INTERNAL", parent: Ids | None = None
) -> AbstractContextManager[Any]:
    """One unit of work as a context manager, whose value is the span (None while off).

    Args:
        name: what is done, in few words of a closed set.
        attributes: numbers and words; by the conventions for databases and HTTP where there are any.
        kind: INTERNAL, CLIENT or SERVER.
        parent: who asked for it, where that is somebody outside of this process.

    """
    state = _state
    if state is None:
        return _NOTHING
    context = None
    if parent is not None:
        remote = state.trace.SpanContext(
            int(parent.trace_id, 16), int(parent.span_id, 16), is_remote=True,
            trace_flags=state.trace.TraceFlags(int(parent.flags, 16)),
        )  # fmt: skip
        context = state.trace.set_span_in_context(state.trace.NonRecordingSpan(remote))
    return _Current(state, name, context, state.kinds[kind], attributes)


def ended_by(span_or_none: Any, kind: str) -> None:
    """Note on a span that it failed, and by which kind of error: a word, never its text."""
    state = _state
    if state is not None and span_or_none is not None:
        span_or_none.set_attribute("error.type", kind)
        span_or_none.set_status(state.trace.StatusCode.ERROR)


def ids() -> Ids | None:
    """Where the caller is in a trace; None outside of any, and while off."""
    state = _state
    if state is None:
        return None
    context = state.trace.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return Ids(f"{context.trace_id:032x}", f"{context.span_id:016x}", f"{int(context.trace_flags):02x}")


def exemplar() -> dict[str, str] | None:
    """The labels that lead from a bucket of a histogram to the trace of the moment; None if that is not recorded."""
    here = ids()
    return {"trace_id": here.trace_id, "span_id": here.span_id} if here is not None and here.is_recorded else None


def read(traceparent: str) -> Ids | None:
    """Read the header of that name; None if it is not well-formed, and for the ids that are not allowed."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None or set(found[1]) == {"0"} or set(found[2]) == {"0"}:
        return None
    return Ids(found[1], found[2], found[3])
