"""`/scrape`: how a target is named, who is let in, and what the answer is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families as text_families

from exporter.snapshot import Board, Node
from tests.views import shop
from tests.web.daemon import FakeDaemon
from tests.web.test_server import ask, shop_app

if TYPE_CHECKING:
    from exporter.config import Config

GUEST = "10.7.7.7:6379"


@pytest.mark.parametrize(
    "target",
    ["cache", "10.0.0.1:6379", "10.0.0.1", "redis://10.0.0.1", "redis://someone:else@10.0.0.1:6379/3",
     "valkey://10.0.0.1:6379"],
)  # fmt: skip
def test_a_known_node_by_any_of_its_names(target: str) -> None:
    """The name of its target, `host:port`, or a URL; what it answers is that one node's."""
    reply = ask(f"/scrape?target={target}")
    assert reply.status_code == 200
    assert 'redis_hotkey_accesses_per_second{db="0",key="flash-sale:banner"}' in reply.text
    assert "queue:mails" not in reply.text
    assert "target=" not in reply.text
    assert "addr=" not in reply.text


def test_it_speaks_both_formats_and_collects_parts() -> None:
    """As `/metrics` does."""
    reply = ask("/scrape?target=cache&collect[]=stats", accept="application/openmetrics-text;version=1.0.0")
    assert reply.headers["content-type"].startswith("application/openmetrics-text")
    assert reply.text.endswith("# EOF\n")
    assert "redis_up 1\n" in reply.text
    assert "redis_hotkey" not in reply.text


def test_a_node_that_is_down_is_still_answered() -> None:
    """200 with `redis_up 0` and the reason: the exporter works, Redis does not."""
    reply = ask("/scrape?target=sessions")
    values = {sample.name: sample.value for family in text_families(reply.text) for sample in family.samples}
    assert reply.status_code == 200
    assert values["redis_up"] == 0
    assert 'redis_down_info{reason="refused"} 1' in reply.text


def test_a_name_that_means_several_nodes_is_refused_with_them() -> None:
    """And an address that several targets lead to."""
    one, two = Node("cache", "10.0.0.1:6379"), Node("cache", "10.0.0.2:6379")
    reply = ask("/scrape?target=cache", app=shop_app(Board((one, two))))
    assert reply.status_code == 400
    assert "10.0.0.1:6379, 10.0.0.2:6379" in reply.text
    assert ask("/scrape?target=10.0.0.2:6379", app=shop_app(Board((one, two)))).status_code == 200
    shared = shop_app(Board((Node("cache", "10.0.0.1:6379"), Node("queue", "10.0.0.1:6379"))))
    reply = ask("/scrape?target=10.0.0.1:6379", app=shared)
    assert reply.status_code == 400
    assert "cache, queue" in reply.text
    assert ask("/scrape?target=queue", app=shared).status_code == 200


def allowing(*patterns: str) -> Config:
    """The shop's configuration with guests."""
    config = shop.shop_config()
    return config.model_copy(update={"web": config.web.model_copy(update={"scrape_allow": patterns})})


def with_guest(config: Config) -> Config:
    """The same with GUEST among the targets, as the daemon has it once it was let in."""
    model = type(config.targets[0])
    guest = model.model_construct(name=GUEST, url=config.targets[1].url)
    return config.model_copy(update={"targets": (*config.targets, guest)})


def test_an_allowed_server_is_let_in_and_answered() -> None:
    """The daemon is asked, and the answer is the new node's first status."""
    daemon, board = FakeDaemon(with_guest(allowing("redis://10.7.*"))), shop.shop_board()
    board.add(Node(GUEST, GUEST))
    board.publish(Node(GUEST, GUEST), replace(shop.status(), role="slave"))
    reply = ask(f"/scrape?target=redis://:pa55word@{GUEST}", app=shop_app(board, daemon=daemon))
    assert (reply.status_code, daemon.admitted) == (200, [GUEST])
    assert 'role="slave"' in reply.text


def test_a_silent_guest_is_answered_within_the_scrapers_time() -> None:
    """Before its first status: `redis_up 0`, in the time that Prometheus waits, and not an error of the scrape."""
    daemon, board = FakeDaemon(with_guest(allowing("redis://10.7.*"))), Board((Node(GUEST, GUEST),))
    app = shop_app(board, daemon=daemon)
    reply = ask(f"/scrape?target={GUEST}", app=app, x_prometheus_scrape_timeout_seconds="0.3")
    assert reply.status_code == 200
    assert "redis_up 0" in reply.text
    assert 'redis_down_info{reason="starting"} 1' in reply.text


def test_no_more_guests_than_may_be() -> None:
    """503 for the one too many."""
    daemon = FakeDaemon(allowing("*"))
    daemon.full = True
    reply = ask(f"/scrape?target={GUEST}", app=shop_app(daemon=daemon))
    assert (reply.status_code, reply.text.count("\n")) == (503, 1)
    assert "50 servers" in reply.text


def test_configured_nodes_are_never_let_in_again() -> None:
    """Whatever the patterns say: credentials in a URL do not change how a configured node is asked."""
    daemon = FakeDaemon(allowing("*"))
    assert ask("/scrape?target=redis://evil:evil@10.0.0.1", app=shop_app(daemon=daemon)).status_code == 200
    assert daemon.admitted == []
