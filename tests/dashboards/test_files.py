"""What is committed is what `python -m dashboards` writes, and Grafana and Kubernetes can read it."""

from __future__ import annotations

import copy
import json
import warnings
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from dashboards.boards.hotkeys import BOARD
from dashboards.files import committed
from dashboards.grid import place
from tests.dashboards.documents import DOCUMENTS
from tests.servers import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = ROOT / "dashboards"


def test_what_is_committed_is_what_the_builder_makes() -> None:
    """Every generated file is as it would be written anew, and there are no others."""
    expected = committed(ROOT)
    assert [path for path, text in expected.items() if path.read_text(encoding="utf-8") != text] == []
    there = {path for path in HERE.rglob("*") if path.suffix in {".json", ".yaml"}}
    assert there == {*expected, HERE / "kustomization.yaml"}


def test_each_dashboard_has_a_config_map() -> None:
    """Grafana's sidecar finds every dashboard, whole; none is too large for `kubectl apply`."""
    maps = [one for one in yaml.safe_load_all((HERE / "configmap.yaml").read_text(encoding="utf-8")) if one]
    held = {}
    for one in maps:
        assert (one["kind"], one["metadata"]["labels"]["grafana_dashboard"]) == ("ConfigMap", "1")
        [text] = one["data"].values()
        assert len(text.encode()) < 240_000
        held[one["metadata"]["name"]] = json.loads(text)
    assert held == {one["uid"]: one for one in DOCUMENTS.values()}


def test_provisioning_has_what_grafana_asks_for() -> None:
    """Providers and data sources carry the fields that Grafana's documentation names, and no fixed address."""
    provider = yaml.safe_load((HERE / "provisioning" / "dashboards" / "hotkey-exporter.yaml").read_text())
    assert provider["apiVersion"] == 1
    [one] = provider["providers"]
    assert (one["type"], one["allowUiUpdates"], one["options"]["path"][0]) == ("file", False, "/")
    sources = yaml.safe_load((HERE / "provisioning" / "datasources" / "hotkey-exporter.yaml").read_text())
    kinds = {one["type"]: one for one in sources["datasources"]}
    assert set(kinds) == {"prometheus", "alertmanager"}
    assert kinds["prometheus"]["jsonData"]["alertmanagerUid"] == kinds["alertmanager"]["uid"]
    assert all(one["url"].startswith("$") for one in kinds.values())


def test_a_hole_in_the_layout_is_an_error() -> None:
    """Panels that do not fill the width are refused when the dashboard is built."""
    with pytest.raises(ValueError, match="a hole beside"):
        place(BOARD.panels[:1], 0)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_grafanas_own_types_know_every_field(name: str) -> None:
    """Read into the types of Grafana's SDK and written again, nothing is lost: no key is misspelt or out of place."""
    assert _unknown(DOCUMENTS[name]) == []


def test_a_misspelt_field_is_found_at_any_depth() -> None:
    """The check above sees a wrong key in a dashboard, a panel, its options, its fields and its queries."""
    document = copy.deepcopy(DOCUMENTS["redis"])
    panel = next(one for one in document["panels"] if one["type"] == "timeseries")
    for place_of in (document, panel, panel["options"]["legend"], panel["fieldConfig"]["defaults"]["custom"]):
        place_of["mispelt"] = 1
    panel["targets"][0]["mispelt"] = 1
    assert len(_unknown(document)) == 5


def _unknown(document: dict[str, Any]) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the SDK would rather have dashboards of version 2
        from grafana_foundation_sdk.cog.encoder import JSONEncoder
        from grafana_foundation_sdk.cog.plugins import register_default_plugins
        from grafana_foundation_sdk.models.dashboard import Dashboard
    register_default_plugins()  # or options, fields and queries would be taken as they are
    known = json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(document)))
    return sorted(_lost(document, known, ""))


def _lost(mine: Any, theirs: Any, path: str) -> Iterator[str]:
    """Paths of what is in mine and not in theirs; the Prometheus part of an annotation is not in their model."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        for key, value in mine.items():
            if ".annotations." in path and key in {"step", "tagKeys", "textFormat", "titleFormat", "useValueForTime"}:
                continue
            if key not in theirs and value not in (None, [], {}):
                yield f"{path}.{key}"
            elif key in theirs:
                yield from _lost(value, theirs[key], f"{path}.{key}")
    elif isinstance(mine, list) and isinstance(theirs, list):
        for n, (one, other) in enumerate(zip(mine, theirs, strict=True)):
            yield from _lost(one, other, f"{path}.{n}")
