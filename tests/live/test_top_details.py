"""`top`'s details of one key in a real terminal (tmux, 80 x 24), on a server and through an exporter."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Self

import pytest

from tests.live.test_focus import CLEAR, callers
from tests.servers import ROOT, wait_for

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from tests.program import StartExporter
    from tests.servers import Server

pytestmark = pytest.mark.skipif(
    shutil.which("tmux") is None, reason="there is no tmux; on Debian: apt-get install tmux"
)


class Terminal:
    """A program in a terminal of its own, under a tmux server of its own."""

    def __init__(self, place: Path, *arguments: str, width: int = 80, height: int = 24) -> None:
        self._socket = str(place / "tmux")
        command = shlex.join([sys.executable, "-m", "exporter", *arguments])
        self._tmux("new-session", "-d", "-x", str(width), "-y", str(height), f"{command}; echo ended with $?; sleep 60")
        self._tmux("set-option", "-g", "escape-time", "0")

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-f", "/dev/null", "-S", self._socket, *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=10, check=True).stdout

    def __enter__(self) -> Self:
        """Nothing: it runs already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        if error is not None:
            print(self.screen())
        self._tmux("kill-server")

    def screen(self) -> str:
        """What is seen."""
        return self._tmux("capture-pane", "-p")

    def press(self, *keys: str) -> None:
        """Press keys, by tmux's names."""
        self._tmux("send-keys", *keys)

    def shows(self, *pieces: str) -> str:
        """Wait until all of these are seen."""
        return wait_for(
            lambda: text if all(piece in (text := self.screen()) for piece in pieces) else None, 25, f"{pieces} to show"
        )


HOSTILE = b"a\x1b[2J<b>\n\x00" + b"k" * 65_000


@pytest.mark.parametrize("through", ["server", "exporter"])
@pytest.mark.parametrize("key", [b"hot", HOSTILE], ids=["plain", "hostile"])
def test_who_calls_a_key(
    redis_server: Server, start_exporter: StartExporter, tmp_path: Path, through: str, key: bytes
) -> None:
    """Enter on the first row shows commands and clients with shares and names; Esc leads back, q ends it cleanly."""
    if through == "exporter":
        arguments = ["--exporter", start_exporter(redis_url=redis_server.url, config=CLEAR).url]
    else:
        arguments = ["--redis-url", redis_server.url]
    written = "hot" if key == b"hot" else "a\\x1b[2J<b>\\x0a\\x00kkkk"
    pause = 0.02 if key == b"hot" else 0.5  # 64 kB at a time: what is counted in full has to fit the budget
    with callers(redis_server, key, pause=pause) as addresses, Terminal(tmp_path, "top", *arguments) as terminal:
        terminal.shows("accesses/s", "100.0%", written[:8])
        terminal.press("Down", "Enter")
        text = terminal.shows(written, "callers, looking since", addresses["reader"], addresses["writer"], "75", "25")
        text = terminal.shows("reader", "writer", "get", "set", "exact", "Esc back")
        lines = text.splitlines()
        assert len(lines) <= 24
        assert max(map(len, lines)) <= 80
        terminal.press("Escape")
        terminal.shows("q quit", "share")
        terminal.press("q")
        ended = terminal.shows("ended with 0")
    assert "Traceback" not in ended
