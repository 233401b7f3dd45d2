"""The whole way of an alert for tests: Prometheus, Alertmanager and a receiver, with the files that users deploy.

In: the directory of a test, the exporter's port, and how many times as fast all intervals and waits are to pass.
Out: a running `Pipeline`, and what arrived at the receiver.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import yaml

from alerts.writing import read_values, rule_files
from tests.alerts.mailbox import Mailbox
from tests.alerts.promtool import ALERTS
from tests.daemon import Alertmanager, Prometheus
from tests.servers import ROOT, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# How long Alertmanager waits before the first message of a group, and between messages.
TIMES = ("group_wait", "group_interval")


@dataclass(frozen=True, slots=True)
class Message:
    """One alert of one message: when it came (`time.monotonic`), to which receiver, and what it said."""

    at: float
    receiver: str
    status: str
    labels: dict[str, str]
    annotations: dict[str, str]


class Webhook(Mailbox):
    """Where Alertmanager sends its messages; each of its receivers has a path of its own."""

    @property
    def messages(self) -> list[Message]:
        """What has come so far, alert by alert."""
        return [
            Message(letter.at, letter.path.strip("/"), one["status"], one["labels"], one["annotations"])
            for letter in list(self.letters)
            for one in letter.body["alerts"]
        ]

    def wait(
        self, name: str, status: str = "firing", *, since: float = 0, timeout: float = 60, **labels: str
    ) -> Message:
        """Wait for a message of this alert and status that came after `since`; the first one."""

        def arrived() -> Message | None:
            wanted = {"alertname": name, **labels}.items()
            found = (one for one in self.messages if one.at >= since and one.status == status)
            return next((one for one in found if wanted <= one.labels.items()), None)

        found = wait_for(arrived, timeout, f"{name} to be {status}; so far: {self.heard()}")
        assert found is not None
        return found

    def heard(self, since: float = 0) -> list[tuple[str, str, str]]:
        """Receiver, alert and status of every message after `since`, the heartbeat left out."""
        found = [one for one in self.messages if one.at >= since and one.labels["alertname"] != "Watchdog"]
        return [(one.receiver, one.labels["alertname"], one.status) for one in found]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What runs; `scrape_seconds` is the interval of scrapes and evaluations, `factor` how much faster all passes."""

    prometheus: Prometheus
    alertmanager: Alertmanager
    webhook: Webhook
    factor: float
    scrape_seconds: float

    def wait_seconds(self, alert: str) -> float:
        """The `for` of an alert here; the shortest of several of that name."""
        return min(_seconds(one.wait) for one in ALERTS if one.name == alert) / self.factor

    def firing(self) -> set[str]:
        """The alerts that fire in Prometheus."""
        return {one["metric"]["alertname"] for one in self.prometheus.query('ALERTS{alertstate="firing"}')}

    def suppressed(self) -> set[str]:
        """The alerts that Alertmanager inhibits."""
        return {one["labels"]["alertname"] for one in self.alertmanager.alerts() if one["status"]["inhibitedBy"]}


@contextmanager
def pipeline(directory: Path, exporter: int, factor: float, scrape_seconds: float) -> Iterator[Pipeline]:
    """Start receiver, Alertmanager and Prometheus, and wait until the exporter is scraped."""
    with ExitStack() as stack:
        webhook = stack.enter_context(Webhook())
        alertmanager = stack.enter_context(Alertmanager(directory, _alertmanager(directory, webhook, factor)))
        config = _prometheus(directory, alertmanager.port, exporter, factor, scrape_seconds)
        prometheus = stack.enter_context(Prometheus(directory, config))
        wait_for(lambda: prometheus.query('up{job="hotkey-exporter"} == 1'), 20, "the exporter to be scraped")
        yield Pipeline(prometheus, alertmanager, webhook, factor, scrape_seconds)


def _alertmanager(directory: Path, webhook: Webhook, factor: float) -> Path:
    """The routes, groups and inhibitions that users deploy, every receiver a webhook, all times shorter."""
    source = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
    config = yaml.safe_load(source.read_text(encoding="utf-8"))
    for route in (config["route"], *config["route"]["routes"]):
        route |= {name: _shorter(route[name], factor) for name in TIMES if name in route}
    config["receivers"] = [
        {"name": one["name"]}
        | (
            {"webhook_configs": [{"url": f"{webhook.url}/{one['name']}", "send_resolved": True}]}
            if len(one) > 1
            else {}
        )
        for one in config["receivers"]
    ]
    del config["global"]["slack_api_url_file"], config["templates"]
    return _write(directory / "alertmanager.yml", config)


def _prometheus(directory: Path, alertmanager: int, exporter: int, factor: float, scrape_seconds: float) -> Path:
    """The scrape configuration that users deploy, on other ports; rules with every `for` shorter, and ranges of 30 minutes."""
    values = read_values((ROOT / "alerts" / "values.yaml").read_text(encoding="utf-8"))
    longest_first = sorted(ALERTS, key=lambda one: -_seconds(one.wait))  # of several of one name the shortest counts
    waits = {one.name: _shorter(one.wait, factor) for one in longest_first if one.wait}
    (directory / "rules").mkdir()
    for name, text in rule_files(replace(values, waits=waits)).items():
        (directory / "rules" / name).write_text(text.replace("[30m]", "[30s]"), encoding="utf-8")
    source = (ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")
    config = yaml.safe_load(
        source.replace("alertmanager:9093", f"127.0.0.1:{alertmanager}").replace(
            "hotkey-exporter:9468", f"127.0.0.1:{exporter}"
        )
    )
    interval = f"{1000 * scrape_seconds:.0f}ms"
    config["global"] |= {"scrape_interval": interval, "evaluation_interval": interval, "scrape_timeout": interval}
    config["scrape_configs"] = [one for one in config["scrape_configs"] if one["job_name"] == "hotkey-exporter"]
    return _write(directory / "prometheus.yml", config)


def _write(path: Path, config: Any) -> Path:
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def _seconds(duration: str) -> float:
    return int(duration[:-1]) * SECONDS[duration[-1]] if duration else 0


def _shorter(duration: str, factor: float) -> str:
    return f"{max(1000 * _seconds(duration) / factor, 100):.0f}ms"
