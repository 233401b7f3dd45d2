"""The dashboards keep the rules of Grafana's linter, and ours; promtool reads every query."""

from __future__ import annotations

import copy
import subprocess
from collections import Counter
from typing import TYPE_CHECKING

import pytest
import yaml

from dashboards.links import VARIABLES, Uid
from tests.dashboards.documents import DOCUMENTS, asked, panels
from tests.dashboards.lint import findings
from tests.servers import program

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_findings(name: str) -> None:
    """No rule has anything to say about the dashboard."""
    assert findings(name, DOCUMENTS[name], [one for one in asked() if one.dashboard == name]) == []


def test_uids_are_the_published_ones() -> None:
    """Each uid belongs to one dashboard, which has the variables that links to it set."""
    assert Counter(one["uid"] for one in DOCUMENTS.values()) == Counter(str(uid) for uid in Uid)
    for document in DOCUMENTS.values():
        names = {one["name"] for one in document["templating"]["list"]}
        assert set(VARIABLES[Uid(document["uid"])]) <= names
        assert names - set(VARIABLES[Uid(document["uid"])]) <= {"datasource", "hit_objective"}


def test_promtool_reads_every_query(tmp_path: Path) -> None:
    """Prometheus' own parser takes every expression of every panel, variable and annotation."""
    rules = [{"record": f"asked:{n}", "expr": one.filled()} for n, one in enumerate(asked())]
    path = tmp_path / "asked.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": rules}]}))
    command = [program("promtool", "prometheus"), "check", "rules", "--lint=none", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_panel_draws_without_bound() -> None:
    """A panel has at most nine queries, or the letters of its legend run out before the reader's patience."""
    over = [p["title"] for document in DOCUMENTS.values() for p in panels(document) if len(p["targets"]) > 15]
    assert over == []


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (lambda d: d["panels"][1].update(description=""), "panel-title-description-rule"),
        (lambda d: d["panels"][1]["fieldConfig"]["defaults"].update(unit="ops/s"), "panel-units-rule"),
        (lambda d: d["panels"][2]["gridPos"].update(x=0), "panels overlap"),
        (lambda d: d["panels"][2].update(id=d["panels"][1]["id"]), "an id twice"),
        (lambda d: d["templating"]["list"].pop(1), "template-job-rule"),
        (lambda d: d.update(editable=True), "uneditable-dashboard"),
        (lambda d: d["panels"][1].update(datasource={"uid": "mine"}), "panel-datasource-rule"),
    ],
)
def test_the_rules_see_what_they_are_for(change, finding: str) -> None:
    """A planted fault is found."""
    document = copy.deepcopy(DOCUMENTS["redis"])
    change(document)
    assert any(finding in text for text in findings("redis", document, []))
