"""Records become keys: names, values and lives, and never a key without an end that nobody asked for."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.warming.items import Copy, Fault, Item
from exporter.warming.policy import Policy, life_ms
from tests.warming.jobs import job_of


def made(record: Any, **settings: Any) -> Item | Fault:
    """What a job makes of a record."""
    return Policy.of(job_of(**settings)).item(record)


@given(
    st.dictionaries(
        st.text() | st.integers(),
        st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False) | st.lists(st.text()),
    )
)
def test_json_is_what_the_encoder_writes(record: dict[Any, Any]) -> None:
    """The short way to an object gives the very bytes of the long one, whatever the fields are."""
    expected = json.dumps({"id": 1, **record}, ensure_ascii=False, separators=(",", ":"))
    try:
        whole = expected.encode()
    except UnicodeEncodeError:
        return  # no bytes can hold it

    item = Policy.of(job_of()).item({"id": 1, **record})

    assert isinstance(item, Item) or record.get("id") in {None, ""}
    if isinstance(item, Item):
        assert item.elements == (whole,)


def test_json_holds_what_databases_hold() -> None:
    """Times, decimals, UUIDs and bytes have a plain word in JSON; text stays readable."""
    record = {
        "id": 7, "at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "price": Decimal("12.50"), "whole": Decimal(3),
        "uuid": UUID(int=5), "raw": b"x", "name": "Zo\u00eb", "none": None, "yes": True, "took": timedelta(seconds=1.5),
    }  # fmt: skip

    item = made(record)

    assert isinstance(item, Item)
    assert item.key == b"session:7"
    assert json.loads(item.elements[0]) == {
        "id": 7, "at": "2026-01-02T03:04:05+00:00", "price": 12.5, "whole": 3,
        "uuid": "00000000-0000-0000-0000-000000000005", "raw": "x", "name": "Zo\u00eb", "none": None, "yes": True,
        "took": 1.5,
    }  # fmt: skip
    assert "Zo\u00eb".encode() in item.elements[0]


@pytest.mark.parametrize(
    ("value", "kind", "elements"),
    [
        ({"type": "string", "field": "name"}, "string", (b"Ann",)),
        ({"type": "json", "field": "tags"}, "string", (b'["a","b"]',)),
        ({"type": "json", "fields": ["name"]}, "string", (b'{"name":"Ann"}',)),
        ({"type": "hash"}, "hash", (b"id", b"1", b"name", b"Ann", b"tags", b'["a","b"]', b"ok", b"true")),
        ({"type": "hash", "fields": ["name", "gone"]}, "hash", (b"name", b"Ann")),
    ],
)
def test_value_types(value: dict[str, Any], kind: str, elements: tuple[bytes, ...]) -> None:
    """A string is one field, JSON an object or one field, a hash its fields without those that are null."""
    item = made({"id": 1, "name": "Ann", "tags": ["a", "b"], "ok": True, "gone": None}, value=value)

    assert isinstance(item, Item)
    assert (item.kind, item.elements) == (kind, elements)
    assert item.size == len(b"session:1") + sum(map(len, elements))


@pytest.mark.parametrize(
    ("record", "settings", "fault"),
    [
        ({"name": "x"}, {}, Fault.FIELD),
        ({"id": None}, {}, Fault.FIELD),
        ({"id": ""}, {}, Fault.FIELD),
        ({"id": 1, "x": float("nan")}, {}, Fault.TYPE),
        ({"id": 1, "x": b"\xff"}, {}, Fault.TYPE),
        ({"id": 1, "x": object()}, {}, Fault.TYPE),
        ({"id": 1, "x": None}, {"value": {"type": "string", "field": "x"}}, Fault.TYPE),
        ({"id": 1, "x": "y" * 100}, {"max_value_bytes": 50}, Fault.TOO_LARGE),
        ({"id": 1, "left": 0}, {"ttl_field": "left"}, Fault.EXPIRED),
        ({"id": 1, "left": -5}, {"ttl_field": "left"}, Fault.EXPIRED),
        ({"id": 1, "left": "soon"}, {"ttl_field": "left"}, Fault.FIELD),
        ({"id": 1, "left": float("inf")}, {"ttl_field": "left"}, Fault.FIELD),
        ({"id": 1}, {"ttl_field": "left"}, Fault.FIELD),
    ],
)
def test_what_cannot_be_warmed_says_why(record: Any, settings: dict[str, Any], fault: Fault) -> None:
    """A bad record is a fault of its own, and nothing is written for it."""
    assert made(record, **settings) is fault


@given(st.binary(min_size=1), st.floats(1, 1e6), st.floats(0, 0.5))
def test_jitter_shortens_by_a_stable_share(key: bytes, seconds: float, jitter: float) -> None:
    """A life is never longer than asked for, never shorter than the jitter allows, and the same at the next run."""
    life = life_ms(key, seconds, jitter)

    assert life is not None
    assert 1000 * seconds * (1 - jitter) - 1 <= life <= 1000 * seconds
    assert life == life_ms(key, seconds, jitter)


def test_a_batch_does_not_expire_together() -> None:
    """The lives of a thousand keys are spread over the whole jitter."""
    lives = [life_ms(b"session:%d" % n, 3600, 0.1) or 0 for n in range(1000)]

    assert max(lives) - min(lives) > 0.095 * 3_600_000
    assert len(set(lives)) > 950


def test_no_key_without_an_end_unless_asked() -> None:
    """A life is None only for `ttl: none`; a copy without an end gets the job's."""
    copies = {"source": {"type": "redis", "url": "redis://h"}}

    assert isinstance(plain := made({"id": 1}), Item)
    assert plain.life_ms is not None
    assert isinstance(endless := made({"id": 1}, ttl="none"), Item)
    assert endless.life_ms is None
    assert isinstance(copy := made(Copy(b"k", None, b"dump"), **copies), Item)
    assert copy.life_ms is not None
    assert isinstance(kept := made(Copy(b"k", 1234, b"dump"), **copies), Item)
    assert kept.life_ms == 1234
    assert made(Copy(b"k", 0, b"dump"), **copies) is Fault.EXPIRED
