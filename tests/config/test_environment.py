"""Settings from the environment: they win over the file, and what is mistyped is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.config import load, secret_of
from exporter.errors import ConfigError
from tests.config.problems import CANARY, problems_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class TestEnvironment:
    """HOTKEY_EXPORTER_SECTION__FIELD, REDIS_URL and the arguments."""

    FILE = "targets:\n  - {name: cache, url: redis://file}\n"

    def test_a_variable_wins_over_the_file(self, written: Callable[[str], Path]) -> None:
        """Scalars are read as in the file, lists and mappings as YAML or JSON."""
        config = load(
            written("sampling: {top: 5}\n"),
            environ={
                "HOTKEY_EXPORTER_SAMPLING__TOP": "50",
                "hotkey_exporter_sampling__window": "2m",
                "HOTKEY_EXPORTER_ENRICH__ENABLED": "no",
                "HOTKEY_EXPORTER_KEYS__MASK": '["*card*"]',
                "HOTKEY_EXPORTER_KEYS__GROUPS": "[a*, b*]",
                "HOTKEY_EXPORTER_SAMPLING__OVERRIDES": "[{match: x, ignore: true}]",
            },
        )

        assert (config.sampling.top, config.sampling.window, config.enrich.enabled) == (50, 120, False)
        assert (config.keys.mask, config.keys.groups) == (("*card*",), ("a*", "b*"))
        assert config.sampling.overrides[0].match == "x"

    def test_targets_are_addressed_by_name(self, written: Callable[[str], Path]) -> None:
        """Case does not matter, dots and dashes are underscores, sections nest, `__` may be in a name."""
        config = load(
            written("targets: [{name: My-cache.eu, url: redis://a}, {name: b__c, url: rediss://b}]\n"),
            environ={
                "HOTKEY_EXPORTER_TARGETS__MY_CACHE_EU__USERNAME": "bob",
                "HOTKEY_EXPORTER_TARGETS__My_Cache_EU__SAMPLING__TOP": "7",
                "HOTKEY_EXPORTER_TARGETS__MY_CACHE_EU__LABELS": "{team: shop}",
                "HOTKEY_EXPORTER_TARGETS__B__C__TLS__SERVER_NAME": "other",
            },
        )

        assert config.targets[0].endpoint.username == "bob"
        assert config.targets[0].sampling.top == 7
        assert config.targets[0].labels == {"team": "shop"}
        assert config.targets[1].tls.server_name == "other"

    def test_a_new_name_makes_a_target(self) -> None:
        """A target can come from the environment alone."""
        config = load(
            None,
            environ={
                "HOTKEY_EXPORTER_TARGETS__CACHE__URL": "redis://cache",
                "HOTKEY_EXPORTER_TARGETS__CACHE__PASSWORD": "pw-of-cache",
                "HOTKEY_EXPORTER_TARGETS__QUEUE__URL": "redis://queue",
            },
        )

        assert [(target.name, target.endpoint.addr) for target in config.targets] == [
            ("cache", "cache:6379"),
            ("queue", "queue:6379"),
        ]
        assert secret_of(config.targets[0]) == "pw-of-cache"

    def test_foreign_and_empty_variables_are_ignored(self) -> None:
        """Kubernetes and compose files set variables that were not meant."""
        environ = {
            "HOTKEY_EXPORTER_SERVICE_HOST": "10.0.0.1",
            "HOTKEY_EXPORTER_PORT": "tcp://10.0.0.1:9468",
            "OTHER__THING": "x",
            "HOTKEY_EXPORTER_SAMPLING__TOP": "",
            "HOTKEY_EXPORTER_TARGETS__CACHE__URL": "",
            "REDIS_URL": "",
        }

        assert load(None, environ=environ) == load(None, environ={})

    def test_what_a_variable_can_do_wrong(self, written: Callable[[str], Path]) -> None:
        """Each wrong variable is one line that names it and not its value."""
        path = written("targets: [{name: a-b, url: redis://a}, {name: a.b, url: redis://b}]\n")
        environ = {
            "HOTKEY_EXPORTER_SAMPLIN__TOP": CANARY,
            "HOTKEY_EXPORTER_SAMPLING__TOPP": "",
            "HOTKEY_EXPORTER_SAMPLING__TOP": CANARY,
            "HOTKEY_EXPORTER_SAMPLING__OVERRIDES": "[{match: x, match: y, thresold: 5}]",
            "HOTKEY_EXPORTER_TARGETS__A_B__USERNAME": CANARY,
            "HOTKEY_EXPORTER_TARGETS__NEW__PASWORD_FILE": CANARY,
            "HOTKEY_EXPORTER_TARGETS__OTHER__NODES": CANARY,
            "HOTKEY_EXPORTER_KEYS__MASK": f"[{CANARY}",
            "HOTKEY_EXPORTER_KEYS__GROUPS": CANARY,
            f"HOTKEY_EXPORTER_KEYS__ {CANARY}": "x",
        }

        assert problems_of(path, environ) == [
            "HOTKEY_EXPORTER_KEYS__…: unknown setting; did you mean HOTKEY_EXPORTER_KEYS__MASK?",
            "HOTKEY_EXPORTER_KEYS__MASK: not valid YAML, at line 1, column 15",
            "HOTKEY_EXPORTER_SAMPLING__OVERRIDES: [0].match: given twice, on lines 1 and 1",
            "HOTKEY_EXPORTER_SAMPLING__TOPP: unknown setting; did you mean HOTKEY_EXPORTER_SAMPLING__TOP?",
            "HOTKEY_EXPORTER_SAMPLIN__TOP: unknown setting; did you mean HOTKEY_EXPORTER_SAMPLING__TOP?",
            "HOTKEY_EXPORTER_TARGETS__A_B__USERNAME: several names in the file are written like this one",
            "HOTKEY_EXPORTER_TARGETS__NEW__PASWORD_FILE: unknown setting; did you mean "
            "HOTKEY_EXPORTER_TARGETS__NEW__PASSWORD_FILE?",
            "sampling.top: must be a whole number between 1 and 100 (from HOTKEY_EXPORTER_SAMPLING__TOP)",
            "sampling.overrides[0].thresold: unknown setting (from HOTKEY_EXPORTER_SAMPLING__OVERRIDES)",
            "keys.groups: must be a list (from HOTKEY_EXPORTER_KEYS__GROUPS)",
            "targets[2].nodes: must be all or primaries (from HOTKEY_EXPORTER_TARGETS__OTHER__NODES)",
            "targets[2].url: is required (from HOTKEY_EXPORTER_TARGETS__OTHER__NODES)",
        ]

    def test_redis_url(self, written: Callable[[str], Path]) -> None:
        """REDIS_URL makes a target or sets the url of the only one; a variable that names it and an argument win."""
        only, named = {"REDIS_URL": "redis://env"}, "HOTKEY_EXPORTER_TARGETS__CACHE__URL"

        assert load(None, environ=only).targets[0].endpoint.host == "env"
        assert load(written(self.FILE), environ=only).targets[0].endpoint.host == "env"
        assert load(written(self.FILE), environ=only).targets[0].name == "cache"
        assert load(None, environ=only | {named: "redis://named"}).targets[0].endpoint.host == "named"
        both = load(written(self.FILE), redis_url="redis://argument", environ=only | {named: "redis://named"})
        assert [target.endpoint.host for target in both.targets] == ["argument"]

    @pytest.mark.parametrize("argument", [None, f"redis://:{CANARY}@x"])
    def test_redis_url_needs_a_single_target(self, written: Callable[[str], Path], argument: str | None) -> None:
        """With several targets nobody can know which one is meant."""
        path = written("targets: [{name: a, url: redis://a}, {name: b, url: redis://b}]\n")
        origin = "--redis-url" if argument else "REDIS_URL"
        with pytest.raises(ConfigError) as refused:
            load(path, redis_url=argument, environ={"REDIS_URL": f"redis://:{CANARY}@x"})

        assert str(refused.value) == f"{origin}: sets the url of a single target, but there are 2"

    def test_wrong_arguments_are_named(self) -> None:
        """A problem of an argument is told as one."""
        assert problems_of(None, redis_url=f"redis://:{CANARY}@h:port", listen="9468") == [
            "web.listen: the port is missing (from --listen)",
            "targets[0].url: the port is not a number (from --redis-url)",
        ]
        assert problems_of(None, redis_url="") == ["targets[0].url: the host is missing (from --redis-url)"]

    def test_listen_wins(self, written: Callable[[str], Path]) -> None:
        """`--listen` wins over the variable and the file."""
        path = written("web: {listen: 127.0.0.1:1}\n")
        environ = {"HOTKEY_EXPORTER_WEB__LISTEN": "127.0.0.1:2"}

        assert load(path, environ={}).web.port == 1
        assert load(path, environ=environ).web.port == 2
        assert load(path, listen="[::1]:3", environ=environ).web.listen == "[::1]:3"

    def test_variables_inside_the_file(self, written: Callable[[str], Path]) -> None:
        """`${NAME}` brings a secret into the file's place without being in the file."""
        path = written("targets: [{name: a, url: 'redis://:${PW}@${HOST}:${PORT}', username: '$${x}'}]\n")
        config = load(path, environ={"PW": "p%40w", "HOST": "h", "PORT": "7"})

        assert (config.targets[0].endpoint.addr, secret_of(config.targets[0])) == ("h:7", "p@w")
        assert config.targets[0].endpoint.username == "${x}"
