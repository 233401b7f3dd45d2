"""`docs/metrics.md` says what the tables say. UPDATE=1 rewrites it."""

from __future__ import annotations

import os
import re

from exporter.views import redis_families
from tests.servers import ROOT
from tests.views.reference import BOUNDS, family_names, metrics_md

PAGE = ROOT / "docs" / "metrics.md"


def test_written_from_the_tables() -> None:
    """The page is what the tables would write today."""
    written = metrics_md()
    if os.environ.get("UPDATE"):
        PAGE.write_text(written)
    assert PAGE.read_text() == written


def test_every_family_is_on_the_page_once() -> None:
    """No family is left out, and none stands there twice."""
    listed = re.findall(r"^\| `(\w+)` ", PAGE.read_text(), re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert family_names() <= set(listed)


def test_every_label_is_bounded() -> None:
    """Each label of a server's own families has a bound, stands beside one that has, or can only have one value."""
    single = {"redis_instance_info", "redis_exporter_build_info"}
    page = PAGE.read_text()
    for section in redis_families.SECTIONS:
        for row in section.rows:
            line = next((one for one in page.splitlines() if one.startswith(f"| `{row.family.name}` ")), "")
            labels = set(re.findall(r"`(\w+)`", line.split(" | ")[2])) if line.count(" | ") == 4 else set()
            assert not labels or row.family.name in single or labels & ({"db"} | BOUNDS.keys()), line
