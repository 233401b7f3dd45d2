"""Which keys are in focus: bounded in number and in time, whoever asks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exporter.focus import LASTS_SECONDS, MOST_KEYS, Client, Focus
from exporter.monitor.clients import LONGEST_NAME, clients

KEY = (0, b"key")


def test_nothing_is_in_focus_until_somebody_asks() -> None:
    """Per node, until a minute after the last question; `since` is when that began."""
    focus = Focus[str]()
    assert focus.wanted("a", 0.0) == frozenset()
    assert focus.ask("a", KEY, 10.0) == 10.0
    assert focus.ask("a", KEY, 60.0) == 10.0
    assert focus.wanted("a", 60.0 + LASTS_SECONDS) == {KEY}
    assert focus.wanted("b", 60.0) == frozenset()
    assert focus.wanted("a", 60.1 + LASTS_SECONDS) == frozenset()
    assert focus.ask("a", KEY, 200.0) == 200.0, "it begins anew"


def test_the_one_that_was_not_asked_for_longest_makes_room() -> None:
    """The ninth key takes the place of the least recently asked, not of the oldest."""
    focus = Focus[str]()
    for number in range(MOST_KEYS):
        focus.ask("a", (number, b"k"), float(number))
    focus.ask("a", (0, b"k"), 8.0)
    focus.ask("b", KEY, 9.0)
    assert focus.wanted("b", 9.0) == {KEY}
    assert focus.wanted("a", 9.0) == {(number, b"k") for number in range(MOST_KEYS) if number != 1}


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 20), st.floats(0.0, 30.0)), max_size=60))
def test_there_are_never_more(asked: list[tuple[str, int, float]]) -> None:
    """Whatever is asked for, in any order."""
    focus, now = Focus[str](), 0.0
    for node, number, later in asked:
        now += later
        focus.ask(node, (0, b"%d" % number), now)
        assert (0, b"%d" % number) in focus.wanted(node, now)
        assert len(focus.wanted("a", now)) + len(focus.wanted("b", now)) <= MOST_KEYS


def test_names_of_connections_are_kept_for_as_long() -> None:
    """They are forgotten with the last key of their node."""
    focus = Focus[str]()
    focus.ask("a", KEY, 0.0)
    focus.introduce("a", {b"127.0.0.1:1": Client("web-1", "default")})
    assert focus.client("a", b"127.0.0.1:1") == Client("web-1", "default")
    assert focus.client("a", b"127.0.0.1:2") is None
    focus.ask("b", KEY, LASTS_SECONDS + 1)
    assert focus.client("a", b"127.0.0.1:1") is None


def test_who_has_a_name_is_read_from_client_list() -> None:
    """By address; what is no name (no user of its own either) is left out, long ones are cut, odd replies are none."""
    reply = (
        b"id=3 addr=127.0.0.1:49152 laddr=127.0.0.1:6379 fd=8 name=web-1 db=0 user=default lib-name=redis-py\n"
        b"id=4 addr=[::1]:49153 laddr=[::1]:6379 fd=9 name= db=0 user=shop\n"
        b"id=5 addr=127.0.0.1:49154 fd=9 name= db=0 user=default\n"
        b"id=6 addr=127.0.0.1:49155 fd=9 name=" + b"x" * 500 + b" db=0\nnonsense\n"
    )
    assert clients(reply) == {
        b"127.0.0.1:49152": Client("web-1", "default"),
        b"[::1]:49153": Client("", "shop"),
        b"127.0.0.1:49155": Client("x" * LONGEST_NAME, ""),
    }
    assert clients(None) == clients(b"") == clients([b"addr=1 name=x"]) == {}
