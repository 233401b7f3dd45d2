"""Bad input gets one clear line that names it, the right exit code, and nothing half-started."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from exporter import __version__
from tests.servers import ROOT, free_port, wait_for

SECRET = "hunter2-5ecret"


def cli(*arguments: str, stdin: bytes = b"", **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the program to its end."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("REDIS", "HOTKEY_EXP"))}
    done = subprocess.run(
        [sys.executable, "-m", "exporter", *arguments],
        input=stdin, capture_output=True, env={**inherited, **environ}, cwd=ROOT, timeout=30, check=False,
    )  # fmt: skip
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def refused(done: subprocess.CompletedProcess[str], *named: str) -> str:
    """Exit code 2, nothing on stdout, no traceback, no secret, and every line names what is meant; returns stderr."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stderr
    for name in named:
        assert name in done.stderr
    return done.stderr


@pytest.mark.parametrize(
    "url",
    [
        f"http://:{SECRET}@localhost:6379",
        f"redis://:{SECRET}@localhost:99999",
        f"redis://:{SECRET}@localhost:port",
        f"redis://:{SECRET}@/0",
        f"redis://:{SECRET}@localhost:6379/db",
        f"{SECRET} {SECRET}",
        f"redis://u:{SECRET}#x@localhost",
    ],
)
@pytest.mark.parametrize("way", ["argument", "environment"])
def test_a_bad_url_is_one_line(url: str, way: str) -> None:
    """A URL that cannot be used is named by where it came from and never repeated."""
    done = cli("serve", "--redis-url", url) if way == "argument" else cli("serve", REDIS_URL=url)
    assert refused(done, "url").count("\n") == 1


@pytest.mark.parametrize("listen", ["localhost", "127.0.0.1:99999", "127.0.0.1:http", "127.0.0.1:-1"])
def test_a_bad_listen_address_is_one_line(listen: str) -> None:
    """An address to listen on without a usable port is refused before anything starts."""
    assert refused(cli("serve", "--listen", listen), "web.listen").count("\n") == 1


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (f"targets: [{{name: a, url: 'redis://h', pasword: {SECRET}}}]", "pasword"),
        (f"targets: [{{name: a, url: 'redis://h', password: {SECRET}, password: x}}]", "password"),
        (f"targets:\n- name: a\n  url: redis://h\n  password:{SECRET}\n", "line"),
        (f"password:{SECRET}", ""),
        ("sampling: {window: 60 parsecs}", "sampling.window"),
        ("sampling: {bytes_per_second: 2MeB}", "sampling.bytes_per_second"),
        ("sampling: {threshold: often}", "sampling.threshold"),
        ("smapling: {top: 3}", "smapling"),
        ("targets: [{name: a}]", "url"),
        ("targets: [{name: a, url: 'redis://h'}, {name: a, url: 'redis://i'}]", "targets"),
        ("targets: [{name: a, url: 'redis://h', password_file: /does/not/exist}]", "password_file"),
    ],
)
def test_a_bad_file_is_named_with_its_path(text: str, named: str, tmp_path: Path) -> None:
    """Unknown, duplicate, mistyped and missing settings are named with their path, and their values are not."""
    path = tmp_path / "config.yaml"
    path.write_text(text)
    for command in ("serve", "check"):
        refused(cli(command, "--config", str(path)), named)


def test_all_problems_at_once(tmp_path: Path) -> None:
    """Each problem is one line; nobody has to run it three times."""
    path = tmp_path / "config.yaml"
    path.write_text("sampling: {top: many, window: never}\nlog: {level: loud}\n")
    said = refused(cli("serve", "--config", str(path)), "sampling.top", "sampling.window", "log.level")
    assert said.count("\n") == 3


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HOTKEY_EXPORTER_SMAPLING__TOP", "3"),
        ("HOTKEY_EXPORTER_SAMPLING__TPO", "3"),
        ("HOTKEY_EXPORTER_SAMPLING__TOP", SECRET),
        ("HOTKEY_EXPORTER_TARGETS__CACHE__PASWORD", SECRET),
    ],
)
def test_a_bad_variable_is_named(variable: str, value: str) -> None:
    """A mistyped environment variable is an error that names it, not a setting that is silently ignored."""
    refused(cli("serve", **{variable: value}), variable)


def test_redis_url_with_several_targets(tmp_path: Path) -> None:
    """REDIS_URL cannot say which of several targets it means."""
    path = tmp_path / "config.yaml"
    path.write_text("targets: [{name: a, url: 'redis://h'}, {name: b, url: 'redis://i'}]")
    refused(cli("check", "--config", str(path), REDIS_URL=f"redis://:{SECRET}@h"), "REDIS_URL")


@pytest.mark.parametrize(
    "arguments",
    [
        (), ("sreve",), ("serve", "--lisen", "x"), ("analyze",), ("analyze", "x", "--top", "-1"),
        ("demo", "--ops", "0"), ("analyze", "/does/not/exist"), ("serve", "--config", "/does/not/exist"),
        ("serve", "--config", "/"),
    ],
)  # fmt: skip
def test_bad_usage(arguments: tuple[str, ...]) -> None:
    """Wrong words on the command line: one line, exit code 2."""
    assert refused(cli(*arguments)).count("\n") == 1


def test_version_and_help() -> None:
    """Both go to stdout with exit code 0."""
    assert cli("--version").stdout == f"hotkey-exporter {__version__}\n"
    assert "serve" in cli("--help").stdout


def test_analyze_reads_standard_input() -> None:
    """`analyze -` gives the JSON of the contract; what is not MONITOR is counted, never raised."""
    lines = b'OK\n1339518083.107412 [0 127.0.0.1:60866] "GET" "a"\n1339518084.107412 [3 lua] "SET" "b" "v"\nnonsense\n'
    done = cli("analyze", "-", "--json", stdin=lines)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["keys"] == [
        {"db": 0, "key": "a", "accesses": 1, "reads": 1, "writes": 0},
        {"db": 3, "key": "b", "accesses": 1, "reads": 0, "writes": 1},
    ]
    assert (report["commands"], report["skipped"], report["seconds"]) == (2, 1, 1.0)
    assert report["command_counts"] == {"get": 1, "set": 1}
    assert "GET" in cli("analyze", "-", stdin=lines).stdout.upper()


def test_check_of_a_server_that_is_not_there() -> None:
    """An unreachable server is a failed check (1) that names the address and the reason; still no traceback."""
    done = cli("check", REDIS_URL="redis://127.0.0.1:1")
    assert done.returncode == 1
    assert "127.0.0.1:1" in done.stdout
    assert "refused" in done.stdout
    assert done.stderr == ""


def test_demo_with_a_bad_address_starts_nothing() -> None:
    """The address is checked and taken before the embedded server is started and before anything is printed."""
    refused(cli("demo", "--listen", "x"), "web.listen")
    done = cli("demo", "--listen", "203.0.113.5:9999")
    assert (done.returncode, done.stdout) == (1, "")


def test_debug_keeps_the_exit_code(tmp_path: Path) -> None:
    """--debug adds the traceback and changes nothing else."""
    path = tmp_path / "config.yaml"
    path.write_text("sampling: {top: many}")
    done = cli("--debug", "check", "--config", str(path))
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert "hotkey-exporter: sampling.top" in done.stderr


def test_output_that_cannot_be_written() -> None:
    """A full disk behind standard output is one line and exit code 1."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "exporter", "analyze", "-"], stdin=subprocess.DEVNULL, stdout=full,
            stderr=subprocess.PIPE, cwd=ROOT, timeout=30, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.decode() == f"hotkey-exporter: {os.strerror(28)}\n"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_standard_streams_that_are_closed(closed: str) -> None:
    """A stream that was closed at the start is as if it were /dev/null: no traceback, no failure."""
    script = f'exec "$0" -m exporter analyze - --json {closed}'
    done = subprocess.run(
        ["/bin/sh", "-c", script, sys.executable], stdin=subprocess.DEVNULL, capture_output=True, cwd=ROOT,
        timeout=30, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert (b'"commands": 0' in done.stdout) is (">&-" not in closed.split())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_right_after_the_start(number: signal.Signals) -> None:
    """A signal before the daemon serves ends it in order (SIGTERM) or does nothing (SIGHUP)."""
    environ = {**os.environ, "REDIS_URL": "redis://127.0.0.1:1"}
    command = [sys.executable, "-m", "exporter", "serve", "--listen", f"127.0.0.1:{free_port()}"]
    with subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.PIPE) as process:
        try:
            wait_for(lambda: takes(process.pid, number), 10, "the handler")
            process.send_signal(number)
            if number is signal.SIGHUP:
                assert process.stderr is not None
                assert any(b"listening" in line for line in process.stderr)
                process.send_signal(signal.SIGTERM)
            assert process.wait(5) == 0
        finally:
            process.kill()


def takes(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal, or ignores it."""
    status = Path(f"/proc/{pid}/status").read_text()
    masks = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("SigCgt", "SigIgn"))]
    return any(mask >> (number - 1) & 1 for mask in masks)
