"""The text writer: what it writes is read back by the parsers of prometheus_client as exactly what came in."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as text_families

from exporter.views.exposition import (
    Family,
    Format,
    Fragments,
    compose,
    encode,
    header,
    labels,
    line,
    negotiate,
    number,
)

GAUGE = Family("redis_hotkey_accesses_per_second", "gauge", "Accesses per second.")
COUNTER = Family("redis_sampling_events_total", "counter", 'Lines "seen".\nWith a \\.')
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def parsed(form: Format, body: bytes) -> list[tuple[str, dict[str, str], float]]:
    """All samples of an exposition, as the parser of its format reads them."""
    families = (text_families if form is Format.TEXT else openmetrics_families)(body.decode())
    return [(sample.name, sample.labels, sample.value) for family in families for sample in family.samples]


@pytest.mark.parametrize("form", Format)
@given(value=TEXT, other=TEXT)
def test_every_label_value_is_read_back(form: Format, value: str, other: str) -> None:
    """Any text, with quotes, backslashes and line feeds, survives both formats and forges no label."""
    written = line(GAUGE.name, labels((("key", value), ("target", other))), 1.5)
    assert parsed(form, compose(form, [(GAUGE, [encode(written)])])) == [
        (GAUGE.name, {"key": value, "target": other}, 1.5)
    ]


@given(value=TEXT)
def test_a_sample_is_one_line(value: str) -> None:
    """No label value breaks its line: it ends in the only line feed."""
    written = line(GAUGE.name, labels((("key", value),)), 1)
    assert written.index("\n") == len(written) - 1


def test_a_lone_surrogate_does_not_fail_the_scrape() -> None:
    """What UTF-8 cannot hold becomes a question mark."""
    assert encode(line("a", labels((("key", "x\ud800y"),)), 1)) == b'a{key="x?y"} 1\n'


@given(value=st.floats(allow_nan=False))
def test_a_number_is_read_back_exactly(value: float) -> None:
    """The text of a number loses nothing."""
    assert float(number(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (5.0, "5"), (-3.25, "-3.25"), (0.1, "0.1"), (1_767_225_600.25, "1767225600.25"), (1e300, "1e+300"),
     (math.inf, "+Inf"), (-math.inf, "-Inf"), (10**15, "1000000000000000.0"), (True, "1")],
)  # fmt: skip
def test_numbers_are_short(value: float, text: str) -> None:
    """Whole numbers have no fraction, others their shortest form."""
    assert number(value) == text


@pytest.mark.parametrize("form", Format)
def test_names_that_openmetrics_forbids_are_untyped_there(form: Format) -> None:
    """A counter without `_total` and a summary with quantiles above 1 are what they are in text, unknown elsewhere."""
    families = [
        (Family("redis_total_reads_processed", "counter", "Reads."), [b"redis_total_reads_processed 5\n"]),
        (Family("redis_usec", "summary", "Times.", of="redis_usec"), [b'redis_usec{quantile="99.9"} 7\n']),
        (Family("redis_usec_sum", "summary", "Times.", of="redis_usec", first=False), [b"redis_usec_sum 9\n"]),
    ]
    body = compose(form, families)
    assert len(parsed(form, body)) == 3
    assert b"\nredis_total_reads_processed 5\n" in body
    types = [line.split()[2:] for line in body.decode().splitlines() if line.startswith("# TYPE")]
    if form is Format.TEXT:
        assert types == [["redis_total_reads_processed", "counter"], ["redis_usec", "summary"]]
    else:
        assert [kind for _, kind in types] == ["unknown"] * 3


@pytest.mark.parametrize("value", [None, math.nan])
def test_an_unknown_value_is_not_published(value: float | None) -> None:
    """Neither None nor NaN becomes a sample."""
    assert line("a", "", value) == ""


@pytest.mark.parametrize("form", Format)
def test_a_family_without_samples_has_no_header(form: Format) -> None:
    """A name appears only where there is something to say."""
    body = compose(form, [(GAUGE, []), (COUNTER, [b"", b""])])
    assert body == (b"# EOF\n" if form is Format.OPENMETRICS else b"")


def test_fragments_of_a_family_stay_together() -> None:
    """The samples of all nodes follow one header."""
    body = compose(Format.TEXT, [(GAUGE, [b"x 1\n", b"", b"x 2\n"]), (COUNTER, [b"y 3\n"])])
    assert body.count(b"# TYPE") == 2
    assert b"x 1\nx 2\n# HELP" in body


def test_openmetrics_names_a_counter_without_its_suffix() -> None:
    """HELP and TYPE carry `_total` in text only, and quotes in HELP are escaped in OpenMetrics only."""
    assert header(COUNTER, Format.TEXT) == (
        b'# HELP redis_sampling_events_total Lines "seen".\\nWith a \\\\.\n# TYPE redis_sampling_events_total counter\n'
    )
    assert header(COUNTER, Format.OPENMETRICS) == (
        b'# HELP redis_sampling_events Lines \\"seen\\".\\nWith a \\\\.\n# TYPE redis_sampling_events counter\n'
    )


PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", Format.TEXT),
        ("*/*", Format.TEXT),
        (BROWSER, Format.TEXT),
        (PROMETHEUS_2, Format.OPENMETRICS),
        (PROMETHEUS_3, Format.OPENMETRICS),
        ("application/openmetrics-text", Format.OPENMETRICS),
        ("Application/OpenMetrics-Text; Version=1.0.0; Q=0.9, text/plain; q=0.1", Format.OPENMETRICS),
        ('application/openmetrics-text; version="1.0.0"', Format.OPENMETRICS),
        ("application/*", Format.OPENMETRICS),
        ("text/plain;version=0.0.4,application/openmetrics-text;version=1.0.0;q=0.9", Format.TEXT),
        ("application/openmetrics-text;version=0.0.1", Format.TEXT),
        ("application/openmetrics-text;version=2.0.0,*/*;q=0.1", Format.TEXT),
        ("application/openmetrics-text;q=0,*/*;q=0.1", Format.TEXT),
        ("text/plain;q=0.1,*/*;q=0.9", Format.OPENMETRICS),
        ("application/openmetrics-text;q=2,text/plain;q=0.1", Format.TEXT),
        ("application/openmetrics-text;q=high", Format.TEXT),
        ("text/plain,application/openmetrics-text", Format.TEXT),
        ("application/openmetrics-text,text/plain", Format.OPENMETRICS),
        ("image/png", Format.TEXT),
    ],
)
def test_the_preferred_format_is_written(accept: str, form: Format) -> None:
    """The highest q wins, then the exacter name, then the first; text when nothing fits."""
    assert negotiate(accept) is form


@given(accept=st.text())
def test_no_accept_header_raises(accept: str) -> None:
    """Whatever a client sends, it gets one of the two formats."""
    assert negotiate(accept) in Format


def test_the_content_types_are_those_of_the_formats() -> None:
    """As the two specifications say, with the character set."""
    assert Format.TEXT.content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert Format.OPENMETRICS.content_type == "application/openmetrics-text; version=1.0.0; charset=utf-8"


def test_a_fragment_is_rendered_once_for_the_same_sources() -> None:
    """Equal is not enough and identical is: a new snapshot is rendered again, the same one is not."""
    fragments, renders = Fragments(), []
    one, twin = [1.0], [1.0]

    def render() -> int:
        renders.append(1)
        return len(renders)

    assert [fragments.of("key", (one, None), render) for _ in range(3)] == [1, 1, 1]
    assert fragments.of("key", (twin, None), render) == 2
    assert fragments.of("key", (twin,), render) == 3
    assert fragments.of("other", (twin,), render) == 4
    assert len(fragments) == 2


def test_fragments_of_what_is_gone_are_dropped() -> None:
    """What is not kept is forgotten."""
    fragments = Fragments()
    for key in "abc":
        fragments.of(key, (), lambda: 1)
    fragments.keep({"b"})
    assert len(fragments) == 1
