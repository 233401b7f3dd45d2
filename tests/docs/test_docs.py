"""The docs are true: every link leads somewhere, every snippet can be used, and nothing that exists is missing."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import promql_parser
import pytest
import yaml

from exporter.cli import _parser
from exporter.completion import _commands
from exporter.config import Config, load
from exporter.errors import ConfigError
from exporter.views.page.filters import Filter
from tests.docs.blocks import PAGES, Block, blocks, dialogue, prose
from tests.servers import ROOT, program

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = ROOT / "docs"
COMMAND = "hotkey-exporter"
BLOCKS = [block for page in PAGES for block in blocks(page)]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    found: set[str] = set()
    for title in re.findall(r"^#+ +(.*?) *$", prose(page), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number, unique = 0, slug
        while unique in found:
            number += 1
            unique = f"{slug}-{number}"
        found.add(unique)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    """Files and anchors within the repository; what is outside of it is only looked at for its form."""
    broken = []
    for target in LINK.findall(prose(page)):
        if re.match(r"https?://[\w.-]+(/|$)", target):
            continue
        place, _, anchor = target.partition("#")
        file = (page.parent / unquote(place)).resolve() if place else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def test_every_page_is_linked() -> None:
    """From the README or from a page that is: nobody finds what nothing leads to."""
    reached, todo = set[Path](), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page in reached or page.suffix != ".md" or not page.exists():
            continue
        reached.add(page)
        todo += [(page.parent / target.partition("#")[0]).resolve() for target in LINK.findall(prose(page))
                 if "://" not in target and not target.startswith("#")]  # fmt: skip
    assert [str(page.relative_to(ROOT)) for page in PAGES if page not in reached] == []


def commands(block: Block) -> Iterator[list[str]]:
    """Our own command lines in a block, each as arguments."""
    text = block.text.replace("\\\n", " ")
    lines = [command for command, _ in dialogue(text)] or text.splitlines()
    for line in lines:
        if any(mark in line for mark in ("[", "…", "COMMAND", "\\|")):
            continue  # a synopsis
        for part in line.partition("  #")[0].split("|"):
            words = shlex.split(part.partition(">")[0], comments=True) if COMMAND in part else []
            while words and "=" in words[0]:
                words.pop(0)
            if words and words[0] in {COMMAND, f".venv/bin/{COMMAND}"}:
                yield words[1:]


def test_every_command_line_is_one() -> None:
    """Each line of ours, in blocks and in the text, is accepted by the program's own parser."""
    inline = [Block(page, "", "", text) for page in PAGES for text in re.findall(rf"`({COMMAND} [^`]+)`", prose(page))]
    found = [(block, words) for block in (*BLOCKS, *inline) for words in commands(block)]
    assert len(found) > 15
    for block, words in found:
        example = [{"N": "1", "I/N": "1/2"}.get(word, word) for word in words]
        try:
            _parser().parse_args(example)
        except SystemExit as refused:
            assert refused.code == 0, f"{block.page.name}: {words}"  # noqa: PT017 - with the place


def problems_of(path: Path) -> list[str]:
    """What our loader says of a file."""
    try:
        load(path, environ={})
    except ConfigError as error:
        return [str(problem) for problem in error.problems]
    return []


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.kind == "yaml"], ids=lambda block: block.page.stem)
def test_every_yaml_snippet_is_accepted(block: Block, tmp_path: Path) -> None:
    """Ours by our own loader, files of secrets aside; Prometheus' by promtool; the rest is at least YAML."""
    documents = [one for one in yaml.safe_load_all(block.text) if one]
    assert documents
    path = tmp_path / "snippet.yaml"
    path.write_text(re.sub(r"\$\{\w+\}", "value", block.text))
    keys = set(documents[0])
    if keys <= set(Config.model_fields):
        assert [problem for problem in problems_of(path) if "file" not in problem] == []
    elif "scrape_configs" in keys or "rule_files" in keys:
        check = [program("promtool", "prometheus"), "check", "config", "--syntax-only", str(path)]
        done = subprocess.run(check, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_the_other_snippets_are_what_they_say() -> None:
    """PromQL, JSON and Python are read by a parser of each."""
    readers = {"promql": promql_parser.parse, "json": json.loads, "python": ast.parse}
    for block in BLOCKS:
        if reader := readers.get(block.kind):
            reader(block.text)


def test_make_targets_modules_and_files_that_are_named_exist() -> None:
    """Such as `make bench`, `python -m benchmarks.parse`, `tests/test_packaging.py`."""
    makefile = (ROOT / "Makefile").read_text()
    for page in PAGES:
        text = page.read_text()
        code = "\n".join([*re.findall(r"`([^`\n]+)`", prose(page)), *(block.text for block in blocks(page))])
        for target in re.findall(r"^(?:\$ )?(?:REDIS_URL=\S+ )?make ([a-z]+)", code, re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{page.name}: make {target}"
        for name in re.findall(r"benchmarks\.([a-z_]+)", text):
            assert (ROOT / "benchmarks" / f"{name}.py").is_file(), f"{page.name}: benchmarks.{name}"
        for name in re.findall(r"`((?:tests|exporter|alerts|dashboards|deploy|benchmarks)/[\w./-]+)`", text):
            assert (ROOT / name).exists(), f"{page.name}: {name}"


def test_every_command_and_option_is_documented() -> None:
    """In docs/commands.md, each option in its command's row, and none that does not exist."""
    rows = dict(re.findall(r"^\| `(\w+)` \|(.*)$", (DOCS / "commands.md").read_text(), re.MULTILINE))
    known = {one.name: {option for option, _ in one.options} - {"-h", "--help"} for one in _commands(_parser())}
    assert {name: set(re.findall(r"--[a-z-]+", rows.get(name, ""))) for name in known} == known
    readme = (ROOT / "README.md").read_text()
    assert [name for name in known if f"{COMMAND} {name}" not in readme] == []


def test_every_exit_code_is_documented() -> None:
    """The contract's six, and that of Ctrl-C."""
    codes = re.findall(r"^\| (\d+) \| \w+", (DOCS / "commands.md").read_text(), re.MULTILINE)
    assert codes == ["0", "1", "2", "3", "4", "5", "130"]


def test_every_setting_and_family_that_is_named_exists() -> None:
    """Hand-written pages name nothing that the references, which are made from the code, do not have."""
    settings = set(re.findall(r"^\| `([\w.\[\]]+)`", (DOCS / "configuration.md").read_text(), re.MULTILINE))
    reference = (DOCS / "metrics.md").read_text()
    families = set(re.findall(r"`((?:redis|hotkey_exporter)_\w+)`", reference))
    sections = "|".join(Config.model_fields)
    for name in ("hot-keys", "migrating", "monitor-safety", "managed-services", "comparison", "quickstart"):
        text = (DOCS / f"{name}.md").read_text()
        for setting in re.findall(rf"`((?:{sections})(?:\[\])?\.[\w.\[\]]+)`", text):
            assert setting in settings or setting in {"log.level", "log.format"}, f"{name}: {setting}"
        for family in re.findall(r"\b((?:redis|hotkey_exporter)_\w+?)(?:_bucket|_count|_sum)?\b(?=[{`\[\s()])", text):
            assert family in families or family == "redis_exporter", f"{name}: {family}"


def test_every_flag_of_redis_exporter_has_a_row() -> None:
    """Who comes from there finds each of their flags: those that Debian's build prints."""
    binary = program("prometheus-redis-exporter", "prometheus-redis-exporter")
    done = subprocess.run([binary, "--help"], capture_output=True, text=True, check=False)
    flags = re.findall(r"^  -([\w.-]+)", done.stdout + done.stderr, re.MULTILINE)
    table = (DOCS / "migrating.md").read_text()
    assert len(flags) > 30
    assert [flag for flag in flags if f"`{flag}`" not in table] == []


def test_every_path_of_the_web_is_documented() -> None:
    """Every route stands in the README."""
    source = (ROOT / "exporter" / "web" / "server.py").read_text()
    paths = {path for path in re.findall(r'"(/[\w/.-]*)(?:\{\w+\})?"', source) if path not in {"/api/", "/health"}}
    readme = (ROOT / "README.md").read_text()
    assert [path for path in paths if path.rstrip("/") not in readme and not path.startswith("/assets")] == []


def test_every_parameter_of_the_page_is_documented() -> None:
    """All that its URL can say."""
    page = (DOCS / "page.md").read_text()
    assert [field.name for field in fields(Filter) if f"`{field.name}`" not in page] == []
