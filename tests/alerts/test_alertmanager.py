"""Alertmanager's configuration: who is told what, and what is inhibited, asked of the real programs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.alerts.inhibitions import INHIBITIONS, Inhibition
from tests.alerts.mailbox import Mailbox
from tests.alerts.promtool import ALERTS
from tests.daemon import Alertmanager
from tests.servers import ROOT, program, wait_for

DIRECTORY = ROOT / "deploy" / "alertmanager"
FILE = DIRECTORY / "alertmanager.yml"
CONFIG = yaml.safe_load(FILE.read_text(encoding="utf-8"))
RECEIVERS = {"critical": "page", "warning": "ticket", "info": "context", "none": "dead-mans-switch"}
# Told once a minute and no less often, although a tick of the group may come a moment early; info has no message.
MEANT = "repeat-before-group,empty-receiver"
SECRETS = {"slack_api_url_file", "routing_key_file", "credentials_file"}


def amtool(*args: str) -> str:
    """Run amtool; what it says, which fails the test if it is not content."""
    done = subprocess.run(
        [program("amtool", "prometheus-alertmanager"), *args], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_amtool_accepts_it() -> None:
    """Debian's amtool (0.25) reads the configuration and its templates."""
    assert "1 templates" in amtool("check-config", str(FILE))


def test_amlint_finds_nothing() -> None:
    """By the rules of current versions, beside our rules: no route or inhibition that nothing can reach."""
    amlint = Path(sys.executable).with_name("amlint")
    command = [amlint, "check", "--strict", "--ignore", MEANT, FILE, "--rules", ROOT / "alerts" / "rules" / "*.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_goes_where_its_severity_says() -> None:
    """Critical pages, warnings are tickets, info has no message, the Watchdog feeds the dead man's switch."""
    kinds = {(one.severity, one.component, one.topic, "Watchdog" if one.name == "Watchdog" else "X") for one in ALERTS}
    for severity, component, topic, name in sorted(kinds):
        labels = [f"alertname={name}", f"severity={severity}", f"component={component}", f"topic={topic}", "target=t"]
        found = amtool("config", "routes", "test", f"--config.file={FILE}", *labels)
        assert found.split() == [RECEIVERS[severity]], (severity, component, topic, name)


def test_a_stranger_is_told_to_somebody() -> None:
    """An alert that no route knows is a ticket, not silence."""
    assert amtool("config", "routes", "test", f"--config.file={FILE}", "alertname=Other").split() == ["ticket"]


def test_secrets_are_files() -> None:
    """No secret stands in the configuration, and each file that it names lies in one directory."""
    text = FILE.read_text(encoding="utf-8")
    named = re.findall(r"(\w+_file): (\S+?)[}\n]", text)
    assert {name for name, _ in named} == SECRETS
    assert all(path.startswith("/etc/alertmanager/secrets/") for _, path in named)
    assert re.findall(r"\b(?:api_url|routing_key|service_key|credentials|password|bearer_token):", text) == []


def test_matchers_name_alerts_and_labels_that_exist() -> None:
    """Each inhibition's alerts exist on both sides, and carry the labels that it compares."""
    for rule in CONFIG["inhibit_rules"]:
        assert rule["equal"], rule
        for side in ("source_matchers", "target_matchers"):
            chosen = [one for one in ALERTS if all(_matches(text, _labels(one)) for text in rule[side])]
            assert chosen, (rule, side)
            narrow = all("!=" not in text for text in rule[side]) and "component" not in str(rule[side])
            for one in chosen if narrow else ():
                assert {*rule["equal"]} <= {*_labels(one), *one.labels, "alertname"}, (rule, one.name)


def _labels(alert: Any) -> dict[str, str]:
    topic = {"topic": alert.topic} if alert.topic else {}
    return {"alertname": alert.name, "severity": alert.severity, "component": alert.component, **topic, **alert.extra}


def _matches(matcher: str, labels: dict[str, str]) -> bool:
    name, operator, value = re.fullmatch(r'(\w+)(=~|!=|=)"(.*)"', matcher).groups()  # type: ignore[union-attr]
    found = labels.get(name, "")
    return {"=": found == value, "!=": found != value, "=~": bool(re.fullmatch(value, found))}[operator]


def test_inhibitions(tmp_path: Path) -> None:
    """A real Alertmanager silences what another alert says already, and nothing of other nodes, targets and exporters."""
    started = datetime.now(UTC).isoformat()
    with Alertmanager(tmp_path, _without_messages(tmp_path)) as alertmanager:
        sent = [
            {"labels": labels | {"case": str(number)}, "startsAt": started}
            for number, case in enumerate(INHIBITIONS)
            for labels in (case.source, *case.silent, *case.heard)
        ]
        alertmanager.post("/api/v2/alerts", sent)
        wait_for(lambda: len(alertmanager.alerts()) == len(sent), 10, "all alerts")
        expected = {state for number, case in enumerate(INHIBITIONS) for state in _states(number, case)}

        def wrong() -> set[tuple[str, str, str]]:
            return expected ^ _judged(alertmanager)

        with suppress(pytest.fail.Exception):  # the difference says more
            wait_for(lambda: not wrong(), 10, "the inhibitions")
        assert sorted(wrong()) == []


def _states(number: int, case: Inhibition) -> list[tuple[str, str, str]]:
    heard = [("active", labels) for labels in (case.source, *case.heard)]
    silent = [("suppressed", labels) for labels in case.silent]
    return [(str(number), state, json.dumps(labels, sort_keys=True)) for state, labels in (*heard, *silent)]


def _judged(alertmanager: Alertmanager) -> set[tuple[str, str, str]]:
    found = set()
    for one in alertmanager.alerts():
        labels = dict(one["labels"])
        found.add((labels.pop("case"), one["status"]["state"], json.dumps(labels, sort_keys=True)))
    return found


def _without_messages(directory: Path) -> Path:
    """The same routes and inhibitions, each case for itself, and receivers that tell nobody."""
    changed = {
        "receivers": [{"name": one["name"]} for one in CONFIG["receivers"]],
        "templates": [],
        "inhibit_rules": [rule | {"equal": [*rule["equal"], "case"]} for rule in CONFIG["inhibit_rules"]],
    }
    path = directory / "alertmanager.yml"
    path.write_text(yaml.safe_dump({**CONFIG, **changed}))
    return path


def test_messages_arrive(tmp_path: Path) -> None:
    """The receivers as they are deployed, against stand-ins for PagerDuty, Slack and the dead man's switch."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    with Mailbox() as mailbox, ExitStack() as stack:
        for name, text in (
            ("slack-url", f"{mailbox.url}/slack"),
            ("pagerduty-key", "0123456789abcdef"),
            ("dead-mans-switch-token", "s3cret"),
        ):
            (secrets / name).write_text(text)
        shutil.copytree(DIRECTORY / "templates", tmp_path / "templates")
        text = FILE.read_text(encoding="utf-8").replace("/etc/alertmanager/secrets", str(secrets))
        text = text.replace("https://dead-mans-switch.example.com", mailbox.url)
        text = re.sub(r"group_wait: \w+", "group_wait: 100ms", text)
        (tmp_path / "a.yml").write_text(
            text.replace("global:", f"global:\n  pagerduty_url: {mailbox.url}/pagerduty", 1)
        )
        alertmanager = stack.enter_context(Alertmanager(tmp_path, tmp_path / "a.yml"))
        page = {"alertname": "RedisDown", "severity": "critical", "target": "cache", "addr": "r:6379"}
        said = {
            "summary": "It is down.",
            "description": "r:6379 is down.",
            "runbook_url": "https://git.example.com/R.md",
        }
        sent = [{"labels": page, "annotations": said}, {"labels": {"alertname": "Watchdog", "severity": "none"}}]
        alertmanager.post("/api/v2/alerts", sent)
        wait_for(lambda: len(mailbox.letters) >= 3, 20, "three messages")
        letters = {letter.path: letter for letter in mailbox.letters}
    pager, slack, heartbeat = (letters[path] for path in ("/pagerduty", "/slack", "/hotkey-exporter"))
    assert pager.body["routing_key"] == "0123456789abcdef"
    assert pager.body["payload"]["summary"] == "[1] RedisDown on cache (r:6379): It is down."
    assert {"text": "Runbook", "href": "https://git.example.com/R.md"} in pager.body["links"]
    [attachment] = slack.body["attachments"]
    assert (slack.body["channel"], attachment["color"]) == ("#redis-pages", "danger")
    assert attachment["text"].startswith("r:6379 is down.\nRunbook: https://git.example.com/R.md")
    assert heartbeat.authorization == "Bearer s3cret"


def test_messages_say_what_where_and_what_to_do(tmp_path: Path) -> None:
    """Title, text and links of a message, rendered by amtool from what Alertmanager hands to a template."""
    labels = {"alertname": "RedisDown", "target": "cache", "addr": "r:6379", "severity": "critical"}
    annotations = {
        "summary": "A Redis server cannot be used.",
        "description": "r:6379 is down.",
        "runbook_url": "https://git.example.com/RedisDown.md",
        "dashboard_url": "https://grafana.example.com/d/x",
    }
    alert = {"status": "firing", "labels": labels, "annotations": annotations}
    data = {
        "receiver": "page",
        "status": "firing",
        "alerts": [alert],
        "groupLabels": {"alertname": "RedisDown", "target": "cache"},
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": "https://alertmanager.example.com",
    }
    path = tmp_path / "data.json"

    def rendered(name: str, **changed: Any) -> str:
        path.write_text(json.dumps({**data, **changed}))
        glob = f"--template.glob={DIRECTORY / 'templates' / '*.tmpl'}"
        text = f'--template.text={{{{ template "hotkey.{name}" . }}}}'
        return amtool("template", "render", glob, text, f"--template.data={path}").strip()

    title = "RedisDown on cache (r:6379): A Redis server cannot be used."
    assert rendered("title") == f"[1] {title}"
    assert rendered("title", status="resolved") == f"[resolved] {title}"
    assert rendered("text").splitlines() == [
        "r:6379 is down.",
        "Runbook: https://git.example.com/RedisDown.md",
        "Dashboard: https://grafana.example.com/d/x",
    ]
    assert (rendered("color"), rendered("color", status="resolved")) == ("danger", "good")
    assert rendered("runbook") == annotations["runbook_url"]
    assert rendered("dashboard") == annotations["dashboard_url"]
    silence = "https://alertmanager.example.com/#/silences/new?filter=%7Balertname%3D%22RedisDown%22%2Ctarget%3D%22cache%22%7D"
    assert rendered("silence") == silence
