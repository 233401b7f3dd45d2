"""`/api/v1/hotkeys/KEY` over HTTP semantics: any name in the path, one clear line where there is nothing."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

import pytest

from exporter.keynames import KeyNames
from tests.views import shop
from tests.web.daemon import FakeDaemon
from tests.web.test_server import ask, shop_app

PATH = "/api/v1/hotkeys/"


def test_every_name_of_the_list_leads_to_its_details() -> None:
    """Slashes, markup, quotes, escapes, masked ones, other scripts: percent-encoded, whatever is in it."""
    app = shop_app()
    rows = ask("/api/v1/hotkeys?limit=100", app=app).json()["hotkeys"]
    assert len(rows) == 20
    for row in rows:
        reply = ask(f"{PATH}{quote(row['key'], safe='')}?target={row['target']}&db={row['db']}", app=app)
        assert reply.status_code == 200, reply.text
        assert (reply.json()["key"], reply.json()["focus"]["clients"]) == (row["key"], [])


@pytest.mark.parametrize("name", ["a/b", "a//b/", "?x=1#y", "%41", "", " ", "+", "."])
def test_names_that_look_like_a_part_of_the_url(name: str) -> None:
    """They are names."""
    board = shop.shop_board()
    board.publish(shop.CACHE, replace(shop.hot_keys(), keys=(shop.hot_key(name.encode(), 9.0, 10.0),)))
    reply = ask(PATH + quote(name, safe="").replace(".", "%2E"), app=shop_app(board))
    assert (reply.status_code, reply.json()["key"]) == (200, name)


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("nobody", 404, "key: no window has a hot key of this name; /api/v1/hotkeys lists their names"),
        ("session%3A0f3a9c1d", 404, "key: no window has a hot key of this name"),
        ("k" * 60_000, 404, "key: no window has a hot key of this name"),
        ("%00%1b%0A", 404, ""),
        ("queue%3Amails", 400, "key: there are several of this name, ask for one of them: target=queue&node=10.0.0.2:"),
        ("once?db=x", 400, "db: 'x' is not a whole number"),
        ("once?target=nobody", 404, "target: 'nobody' is not configured"),
        ("once?nodes=x", 400, "parameter 'nodes' is unknown here; known: target, node, db"),
        ("once?node=10.0.0.2:6379", 404, "key: no window has a hot key of this name"),
    ],
)
def test_refusals_are_one_line(path: str, status: int, said: str) -> None:
    """JSON, and nothing of a long name is repeated."""
    reply = ask(PATH + path)
    assert reply.status_code == status
    assert reply.json()["error"].startswith(said)
    assert len(reply.json()["error"]) < 400
    assert "\n" not in reply.json()["error"]


def test_node_and_database_choose() -> None:
    """Where there are several of one name."""
    for db, rate in ((0, 40), (3, 20)):
        reply = ask(f"{PATH}queue%3Amails?target=queue&node=10.0.0.2:6379&db={db}")
        assert reply.json()["accesses_per_second"] == rate


@pytest.mark.parametrize("privacy", ["hash", "group"])
def test_privacy_holds(privacy: str) -> None:
    """The clear name leads nowhere; the written one does, and the answer has no other."""
    config = shop.shop_config()
    daemon = FakeDaemon(config.model_copy(update={"keys": config.keys.model_copy(update={"privacy": privacy})}))
    app = shop_app(daemon=daemon)
    assert ask(f"{PATH}product%3A8841%3Aprice", app=app).status_code == 404
    listed = ask("/api/v1/hotkeys?limit=100", app=app).json()["hotkeys"]
    reply = ask(PATH + quote(listed[1]["key"], safe=""), app=app)
    assert reply.status_code == 200
    assert "8841" not in reply.text
    assert KeyNames().label(b"flash-sale:banner") not in reply.text
