"""Loading the whole: who wins over whom, every problem at once, and no secret in any message."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr, ValidationError

from exporter.config import Config, Sampling, hash_secret_of, load, secret_of
from exporter.errors import ConfigError
from exporter.redaction import redacted
from tests.config.problems import CANARY, problems_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BROKEN = Path(__file__).parents[1] / "data" / "configs"


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
