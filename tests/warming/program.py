"""`hotkey-exporter warm` as a process of its own: a configuration in, its exit code and what it printed out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from tests.servers import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.servers import Server


def config_of(server: Server, *jobs: dict[str, Any], **warming: Any) -> dict[str, Any]:
    """A configuration with one target and these jobs."""
    return {"targets": [{"name": "cache", "url": server.url}], "warming": {"jobs": list(jobs), **warming}}


@dataclass(frozen=True, slots=True)
class Warmed:
    """How the command ended; `job` is the entry of its only job."""

    code: int
    out: str
    err: str

    @property
    def job(self) -> dict[str, Any]:
        """The only job of the JSON line."""
        (job,) = json.loads(self.out.splitlines()[-1])["jobs"]
        assert isinstance(job, dict)
        return job

    @property
    def keys(self) -> dict[str, int]:
        """The results that occurred."""
        return {result: count for result, count in self.job["keys"].items() if count}


def command(directory: Path, config: Mapping[str, Any], *arguments: str) -> list[str]:
    """The command line."""
    path = directory / f"warm-{len(list(directory.iterdir()))}.yaml"
    path.write_text(yaml.safe_dump(dict(config)))
    return [sys.executable, "-m", "exporter", "warm", "--config", str(path), "--json", *arguments]


def environment() -> dict[str, str]:
    """The environment without any configuration of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("REDIS_URL", "HOTKEY_EXPORTER_"))}


def warm(directory: Path, config: Mapping[str, Any], *arguments: str, timeout: float = 60) -> Warmed:
    """Run it to its end."""
    done = subprocess.run(
        command(directory, config, *arguments), cwd=ROOT, env=environment(), capture_output=True, text=True,
        timeout=timeout, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return Warmed(done.returncode, done.stdout, done.stderr)
