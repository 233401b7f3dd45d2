"""One id on every line of a unit of work, whichever thread wrote it: from the HTTP request to a library in a source."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import bcrypt
import httpx

from tests.servers import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.program import StartExporter
    from tests.servers import Server

AUTH = ("admin", "corr3ct-horse")
SOURCE = """
import logging, threading, warnings

def records(limit):
    for number in range(500):
        logging.getLogger("source").info("record %d in %s", number, threading.current_thread().name)
        yield {"id": number}
    warnings.warn("the source has ended")
"""


def test_every_line_of_a_run_has_its_id(tmp_path: Path, redis_server: Server, start_exporter: StartExporter) -> None:
    """A run asked for over HTTP: 500 lines of a library in the thread that reads, a warning there, the run's end."""
    (tmp_path / "talking_source.py").write_text(SOURCE)
    web = tmp_path / "web.json"
    hashed = bcrypt.hashpw(AUTH[1].encode(), bcrypt.gensalt(4)).decode()
    web.write_text(json.dumps({"basic_auth_users": {AUTH[0]: hashed}}))
    job = {"name": "records", "on_start": False, "key": "record:{id}", "batch": 50,
           "source": {"type": "python", "call": "talking_source:records"}}  # fmt: skip
    config = {
        "targets": [{"name": "cache", "url": redis_server.url}], "web": {"config_file": str(web)},
        "log": {"level": "debug"}, "warming": {"jobs": [job]},
    }  # fmt: skip
    exporter = start_exporter(config=config, env={"PYTHONPATH": str(tmp_path)}, wait="").wait_until("/-/ready", 40)
    for identifier in ("run-1", "run-2"):
        httpx.post(
            f"{exporter.url}/api/v1/warming/records", auth=AUTH, headers={"X-Request-ID": identifier}, trust_env=False
        ).raise_for_status()
        ended = f'"event":"warming.run","message":"a warming run has ended","correlation_id":"{identifier}"'
        wait_for(lambda ended=ended: ended in exporter.log, 30, f"{identifier} to end")  # type: ignore[misc]
    lines = [json.loads(line) for line in exporter.log.splitlines() if line.startswith("{")]
    source = [line for line in lines if line["event"] == "library.source"]
    assert [line["correlation_id"] for line in source] == ["run-1"] * 500 + ["run-2"] * 500
    assert len({line["message"].split(" in ")[1] for line in source}) <= 2
    assert not [line for line in lines if line["event"].startswith("warming.") and "correlation_id" not in line]
    warned = [line for line in lines if "the source has ended" in line["message"]]
    assert {line["correlation_id"] for line in warned} <= {"run-1", "run-2"}
    assert warned
