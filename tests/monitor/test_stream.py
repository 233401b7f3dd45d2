"""A lease on a stream: it knows of every change, says at once when it can not know, and costs nobody anything else."""

from __future__ import annotations

import pytest

from exporter.keynames import stored
from exporter.monitor.keys import CommandTable
from exporter.monitor.own import Own
from exporter.monitor.stream import ROOM_SHARE, Budget, Streams, Tap
from exporter.snapshot import Node
from tests.fakes import FakeClock
from tests.lines import LOCAL, line, words

OURS = b"127.0.0.1:777"
TABLE = CommandTable.builtin()


def tapped(tap: Tap | None = None) -> Tap:
    """A tap whose sampler knows the commands and may read 5,000 lines and 2 MiB a second."""
    tap = tap or Tap()
    tap.use(TABLE, Budget(5000.0, float(1 << 21), 1e5))
    return tap


def lease_on(tap: Tap, db: int = 0):  # type: ignore[no-untyped-def]
    """A lease that sees everything from now on."""
    lease = tap.lease(db, Own(frozenset({OURS})))
    tap.resume(b"")
    assert not lease.wait_live(0), "the first slice may turn out to be too much"
    tap.resume(b"")
    assert lease.wait_live(0)
    return lease


def of(text: str, db: int = 0, source: bytes = LOCAL) -> bytes:
    """One command as MONITOR sends it."""
    return line(words(text), db, source)


@pytest.mark.parametrize(
    "text",
    [
        "DEL k", "del other k", "UNLINK k", "EXPIRE k -1", "PEXPIREAT k 1", "SET k v", "GETDEL k", "GETEX k PX 1",
        "RENAME k other", "RENAME other k", "RESTORE k 0 x REPLACE", "MIGRATE h 1 k 0 1", "MSET other v k v",
        "COPY other k REPLACE", "SORT other STORE k", "BITOP AND k other", "LMOVE other k LEFT LEFT", "PERSIST k",
        "MIGRATE h 1 '' 0 1 KEYS other k", "ZUNIONSTORE k 1 other", "SETEX k 1 v", "APPEND k v", "MOVE k 1",
        "XADD k * f v", "HSET k f v",
    ],
)  # fmt: skip
def test_every_command_that_may_change_a_key_is_seen(text: str) -> None:
    """Whatever deletes, overwrites, renames or lets expire; plain, in a transaction, or in a script of somebody's."""
    argv = [b"" if word == b"''" else word for word in words(text)]
    for source in (LOCAL, b"lua", b"unix:/run/redis socket.sock"):
        tap = tapped()
        lease = lease_on(tap)
        tap.feed(of("MULTI") + line(argv, 0, source) + of("EXEC"))
        assert lease.changed(b"k")
        assert not lease.changed(b"k2")
        assert lease.broken is None


def test_reads_other_databases_and_our_own_writes_are_no_changes() -> None:
    """What reads, what happens in another database, and what we ourselves do, our scripts too, changes nothing."""
    tap = tapped()
    lease = lease_on(tap)
    ours = (of("SET k v NX", 0, OURS), of("EVAL x 1 k", 0, OURS), of("GET k", 0, b"lua"), of("DEL k", 0, b"lua"))
    for data in (of("GET k"), of("DEL k", 1), of("FLUSHDB", 1), of("SWAPDB 1 2"), *ours, of("EVAL x 1 k")):
        tap.feed(data)
    assert not lease.changed(b"k")
    assert not lease.flushed
    tap.feed(of("DEL k", 0, b"lua"))  # behind somebody else's EVAL
    assert lease.changed(b"k")


@pytest.mark.parametrize("text", ["FLUSHALL", "flushall ASYNC", "FLUSHDB", "SWAPDB 0 1", "SWAPDB 3 0"])
def test_a_flush_changes_everything(text: str) -> None:
    """A database that is emptied or exchanged is told apart: every key of it has changed."""
    tap = tapped()
    lease = lease_on(tap)
    tap.feed(of(text))
    assert lease.flushed


def test_keys_of_any_bytes_and_any_length() -> None:
    """A key is known again whatever it is made of, also one that is longer than what is kept of a key."""
    keys = [b'a"b', b"a\\b", b"\x00\xff\n", b"k" * 5000, b"k" * 200_000, "ключ".encode()]
    tap = tapped()
    lease = lease_on(tap)
    for key in keys:
        assert not lease.changed(key)
        tap.feed(line([b"DEL", key]))
        assert lease.changed(key)
        assert lease.changed(bytes(stored(key)) if len(key) <= 512 else key)
    assert lease.broken is None


def test_any_cut_of_the_stream_gives_the_same() -> None:
    """However the bytes arrive, with replies to marks of the sampler in between, nothing is lost or invented."""
    lease = lease_on(tapped())
    mark, token = lease.mark(1), b"hotkey-exporter:0123456789abcdef:12"
    sampler = b"$%d\r\n%s\r\n" % (len(token), token) + line([b"PING", token], 0, b"127.0.0.1:9")
    data = of("SET a 1") + sampler + of("EVAL x 1 b", 0, OURS) + of("DEL b", 0, b"lua") + line([b"PING", mark], 0, OURS)
    data += sampler + of("DEL c")
    for cut in range(len(data)):
        tap = tapped()
        lease = lease_on(tap)
        numbered = data.replace(mark, lease.mark(1))
        tap.feed(numbered[:cut])
        tap.feed(numbered[cut:])
        assert (lease.changed(b"a"), lease.changed(b"b"), lease.changed(b"c")) == (True, False, True), cut
        assert (lease.wait_for(1, 0), lease.wait_for(2, 0), lease.broken) == (True, False, None)


def test_what_stood_before_a_mark_is_known_once_it_has_passed() -> None:
    """A mark counts only with all of its line, and only ours do."""
    tap = tapped()
    lease, other = lease_on(tap), lease_on(tap)
    data = of("DEL k") + line([b"PING", lease.mark(3)], 0, OURS)
    tap.feed(data[:-4])
    assert not lease.wait_for(3, 0)
    tap.feed(data[-4:])
    assert lease.wait_for(3, 0)
    assert not other.wait_for(1, 0)


@pytest.mark.parametrize(
    "data",
    [
        of("NOSUCHCOMMAND k"),
        b"garbage\r\n",
        b'+1795397124.911000 [0 127.0.0.1:1] "DEL" "k\r\n',
        b'+1795397124.911000 [0 127.0.0.1:1] DEL k\r\n',
        b"+OK\r\n",
    ],
)  # fmt: skip
def test_what_cannot_be_read_breaks_the_lease(data: bytes) -> None:
    """A command whose keys nobody knows, or a line that is none, could have been a deletion."""
    tap = tapped()
    lease = lease_on(tap)
    tap.feed(data + line([b"PING", lease.mark(1)], 0, OURS))
    assert lease.broken is not None
    assert not lease.wait_for(1, 0)


def test_an_end_breaks_it_for_good() -> None:
    """A stream that ends and begins again has a gap: an old lease stays broken, a new one begins with a new slice."""
    streams = Streams()
    node = Node("cache", "127.0.0.1:6379")
    tap = tapped(streams.tap(node))
    assert streams.tap(node) is tap
    lease = lease_on(tap)
    tap.end()
    later = tap.lease(0, Own(frozenset({OURS})))
    assert not later.wait_live(0)
    tap.feed(line([b"PING", later.mark(1)], 0, OURS))
    tap.resume(line([b"PING", lease.mark(1)], 0, OURS) + of("DEL k"))
    assert (lease.broken is None, later.broken is None) == (False, True)
    assert not lease.wait_for(1, 0)
    assert later.changed(b"k")
    later.close()
    assert not tap.wanted


def test_a_renamed_flush_is_known() -> None:
    """Whoever renames FLUSHALL has still FLUSHALL."""
    entry = [b"flushall", -1, [b"write"], 0, 0, 0, [], [], [], []]
    tap = Tap()
    tap.use(TABLE.extended([b"emptyall"], [entry]), Budget(5000.0, 1e6, 1e5))
    lease = lease_on(tap)
    tap.feed(of("EMPTYALL"))
    assert lease.flushed


def test_room_is_what_others_leave() -> None:
    """A holder may add what others leave of the budgets, less at once when they do more, more again only slowly."""
    clock = FakeClock(100.0)
    tap = tapped()
    lease = tap.lease(0, Own(frozenset({OURS})))
    lease._clock = clock
    tap.resume(b"")
    assert lease.room == (0.0, 0.0), "nothing is known yet"

    def slice_of(others: int, ours: int) -> float:
        tap.feed(of("GET k") * others + of("SET k v", 0, OURS) * ours)
        clock.advance(0.1)
        tap.resume(b"")
        return lease.room.events

    assert slice_of(0, 300) == pytest.approx(5000 * ROOM_SHARE)
    assert slice_of(100, 0) == pytest.approx(5000 * ROOM_SHARE - 1000)
    assert 5000 * ROOM_SHARE - 1000 < slice_of(0, 0) < 5000 * ROOM_SHARE
    assert slice_of(600, 0) == 0
