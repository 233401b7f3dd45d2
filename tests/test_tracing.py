"""Tracing: spans while it is on, nothing at all while it is off, and ids that lead from one to the other."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from exporter import tracing
from exporter.config.settings import Tracing
from exporter.log import carried, correlation
from exporter.meters import Meters
from exporter.views.exposition import Format
from exporter.views.families import Collect
from exporter.views.metrics import MetricsView
from tests.servers import ROOT
from tests.views import shop

if TYPE_CHECKING:
    from collections.abc import Iterator

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """Tracing is on, and spans are kept here."""
    kept = InMemorySpanExporter()
    tracing.start(Tracing(enabled=True), "hotkey-exporter", "0", SimpleSpanProcessor(kept))
    yield kept
    tracing.stop()


def test_off_means_never_imported() -> None:
    """While it is off, the daemon's modules are loaded without OpenTelemetry, and a span is nothing."""
    program = (
        "import sys, exporter.cli, exporter.tracing as t\n"
        "with t.hidden(): import exporter.app, exporter.warm\n"
        "with t.span('x') as span: assert span is None and t.ids() is None\n"
        "t.stop()\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, cwd=ROOT, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_spans_have_parents_and_kinds(spans: InMemorySpanExporter) -> None:
    """A span inside another is its child; the outermost continues the trace of who asked."""
    parent = tracing.read(PARENT)
    with tracing.span("GET", {"http.request.method": "GET"}, kind="SERVER", parent=parent) as outer:
        with tracing.span("warming.write", {"db.system.name": "redis"}, kind="CLIENT"):
            pass
        tracing.ended_by(outer, "503")
    inner, first = spans.get_finished_spans()
    assert (inner.name, inner.kind.name, first.name, first.kind.name) == ("warming.write", "CLIENT", "GET", "SERVER")
    assert first.context is not None
    assert inner.parent is not None
    assert first.parent is not None
    assert inner.parent.span_id == first.context.span_id
    assert f"{first.context.trace_id:032x}" == PARENT[3:35]
    assert f"{first.parent.span_id:016x}" == PARENT[36:52]
    assert (first.attributes or {})["error.type"] == "503"
    assert first.status.status_code.name == "ERROR"


def test_an_error_is_a_word_and_no_text(spans: InMemorySpanExporter) -> None:
    """What an exception says may hold a secret: no span repeats it."""
    with pytest.raises(ValueError, match="c4n4ry"), tracing.span("job x"):
        raise ValueError("c4n4ry")
    assert "c4n4ry" not in spans.get_finished_spans()[0].to_json()


def test_a_span_ends_with_its_block_whatever_happens(spans: InMemorySpanExporter) -> None:
    """After an error inside of nested spans both have ended, nothing is current, and no event or status tells of it."""
    with pytest.raises(KeyError), tracing.span("outer"), tracing.span("inner"):
        raise KeyError("c4n4ry")
    assert tracing.ids() is None
    assert [span.name for span in spans.get_finished_spans()] == ["inner", "outer"]
    assert all(span.end_time and not span.events and span.status.is_unset for span in spans.get_finished_spans())


def test_the_trace_is_the_correlation_and_goes_into_threads(spans: InMemorySpanExporter) -> None:
    """The correlation id is the trace id, and a carried function is in both."""
    with tracing.span("job x"), correlation() as identifier:
        here = tracing.ids()
        assert here is not None
        assert identifier == here.trace_id
        assert here.is_recorded
        assert carried(tracing.ids)() == here


@pytest.mark.parametrize(
    "header",
    ["", "x", PARENT[:-1], PARENT.upper(), "ff" + PARENT[2:], "00-" + "0" * 32 + PARENT[35:], PARENT + "-x",
     PARENT[:36] + "0" * 16 + PARENT[52:]],
)  # fmt: skip
def test_a_broken_traceparent_is_none(header: str) -> None:
    """What is not well-formed begins a trace of its own."""
    assert tracing.read(header) is None


def test_a_traceparent_is_written_as_it_is_read() -> None:
    """Reading and writing the header are the same form."""
    found = tracing.read(PARENT)
    assert found is not None
    assert found.traceparent == PARENT


def test_exemplars_are_for_openmetrics(spans: InMemorySpanExporter) -> None:
    """A run's bucket leads to its trace in OpenMetrics; Prometheus' text format has no form for it."""
    meters = Meters("0")
    with tracing.span("job enrich"), meters.job("enrich"):
        here = tracing.ids()
    assert here is not None
    render: Any = MetricsView().render
    written = {
        form: render((), shop.NAMES, form, frozenset({Collect.SELF}), meters.families()).decode() for form in Format
    }
    assert f'# {{trace_id="{here.trace_id}",span_id="{here.span_id}"}}' in written[Format.OPENMETRICS]
    assert "trace_id" not in written[Format.TEXT]


def test_what_is_not_recorded_has_no_exemplar() -> None:
    """A trace that is not sampled leads nowhere."""
    tracing.start(Tracing(enabled=True, sample_ratio=0), "x", "0", SimpleSpanProcessor(InMemorySpanExporter()))
    try:
        with tracing.span("job enrich"):
            assert tracing.ids() is not None
            assert tracing.exemplar() is None
    finally:
        tracing.stop()


def test_a_dead_collector_does_not_hold_up_the_end() -> None:
    """With spans on their way to nobody, `stop` returns within its time."""
    tracing.start(Tracing(enabled=True, endpoint="http://127.0.0.1:1"), "x", "0")
    for _ in range(100):
        with tracing.span("job x"):
            pass
    began = time.monotonic()
    tracing.stop()
    assert time.monotonic() - began < tracing.STOP_SECONDS + 1
    assert not tracing.is_on()
