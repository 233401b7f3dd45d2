"""The status: what runs with which settings, and why something is not shown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from exporter.config import load
from exporter.snapshot import Board
from exporter.views.reading import Moment, read
from exporter.views.status import Build, absent, status
from tests.views import shop

if TYPE_CHECKING:
    from exporter.config import Config

BUILD = Build("0.1.0", "3.11.2", Moment(shop.NOW.monotonic - 60, shop.NOW.wall - 60))


def answer(board: Board, config: Config, now: Moment = shop.NOW) -> dict[str, Any]:
    """The status of a Board."""
    return status(read(board, config, now), config, {"prober": True}, BUILD, now)


def test_it_says_what_runs_and_since_when() -> None:
    """Version, Python, start and uptime."""
    body = answer(shop.shop_board(), shop.shop_config())
    assert body["build"] == {"version": "0.1.0", "python": "3.11.2"}
    assert (body["started_at"], body["uptime_seconds"]) == ("2025-12-31T23:59:00.250Z", 60.0)
    assert body["parts"] == [{"name": "prober", "alive": True}]


def test_it_holds_no_secret() -> None:
    """No password, user, URL or path of a secret file, wherever they were configured."""
    config = shop.with_targets(
        load(None, environ={}),
        {"name": "cache", "url": "redis://theuser:pa55word@10.0.0.1:6379", "tls": {"key_file": "/keys/private.pem"}},
        {"name": "queue", "url": "redis://h:1", "username": "other", "password": "s3cret", "password_file": "/run/pw"},
    )
    text = json.dumps(answer(shop.shop_board(), config))
    for secret in ("theuser", "pa55word", "redis://", "private.pem", "other", "s3cret", "/run/pw"):
        assert f'"{secret}' not in text
        assert secret not in text.replace('"other"', "")


def test_it_shows_the_settings_of_each_target() -> None:
    """The overlaid ones, which are those that count."""
    config = shop.with_targets(
        shop.shop_config(), {"name": "cache", "url": "rediss://h:1", "sampling": {"events_per_second": 777}}
    )
    target = answer(Board(), config)["config"]["targets"][0]
    assert (target["sampling"]["events_per_second"], target["tls"], target["stats"]) == (777, True, {"interval": 1.0})


def test_what_is_withheld_says_why() -> None:
    """Too old with its age, down with its reason, refused with its reason."""
    config = shop.shop_config()
    late = Moment(shop.NOW.monotonic + 5, shop.NOW.wall)
    cache, _, sessions = read(shop.shop_board(), config, late)
    assert absent(cache) == {"hotkeys": "the latest is 5.6 s old"}
    assert absent(sessions) == {"hotkeys": "down", "stats": "refused", "enrichment": "nothing published yet"}
    assert answer(shop.shop_board(), config, late)["nodes"][0]["withheld"] == [
        {"what": "hotkeys", "why": "the latest is 5.6 s old"}
    ]


def test_every_node_has_the_same_fields() -> None:
    """Whatever is known of it."""
    nodes = answer(shop.shop_board(), shop.shop_config())["nodes"]
    nodes += answer(Board((shop.CACHE,)), shop.shop_config())["nodes"]
    assert len({tuple(node) for node in nodes}) == 1


def test_the_cost_is_there() -> None:
    """Window and totals of a node that is sampled."""
    node = answer(shop.shop_board(), shop.shop_config())["nodes"][0]
    assert node["window"]["observed_seconds"] == 1.0213
    assert node["totals"]["bursts"]["complete"] == 41_220
    assert node["totals"]["last_success"] == "2025-12-31T23:59:59.650Z"
