"""Pieces are small where others would have to wait, large where they would not; and whoever is slow is left alone."""

from __future__ import annotations

import pytest

from exporter.warming.pace import ALONE_PIECE, LEAST_PIECE, LONGEST_REST, NEAR_PIECE, Tempo


def after(tempo: Tempo, idle: float, per_key: float, exchanges: int = 400) -> int:
    """The size of a piece once so many have gone to a server with these times."""
    for _ in range(exchanges):
        tempo.idle(idle)
        tempo.took(tempo.size, idle + per_key * tempo.size)
    return tempo.size


@pytest.mark.parametrize(("idle", "expected"), [(0.000_080, NEAR_PIECE), (0.001, 100), (0.002, 200), (0.050, 300)])
def test_a_piece_delays_others_by_a_share_of_a_round_trip(idle: float, expected: int) -> None:
    """With 3 us a key, a piece takes about a third of a round trip, is a few keys if that is short, at most a batch."""
    size = after(Tempo(300), idle, 0.000_003)
    assert 0.7 * expected <= size <= 1.1 * expected + 1


def test_where_nobody_else_is_there_nobody_has_to_wait() -> None:
    """Large pieces make a run faster; with the first who comes they are small again."""
    tempo = Tempo(100)
    tempo.alone = True
    assert after(tempo, 0.000_080, 0.000_003) == ALONE_PIECE
    tempo.alone = False
    assert tempo.size == NEAR_PIECE


def test_a_server_that_comes_near_gets_small_pieces_at_once() -> None:
    """A failover may bring the primary from afar to this machine."""
    tempo = Tempo(300)
    assert after(tempo, 0.050, 0.000_003) == 300
    tempo.idle(0.000_080)
    assert tempo.size == NEAR_PIECE


def test_what_is_large_goes_in_smaller_pieces_to_a_near_server_too() -> None:
    """A few of what takes 20 us each would be too much."""
    assert after(Tempo(100), 0.000_080, 0.000_020) == LEAST_PIECE
    assert after(Tempo(100, near=1), 0.000_080, 0.000_003) == 1, "behind a fence"
    assert after(Tempo(100, near=1), 0.002, 0.000_003) == 100


def test_pieces_shrink_at_once_and_never_to_nothing() -> None:
    """A server that becomes slow gets small pieces soon, but some; one that recovers gets larger ones again."""
    tempo = Tempo(100)
    large = after(tempo, 0.001, 0.000_003)
    assert after(tempo, 0.001, 0.010, exchanges=100) == LEAST_PIECE
    assert after(tempo, 0.001, 0.000_003) >= 0.7 * large
    assert after(Tempo(2), 0.001, 0.010) == 2


def test_a_server_that_becomes_slow_is_given_time() -> None:
    """No rests while it answers as usual, one slow answer of five included; rests of a round trip when it does not."""
    tempo = Tempo(100)
    assert tempo.rest == 0
    for seconds in (0.0001, 0.00012, 0.05, 0.0001, 0.00009):
        tempo.idle(seconds)
        assert tempo.rest == 0
    for _ in range(5):
        tempo.idle(0.002)
    assert tempo.rest == pytest.approx(0.002)
    for _ in range(5):
        tempo.idle(3.0)
    assert tempo.rest == LONGEST_REST
    for _ in range(5):
        tempo.idle(0.0001)
    assert tempo.rest == 0
