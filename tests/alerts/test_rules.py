"""The alert rules: what is committed is what the tables make, promtool finds nothing, alerts fire when they must."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml

from alerts.families import FAMILIES
from alerts.writing import prometheus_rule, read_values, rule_files, runbooks
from tests.alerts.cases import CASES
from tests.alerts.cases.policy import POLICY
from tests.alerts.promtool import ALERTS, RULES, alert_of, committed, failing, key, write
from tests.servers import ROOT, program

if TYPE_CHECKING:
    from pathlib import Path

VALUES = read_values((ROOT / "alerts" / "values.yaml").read_text(encoding="utf-8"))
# Of Prometheus itself, and of prometheus_client's process collector.
FOREIGN = {"up", "scrape_duration_seconds", "process_start_time_seconds", "process_resident_memory_bytes"}
METRIC = re.compile(r"\b(?:redis|hotkey_exporter|process|scrape)_[a-z0-9_]+|\bup\b")


def test_what_is_committed_is_what_the_tables_make() -> None:
    """Rules, manifest and runbooks are those that `python -m alerts` writes, and there are no others."""
    expected = {RULES / name: text for name, text in rule_files(VALUES).items()}
    expected |= {ROOT / "docs" / "runbooks" / name: text for name, text in runbooks(VALUES).items()}
    expected[ROOT / "alerts" / "prometheusrule.yaml"] = prometheus_rule(VALUES)
    assert [path for path, text in expected.items() if path.read_text(encoding="utf-8") != text] == []
    assert {*RULES.iterdir(), *(ROOT / "docs" / "runbooks").iterdir()} <= {*expected}


def test_a_values_file_of_ones_own(tmp_path: Path) -> None:
    """Thresholds, waits and addresses are taken from it; what it lacks, or what nobody knows, is one line and exit 2."""
    text = (ROOT / "alerts" / "values.yaml").read_text(encoding="utf-8")
    mine = text.replace("waits: {}", "waits: {RedisDown: 30s}").replace("fork_seconds: 1", "fork_seconds: 3")
    mine = mine.replace("https://grafana.example.com", "https://grafana.local")
    done = _written(tmp_path, mine)
    assert done.returncode == 0, done.stderr
    down = yaml.safe_load((tmp_path / "rules" / "state.yaml").read_text())["groups"][0]["rules"][0]
    assert (down["alert"], down["for"]) == ("RedisDown", "30s")
    assert down["annotations"]["dashboard_url"].startswith("https://grafana.local/d/")
    assert "redis_latest_fork_seconds > 3" in (tmp_path / "rules" / "performance.yaml").read_text()
    for wrong, word in (
        (text.replace("waits: {}", "waits: {RedisDwn: 30s}"), "waits.RedisDwn"),
        (text.replace("fork_seconds", "frok_seconds"), "fork_seconds"),
        ("thresholds: [", "line 1"),
    ):
        done = _written(tmp_path, wrong)
        assert (done.returncode, word in done.stderr, "Traceback" in done.stderr) == (2, True, False), done.stderr


def _written(directory: Path, values: str) -> subprocess.CompletedProcess[str]:
    (directory / "mine.yaml").write_text(values, encoding="utf-8")
    command = [sys.executable, "-m", "alerts", "--values", directory / "mine.yaml", "--rules", directory / "rules"]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def test_promtool_finds_nothing() -> None:
    """`promtool check rules --lint=all` is content with every file."""
    command = [program("promtool", "prometheus"), "check", "rules", "--lint=all", "--lint-fatal"]
    done = subprocess.run([*command, *map(str, sorted(RULES.iterdir()))], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_its_cases_and_a_page() -> None:
    """Each fires, is silent just below, and is written down with severity and `for`; each has a runbook."""
    quiet = {key(alert_of(case)): case.quiet for case in CASES}
    assert {key(one) for one in ALERTS} == {*quiet} == {*POLICY}
    assert [name for name, sets in quiet.items() if not sets] == ["Watchdog"]
    assert {key(one): (one.severity, one.wait) for one in ALERTS} == POLICY
    assert [one.name for one in ALERTS if not (ROOT / "docs" / "runbooks" / f"{one.name}.md").is_file()] == []


def test_every_metric_exists() -> None:
    """Each metric of an expression is one that the exporter has, or Prometheus."""
    reference = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    known = FOREIGN | {*re.findall(r"[a-z_]+[a-z0-9_]+", reference)}
    records = {recording.record for family in FAMILIES for recording in family.recordings}
    unknown = set()
    for family in FAMILIES:
        for rule in (*family.recordings, *family.alerts):
            text = re.sub(r"\[[^]]*\]|\"[^\"]*\"|\{[^}]*\}", "", VALUES.fill(rule.expr))
            text = re.sub(r"\b(by|on|ignoring|without|group_left|group_right)\s*\([^)]*\)", "", text)
            for record in records:
                text = text.replace(record, "")
            for name in METRIC.findall(text):
                base = re.sub(r"_(bucket|count|sum)$", "", name)
                if not {name, base, name.removesuffix("_total"), f"{name}_total"} & known:
                    unknown.add((getattr(rule, "name", getattr(rule, "record", "")), name))
    assert unknown == set()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("small", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_each_fires_when_it_must_and_only_then(small: bool, tmp_path: Path) -> None:
    """By promtool's own clock: firing after `for`, pending a step before, silent just below the limit.

    The cases are sharp: 95 % of the rules with a threshold tenfold, a comparison turned, no `for` or another severity
    fail one of them; in the long form also those with a threshold a fifth lower.
    """
    rules = committed()
    written = [write(tmp_path, number, case, rules, small=small) for number, case in enumerate(CASES)]
    names, said = failing([one.test for one in written])
    assert names & {one.name for one in ALERTS} == set(), said[-8000:]
    found: dict[tuple[str, str], bool] = {}
    for case, one in zip(CASES, written, strict=True):
        for mutant in one.mutants:
            fault = (key(alert_of(case)), mutant.fault)
            found[fault] = found.get(fault, False) or mutant.name in names
    survivors = [fault for fault, killed in found.items() if not killed]
    print(f"{len(found)} mutants, {len(survivors)} survive: {survivors}")
    assert len(found) > 350
    assert len(survivors) <= 0.05 * len(found), survivors


def test_the_manifest_holds_the_same_rules() -> None:
    """The Prometheus operator's manifest has every group of the rule files."""
    manifest = yaml.safe_load((ROOT / "alerts" / "prometheusrule.yaml").read_text(encoding="utf-8"))
    groups = [group for path in sorted(RULES.iterdir()) for group in yaml.safe_load(path.read_text())["groups"]]
    assert sorted(group["name"] for group in manifest["spec"]["groups"]) == sorted(group["name"] for group in groups)
