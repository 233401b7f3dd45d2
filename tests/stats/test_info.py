"""INFO and its tables are read from anything, and nothing in them is taken for granted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.serverstats import CommandStats, Engine, MasterLink, Replica, SlowCalls
from exporter.stats import commandstats, info, replication
from tests.captured import KINDS, captured, captured_text, stats_of


@pytest.mark.parametrize("kind", KINDS)
def test_captured_replies(kind: str) -> None:
    """Every line of a real server's INFO is found again: as a field, in a table, or in its cluster section."""
    known = captured(kind)
    lines = [line for line in captured_text(kind).decode().splitlines() if ":" in line]
    assert len(known.fields) + len(known.cluster) + sum(map(len, known.tables.values())) == len(lines)
    assert kind.partition("-")[2] in {known.fields["redis_version"], known.fields.get("valkey_version")}
    assert info.databases(known)["db0"]["keys"] > 0
    assert commandstats.errors().read(known)["ERR"] > 0
    stats = commandstats.commands().read(known)
    assert len(stats) == len(known.table("cmdstat_"))
    assert stats["get"].calls > 0
    if kind != "redis-6.2.14":
        assert commandstats.latencies().read(known).keys() == known.table("latency_percentiles_usec_").keys()


def test_a_line_of_commandstats() -> None:
    """The formats before 6.2, since 6.2 and since 8.8; a line without calls says nothing."""
    known = info.parse(
        b"cmdstat_get:calls=21,usec=175,usec_per_call=8.33\r\n"
        b"cmdstat_config|get:calls=5,usec=9,usec_per_call=1.8,rejected_calls=2,failed_calls=1\r\n"
        b"cmdstat_set:calls=5,usec=9,usec_per_call=1.8,rejected_calls=2,failed_calls=1,"
        b"slowlog_count=3,slowlog_time_ms_sum=40.5,slowlog_time_ms_max=20.25\r\n"
        b"cmdstat_broken:calls=x,usec=9\r\ncmdstat_empty:\r\n"
    )
    assert commandstats.commands().read(known) == {
        "get": CommandStats(21, 175),
        "config|get": CommandStats(5, 9, 2, 1),
        "set": CommandStats(5, 9, 2, 1, SlowCalls(3, 40.5, 20.25)),
    }


def test_lines_that_stay_are_read_once() -> None:
    """A table that is the same gives the same mapping, a line that is the same the same value."""
    table = commandstats.commands()
    text = b"cmdstat_get:calls=21,usec=175\r\ncmdstat_set:calls=5,usec=9\r\n"
    before = table.read(info.parse(text))
    assert table.read(info.parse(text)) is before
    after = table.read(info.parse(text.replace(b"calls=5", b"calls=6")))
    assert after["get"] is before["get"]
    assert after["set"].calls == 6
    assert table.read(info.parse(b"cmdstat_get:calls=21,usec=175\r\n")).keys() == {"get"}


def test_replication() -> None:
    """Both ends of a link; a replica that has not acknowledged yet has no lag."""
    known = info.parse(
        b"# Replication\r\nrole:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6379\r\nmaster_link_status:down\r\n"
        b"master_last_io_seconds_ago:-1\r\nmaster_sync_in_progress:1\r\nslave_repl_offset:14\r\n"
        b"slave0:ip=10.0.0.2,port=6380,state=wait_bgsave,offset=0\r\nslave1:ip=::1,port=6381,state=online,offset=9,"
        b"lag=1,type=main-channel\r\nslave2:nothing\r\n"
    )
    assert replication.masters(known) == (MasterLink("10.0.0.1", "6379", False, -1.0, 1.0, 14.0),)
    assert replication.replicas(known) == (
        Replica("10.0.0.2", "6380", "wait_bgsave", 0.0, None),
        Replica("::1", "6381", "online", 9.0, 1.0),
    )
    assert replication.engines(captured("valkey-9.1.2")) == (Engine("LUA", "lua", "4", 72704.0, 56.0),)


def test_what_cannot_be_read_is_left_out() -> None:
    """Lines without a colon, without a name, binary ones and endless ones cost only themselves."""
    hostile = b"\xff\xfe:\x00\r\nno colon here\r\n" + b"endless:" + b"x" * 1_000_000 + b"\r\nused_memory:5\r\n:1\r\n"
    known = info.parse(hostile)
    assert known.fields["used_memory"] == "5"
    assert "endless" not in known.fields


def test_numbers_of_lines_and_series_are_bounded() -> None:
    """A server may invent fields, commands, errors and databases without end; what is kept has one."""
    flood = "".join(f"cmdstat_{n}:calls=1,usec=1\r\nerrorstat_{n}:count=1\r\ndb{n}:keys=1\r\nf{n}:1\r\n"
                    for n in range(50_000))  # fmt: skip
    known = info.parse(b"used_memory:5\r\n" + flood.encode())
    assert len(known.fields) <= info.MOST_FIELDS
    assert known.fields["used_memory"] == "5"
    assert len(commandstats.commands().read(known)) == commandstats.MOST_COMMANDS
    assert len(commandstats.errors().read(known)) == commandstats.MOST_ERRORS
    assert len(info.databases(known)) == 1024


@given(st.binary(max_size=3000))
def test_any_bytes_are_an_info(text: bytes) -> None:
    """Nothing raises, whatever the bytes."""
    stats_of(text)
    stats_of(b"cmdstat_" + text + b"\r\ndb0:" + text + b"\r\nslave0:" + text + b"\r\nmaster0:name=" + text)


@pytest.mark.parametrize("text", ["", "x", "nan", "inf", "-inf", "1e400", "1" * 400])
def test_numbers_that_are_none(text: str) -> None:
    """No text makes a whole number raise."""
    assert info.integer({"field": text}, "field") is None


@given(st.lists(st.lists(st.sampled_from(
    ["a:1", "a:2", "a:1\r", "# Server", "# Cluster Info", "#a:1", "db0:keys=5", "cmdstat_get:calls=1", "nothing", ""],
)), max_size=4))  # fmt: skip
def test_what_was_read_before_changes_nothing(texts: list[list[str]]) -> None:
    """Lines that came in earlier readings mean what they mean in the first, also in another section."""
    readings = info.Readings()
    for lines in texts:
        text = "\n".join(lines).encode()
        assert readings.parse(text) == info.parse(text)
