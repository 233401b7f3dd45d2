"""`assets` and `completion`: what comes along is written out whole or not at all; shells know every option."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from exporter.assets import shipped
from exporter.cli import _parser
from exporter.completion import SHELLS, _commands, script
from exporter.errors import DownReason
from exporter.views.words import NEXT
from tests.servers import ROOT
from tests.test_cli import cli

if TYPE_CHECKING:
    from pathlib import Path


def test_export_writes_every_file_and_again_changes_nothing(tmp_path: Path) -> None:
    """Dashboards, rules, routes and an example configuration, byte for byte; a second run is no error."""
    place = str(tmp_path / "new" / "place")
    for _ in range(2):
        done = cli("assets", "export", place)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"{len(shipped())} files")
    assert (tmp_path / "new/place/alerts/rules/hotkeys.yaml").read_bytes() == (
        ROOT / "alerts/rules/hotkeys.yaml"
    ).read_bytes()
    assert cli("assets", "list").stdout.split() == list(shipped())


def test_a_file_of_somebody_is_not_written_over(tmp_path: Path) -> None:
    """It is named, and nothing else is written either; `--force` is the way."""
    (tmp_path / "config.yaml").write_text("mine")
    done = cli("assets", "export", str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "config.yaml: exists with other content; --force" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]
    assert cli("assets", "export", str(tmp_path), "--force").returncode == 0
    assert (tmp_path / "config.yaml").read_bytes() == (ROOT / "config.yaml").read_bytes()


@pytest.mark.parametrize("arguments", [("export",), ("list", "x"), ("steal",), ()])
def test_assets_used_wrongly(arguments: tuple[str, ...]) -> None:
    """One line, and exit code 2."""
    done = cli("assets", *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    """One line that names it."""
    (tmp_path / "file").write_text("")
    done = cli("assets", "export", str(tmp_path / "file"))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert str(tmp_path / "file") in done.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_names_every_command_and_option(shell: str) -> None:
    """Nothing that the parser knows is missing."""
    done = cli("completion", shell)
    assert done.returncode == 0
    for command in _commands(_parser()):
        assert command.name in done.stdout
        for option, _ in command.options:
            kind = "-l" if option.startswith("--") else "-s"
            assert (f"{kind} {option.lstrip('-')}" if shell == "fish" else option) in done.stdout


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [("", "serve"), ("ana", "analyze"), ("serve --red", "--redis-url"), ("analyze --t", "--top"),
     ("--debug check --c", "--config"), ("assets e", "export"), ("completion z", "zsh")],
)  # fmt: skip
def test_bash_completes(typed: str, offered: str) -> None:
    """The script runs in a real bash."""
    words = ["hotkey-exporter", *typed.split(" ")]
    quoted = " ".join(f"'{word}'" for word in words)
    line = (
        f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _hotkey_exporter; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )  # fmt: skip
    done = subprocess.run(
        ["bash", "-c", f"{script(_parser(), 'bash')}\n{line}"], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert offered in done.stdout.split()


INTERRUPTS_ITSELF = """
import os, signal, sys

class WhileImporting:
    def find_spec(self, name, *_):
        if name == wanted:
            os.kill(os.getpid(), signal.SIGINT)

wanted = sys.argv.pop(1)
sys.meta_path.insert(0, WhileImporting())
from exporter.__main__ import run
run()
"""


@pytest.mark.parametrize("arguments", [("serve",), ("analyze", "-")])
@pytest.mark.parametrize("module", ["exporter.cli", "argparse", "exporter.config", "exporter.errors", "yaml"])
def test_an_interrupt_while_the_program_is_loaded_prints_nothing(arguments: tuple[str, ...], module: str) -> None:
    """Ctrl-C in the first moments is no traceback of an import."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTS_ITSELF, module, *arguments],
        cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    if module in {"exporter.cli", "argparse"}:
        assert done.returncode == -signal.SIGINT


def test_every_reason_for_being_down_says_what_to_do() -> None:
    """`check` and `top` add it to what they say; only of a node that was not asked yet there is nothing to say."""
    assert set(NEXT) == set(DownReason) - {DownReason.STARTING}


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("check", "--redis-url", "redis://127.0.0.1:1"), "next  start the server, or correct host and port"),
        (("top", "--once", "--redis-url", "redis://127.0.0.1:1"), "; start the server, or correct host and port"),
        (("top", "--once", "--exporter", "http://127.0.0.1:1"), "; is an exporter there? Its port is 9468"),
        (("analyze", "/does/not/exist"), "No such file or directory; save one with: redis-cli monitor > FILE"),
        (("warm",), "docs/cache-warming.md has examples"),
        (("frob",), "(try --help)"),
    ],
)
def test_an_error_says_what_to_do_next(arguments: tuple[str, ...], hint: str) -> None:
    """Not only what is wrong."""
    done = cli(*arguments)
    assert done.returncode in {1, 2}
    assert hint in done.stdout + done.stderr


def test_a_port_that_is_taken() -> None:
    """One line names the address, without what the library adds to it, and the way out."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        done = cli("serve", "--listen", listen)
    expected = f"web.listen: {listen}: Address already in use; choose another with --listen HOST:PORT"
    assert (done.returncode, done.stderr) == (1, f"hotkey-exporter: {expected}\n")
