"""Where a cluster is found: one address or several, and what does not go together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.config import load
from exporter.config.endpoint import parse
from exporter.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.config import Target


def target(tmp_path: Path, *lines: str) -> Target:
    """The only target of a configuration; its lines beneath the name."""
    path = tmp_path / "config.yaml"
    path.write_text("targets:\n  - name: shop\n" + "".join(f"    {line}\n" for line in lines))
    return load(path, environ={}).targets[0]


def test_several_addresses_are_a_cluster(tmp_path: Path) -> None:
    """Each keeps its port or gets the usual one; one that is named twice counts once; credentials are for all."""
    found = target(tmp_path, "url: rediss://user:pw@a:7000,b,[::1]:7002,a:7000")
    assert found.by_cluster
    assert found.seeds == ("a:7000", "b:6379", "[::1]:7002")
    assert found.endpoint.addr == "a:7000"
    assert (found.endpoint.tls, found.endpoint.username) == (True, "user")


@pytest.mark.parametrize(("lines", "follows"), [(("topology: cluster",), True), ((), False)])
def test_one_address_is_a_cluster_if_that_is_said(tmp_path: Path, lines: tuple[str, ...], follows: bool) -> None:
    """With `auto` the server itself has to say so."""
    assert target(tmp_path, "url: redis://a:7000", *lines).by_cluster is follows


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (("url: 'redis://a,b'", "topology: standalone"), "targets[0].url: has several addresses"),
        (("url: 'redis://a,'",), "targets[0].url: the host is missing"),
        (("url: 'redis://a:7000,b:x'",), "targets[0].url: the port is not a number"),
        (("url: unix:///run/redis.sock", "topology: cluster"), "targets[0].url: is a Unix socket"),
        (("topology: cluster",), "targets[0].url: is required"),
    ],
)
def test_what_does_not_go_together(tmp_path: Path, lines: tuple[str, ...], problem: str) -> None:
    """Each is one problem, at its place."""
    with pytest.raises(ConfigError) as refused:
        target(tmp_path, *lines)
    assert [str(one) for one in refused.value.problems if str(one).startswith(problem)]
    assert len(refused.value.problems) == 1


def test_a_guest_has_one_address() -> None:
    """What `/scrape` is asked for is held against patterns: a second address would come in unseen."""
    with pytest.raises(ValueError, match="no host name"):
        parse("redis://10.0.0.1,evil.example")
