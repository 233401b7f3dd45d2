"""Strict YAML: what is read, and what becomes a problem instead of a surprise."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.document import dotted, parse, safe


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("# only a comment\n", None),
        ("a: off", {"a": "off"}),
        ("a: yes", {"a": "yes"}),
        ("a: 1:30", {"a": "1:30"}),
        ("a: 010", {"a": 10}),
        ("a: 2024-01-01", {"a": "2024-01-01"}),
        ("a: true", {"a": True}),
        ("a: 1.5", {"a": 1.5}),
        ("a: ~", {"a": None}),
        ("a:", {"a": None}),
        ("1: a", {"1": "a"}),
        ("true: a", {"true": "a"}),
        ('a: "5"', {"a": "5"}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("a: &x {k: 1, l: 2}\nb: {<<: *x, k: 3}", {"a": {"k": 1, "l": 2}, "b": {"k": 3, "l": 2}}),
    ],
)
def test_reads(text: str, value: object) -> None:
    """Words stay words, dates and times stay text, keys are text, aliases and merges are followed."""
    document = parse(text)

    assert document.value == value
    assert document.problems == []


def test_aliases_are_copies() -> None:
    """A value that is used twice can be changed in one place without changing the other."""
    value = parse("a: &x {k: 1}\nb: *x").value

    assert isinstance(value, dict)
    assert value["a"] is not value["b"]


def test_variables_are_replaced_inside_texts() -> None:
    """`${NAME}` is replaced, `$${` is how to write it, numbers and keys are left alone."""
    document = parse('a: "${USER}:${PW}@x"\nb: $${USER}\nc: 5\n${USER}: d', {"USER": "bob", "PW": "${USER}"})

    assert document.value == {"a": "bob:${USER}@x", "b": "${USER}", "c": 5, "${USER}": "d"}


def test_lines_are_remembered() -> None:
    """Each value knows the line it was written on, so that a problem can name it."""
    document = parse("a:\n  b: 1\nc:\n  - d\n  - e: 5\n")

    assert document.lines["a", "b"] == 2
    assert document.lines["c", 1, "e"] == 5


@pytest.mark.parametrize("depth", [100, 10_000])
def test_deep_nesting_is_refused(depth: int) -> None:
    """A document that is nested deeper than any configuration is read or refused, but never ends the process."""
    document = parse("[" * depth + "]" * depth)

    assert document.problems or document.value is not None


def test_a_large_document_is_bounded_in_time() -> None:
    """A megabyte of short values is given up once there are too many of them, aliases included."""
    began = time.perf_counter()
    document = parse("a: &a [" + "x," * 1000 + "]\nb: [" + "*a," * 1000 + "]")

    assert [str(problem) for problem in document.problems] == ["too deeply nested, or too large with all its aliases"]
    assert time.perf_counter() - began < 10


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text makes the reader raise."""
    document = parse(text, {})

    assert document.value is None or document.problems == [] or all(p.message for p in document.problems)


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("password_file", "password_file"),
        ("password:hunter2", "password…"),
        ("password=hunter2", "password…"),
        ("password hunter2", "password…"),
        ("redis://:hunter2@localhost", "redis…"),
        (":hunter2", "…"),
        ("ключ", "…"),
        ("x" * 64, "x" * 63 + "…"),
        ("", "…"),
    ],
)
def test_only_the_leading_name_of_a_key_is_shown(key: str, shown: str) -> None:
    """A mistyped key may hold a secret behind the name that was meant."""
    assert safe(key) == shown


def test_paths_are_written_as_in_the_documentation() -> None:
    """A path reads like the place in the file."""
    assert dotted(("targets", 0, "sampling", "top")) == "targets[0].sampling.top"
