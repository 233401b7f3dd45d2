"""Loading the whole: who wins over whom, every problem at once, and no secret in any message."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr, ValidationError

from exporter.config import Config, Sampling, hash_secret_of, load, secret_of
from exporter.errors import ConfigError
from exporter.redaction import forget_secrets, redacted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

BROKEN = Path(__file__).parents[1] / "data" / "configs"
CANARY = "c4n4ry-s3cr3t"


@pytest.fixture(autouse=True)
def no_secrets_left() -> Iterator[None]:
    """Secrets registered here must not change what other tests log."""
    yield
    forget_secrets()


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    """A function that writes a configuration file."""

    def write(text: str) -> Path:
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return path

    return write


def problems_of(path: Path | None, environ: Mapping[str, str] | None = None, **arguments: str) -> list[str]:
    """The problems of a configuration, as they are printed."""
    with pytest.raises(ConfigError) as refused:
        load(path, environ=environ or {}, **arguments)
    return [str(problem) for problem in refused.value.problems]


def test_defaults() -> None:
    """Without anything there is one target on localhost, and the promised defaults."""
    config = load(None, environ={})

    assert [(target.name, target.endpoint.addr) for target in config.targets] == [("redis", "localhost:6379")]
    assert config.sampling.model_dump() == {
        "source": "auto",
        "hotkeys_beside": False,
        "beside_others": False,
        "prefer_replica": False,
        "window": 60.0,
        "events_per_second": 5000,
        "bytes_per_second": 2 * 1024**2,
        "total_events_per_second": 50_000,
        "max_duty": 0.02,
        "server_limit": "warn",
        "max_keys_per_second": None,
        "top": 20,
        "max_new_labels_per_hour": 200,
        "threshold": 1000 / 60,
        "threshold_share": 0.1,
        "overrides": (),
    }
    assert config.keys.model_dump() == {
        "privacy": "clear",
        "mask": ("*sess*", "*token*", "*auth*", "*otp*"),
        "groups": (),
        "max_label_length": 128,
        "hash_secret_file": None,
    }
    assert (config.enrich.enabled, config.enrich.interval, config.stats.interval) == (True, 15.0, 1.0)
    assert (config.alerts.memory_ratio, config.alerts.latency) == (0.9, 0.1)
    assert (config.web.host, config.web.port) == ("0.0.0.0", 9468)
    assert (config.log.level, config.log.format) == ("info", None)
    assert config.targets[0].sampling == config.sampling


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "---\n", "\ufeff# with a byte order mark\n", "sampling:\n"])
def test_an_empty_file_means_the_defaults(written: Callable[[str], Path], text: str) -> None:
    """An empty file, or one with empty sections, changes nothing."""
    assert load(written(text), environ={}) == load(None, environ={})


def test_a_file_is_read(written: Callable[[str], Path]) -> None:
    """Units, lists and nested sections arrive as plain numbers and tuples."""
    config = load(
        written("""
sampling:
  window: 2m
  bytes_per_second: 64KiB
  max_duty: 5%
  threshold: 50/s
  source: off
  overrides: [{match: "lock:*", ignore: true}, {match: "rate:*", threshold: 5000/min}]
keys: {mask: [], privacy: HASH}
targets:
  - name: cache.eu-1
    url: valkeys://cache.example.com
    labels: {team: shop}
    tls: {server_name: cache, min_version: 1.3}
web: {listen: ":8080"}
"""),
        environ={},
    )

    assert (config.sampling.window, config.sampling.bytes_per_second, config.sampling.max_duty) == (120, 65536, 0.05)
    assert (config.sampling.source, config.sampling.threshold) == ("off", 50)
    assert [(o.match, o.threshold, o.ignore) for o in config.sampling.overrides] == [
        ("lock:*", None, True),
        ("rate:*", pytest.approx(5000 / 60), False),
    ]
    assert (config.keys.mask, config.keys.privacy) == ((), "hash")
    assert config.targets[0].labels == {"team": "shop"}
    assert (config.targets[0].tls.server_name, config.targets[0].tls.min_version) == ("cache", "1.3")
    assert config.web.listen == "0.0.0.0:8080"


def test_a_target_overrides_only_what_it_names(written: Callable[[str], Path]) -> None:
    """A target's `sampling` and `stats` lie over the general ones, key by key."""
    config = load(
        written("""
sampling: {top: 50, window: 30s}
stats: {interval: 2s}
targets:
  - {name: a, url: redis://a, sampling: {top: 5}}
  - {name: b, url: redis://b, stats: {interval: 500ms}}
"""),
        environ={},
    )
    a, b = config.targets

    assert (a.sampling.top, a.sampling.window, a.stats.interval) == (5, 30, 2)
    assert (b.sampling, b.stats.interval) == (config.sampling, 0.5)


def test_a_problem_of_the_general_section_is_told_once(written: Callable[[str], Path]) -> None:
    """Targets inherit a wrong value, but it is wrong in one place only."""
    path = written("sampling: {top: 0}\ntargets: [{name: a, url: redis://a}, {name: b, url: redis://b}]\n")

    assert problems_of(path) == ["sampling.top: must be a whole number between 1 and 100 (line 1)"]


def test_everything_is_frozen() -> None:
    """A configuration cannot be changed after it was checked."""
    config = load(None, environ={})

    with pytest.raises(ValidationError):
        config.sampling.top = 5


@pytest.mark.parametrize("path", sorted(BROKEN.glob("*.yaml")), ids=lambda path: path.stem)
def test_broken_files(path: Path) -> None:
    """Each broken file brings exactly the messages beside it, and nothing of its secrets."""
    messages = [line.replace(str(path), path.name) for line in problems_of(path)]

    assert messages == path.with_suffix(".txt").read_text().splitlines()
    assert not any("hunter2" in message.replace("targets[1].hunter2…", "") for message in messages)


@pytest.mark.parametrize("name", ["missing.yaml", "directory", "large.yaml"])
def test_unusable_files(tmp_path: Path, name: str) -> None:
    """A file that is not there, is a directory or is far too large is one line with its name."""
    (tmp_path / "directory").mkdir()
    (tmp_path / "large.yaml").write_text("#" * (1024 * 1024 + 1))
    expected = {
        "missing.yaml": "cannot be read: no such file or directory",
        "directory": "cannot be read: is a directory",
        "large.yaml": "is larger than 1024 KiB",
    }

    assert problems_of(tmp_path / name) == [f"{tmp_path / name}: {expected[name]}"]


def test_a_url_in_place_of_the_file_is_not_repeated() -> None:
    """Somebody who gives the URL to --config finds no password on the screen."""
    assert problems_of(Path(f"redis://:{CANARY}@localhost")) == [
        "the configuration file: cannot be read: no such file or directory"
    ]


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


class TestSecrets:
    """Passwords: where they come from, and where they never go."""

    def test_password_file_is_read_at_each_use(self, tmp_path: Path, written: Callable[[str], Path]) -> None:
        """A rotated password is seen without a restart; one trailing newline does not count."""
        secret = tmp_path / "password"
        secret.write_text("first\n")
        target = load(
            written(f"targets: [{{name: a, url: redis://a, password_file: {secret}}}]\n"), environ={}
        ).targets[0]

        assert secret_of(target) == "first"
        secret.write_bytes(b"second\n\r\n")
        assert secret_of(target) == "second\n"

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (None, "cannot be read: no such file or directory"),
            (b"", "is empty"),
            (b"\n", "is empty"),
            (b"\xff\xfe", "is not UTF-8 text"),
            (b"x" * 70_000, "is larger than 64 KiB"),
        ],
    )
    def test_unusable_password_files(
        self, tmp_path: Path, written: Callable[[str], Path], content: bytes | None, message: str
    ) -> None:
        """A password file that cannot be used is a problem at the start, and a showable OSError later."""
        secret = tmp_path / CANARY
        path = written(f"targets:\n  - name: a\n    url: redis://a\n    password_file: {secret}\n")
        secret.write_text("good")
        target = load(path, environ={}).targets[0]
        secret.unlink()
        if content is not None:
            secret.write_bytes(content)

        assert problems_of(path) == [f"targets[0].password_file: the file {message} (line 4)"]
        with pytest.raises(OSError, match=message) as refused:
            secret_of(target)
        assert refused.value.strerror == message
        assert CANARY not in str(refused.value)

    def test_hash_secret(self, tmp_path: Path, written: Callable[[str], Path]) -> None:
        """The key of the hashes comes from its file; without one it is made up, once for the process."""
        (tmp_path / "salt").write_text("salt and pepper\n")

        made_up = hash_secret_of(load(None, environ={}).keys)
        assert len(made_up) == 16
        assert hash_secret_of(load(None, environ={}).keys) == made_up
        config = load(written(f"keys: {{hash_secret_file: {tmp_path / 'salt'}}}\n"), environ={})
        assert hash_secret_of(config.keys) == b"salt and pepper"

    def test_every_secret_is_known_to_the_log(self, tmp_path: Path, written: Callable[[str], Path]) -> None:
        """What was read as a secret is taken out of every later log line."""
        (tmp_path / "password").write_text("from-a-file")
        load(
            written(f"""
targets:
  - {{name: a, url: "redis://:from%20the-url@a"}}
  - {{name: b, url: redis://b, password: from-the-yaml}}
  - {{name: c, url: redis://c, password_file: {tmp_path / "password"}}}
"""),
            environ={},
        )

        assert redacted("from the-url from%20the-url from-the-yaml from-a-file") == "*** *** *** ***"

    def test_a_good_configuration_has_no_secret_in_its_repr(self, tmp_path: Path) -> None:
        """A configuration can be printed, dumped and logged."""
        config = load(
            None,
            environ={
                "HOTKEY_EXPORTER_TARGETS__A__URL": f"redis://bob:{CANARY}@a",
                "HOTKEY_EXPORTER_TARGETS__B__URL": "redis://b",
                "HOTKEY_EXPORTER_TARGETS__B__PASSWORD": CANARY,
            },
        )

        assert secret_of(config.targets[0]) == secret_of(config.targets[1]) == CANARY
        for shown in (repr(config), str(config), f"{config.targets[0].endpoint}", config.model_dump_json()):
            assert CANARY not in shown

    def test_no_wrong_value_is_ever_repeated(self, written: Callable[[str], Path]) -> None:
        """The canary stands in every setting, in the file and in the environment, and in no message."""
        places = [
            (section, name, info)
            for section, model in Config.model_fields.items()
            if section != "targets"
            for name, info in model.annotation.model_fields.items()  # type: ignore[union-attr]
        ]
        for section, name, _ in places:
            for value in (
                CANARY,
                f"[{CANARY}]",
                f"{{{CANARY}: {CANARY}}}",
                f"{CANARY}: {CANARY}: [",
                f"'{CANARY} {{}}'",
            ):
                variable = f"HOTKEY_EXPORTER_{section}__{name}".upper()
                for path, environ in ((written(f"{section}:\n  {name}: {value}\n"), {}), (None, {variable: value})):
                    self._assert_silent(path, environ)

    @pytest.mark.parametrize(
        "field", ["url", "password_file", "nodes", "labels", "tls", "sampling", "topology", "stats"]
    )
    def test_no_wrong_value_of_a_target_is_ever_repeated(self, written: Callable[[str], Path], field: str) -> None:
        """The same for targets, where the secrets are."""
        for value in (
            f"redis:{CANARY}@x",
            f":{CANARY}",
            f"[{CANARY}]",
            f"{{a: {CANARY}}}",
            f"/x/{CANARY}",
            CANARY + " ",
        ):
            self._assert_silent(written(f"targets:\n  - name: {CANARY}!\n    {field}: {value}\n"), {})
            self._assert_silent(None, {f"HOTKEY_EXPORTER_TARGETS__A__{field}".upper(): value})

    @staticmethod
    def _assert_silent(path: Path | None, environ: Mapping[str, str]) -> None:
        try:
            load(path, environ=environ)
        except ConfigError as refused:
            link: BaseException | None = refused
            while link is not None:
                assert CANARY not in repr(link)
                assert CANARY not in str(link)
                link = link.__cause__ or link.__context__

    def test_models_do_not_repeat_values_either(self) -> None:
        """Even pydantic's own error, should it ever be shown, holds no value."""
        with pytest.raises(ValidationError) as refused:
            Sampling.model_validate({"top": CANARY, "source": CANARY, "window": SecretStr(CANARY)})

        assert CANARY not in str(refused.value)
