"""The warming section: templates, queries and times are read, and what cannot work is refused with its place."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from exporter.config import load
from exporter.config.queries import Query
from exporter.config.templates import Template
from exporter.config.times import read_cron
from exporter.errors import ConfigError
from exporter.redaction import forget_secrets

if TYPE_CHECKING:
    from pathlib import Path

JOB = """
warming:
  jobs:
    - name: sessions
      every: 5m
      source: {{type: sql, url: "{url}", query: "{query}"}}
      key: "session:{{id}}"
"""


@pytest.mark.parametrize(
    ("text", "values", "key"),
    [
        ("session:{id}", {"id": 7}, "session:7"),
        ("{a}:{b}", {"a": "x", "b": "y"}, "x:y"),
        ("cart:{{{id}}}:items", {"id": "7"}, "cart:{7}:items"),
        ("{id}:{id}", {"id": "q"}, "q:q"),
    ],
)
def test_template_writes_and_reads_back(text: str, values: dict[str, object], key: str) -> None:
    """A key written with a template gives its fields back; another key gives None."""
    template = Template.parse(text)

    assert template.render(values) == key
    assert template.match(key) == {name: str(value) for name, value in values.items()}
    assert template.match("other") is None


@pytest.mark.parametrize("text", ["", "{", "}", "{}", "{0}", "{a.b}", "{a!r}", "{a:>3}", "{a[0]}", None, 3])
def test_template_refuses(text: object) -> None:
    """What is not a plain name in braces is refused, without repeating it."""
    with pytest.raises(ValueError, match="must be a text with fields in braces"):
        Template.parse(text)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("select id, name from u", ("id", "name")),
        ("SELECT u.id AS key, lower(u.mail) mail FROM u -- from, x\n;", ("key", "mail")),
        ("select distinct \"Id\", 'a,b' as c from u", ("Id", "c")),
        ("with r as (select a, b from t) select r.a from r", ("a",)),
        ("select (select max(x) from y) as top, coalesce(a, 'x') b from t order by 1", ("top", "b")),
        ("select * from u", None),
        ("select u.* from u", None),
        ("select count(*) from u", None),
        ("select price::numeric from u", None),
        ("select a + b from u", None),
        ("select case when a then b end from u", None),
    ],
)
def test_query_columns(text: str, columns: tuple[str, ...] | None) -> None:
    """The columns of a SELECT are known where it names them all, and unknown where only the database knows."""
    assert Query.parse(text).columns == columns


@pytest.mark.parametrize(
    "text",
    ["", ";", "delete from u", "select 1; drop table u", "select a into b from c", "with x as (select 1) delete x"],
)
def test_query_refuses(text: str) -> None:
    """Only one SELECT is taken."""
    with pytest.raises(ValueError, match="must be one SELECT"):
        Query.parse(text)


def test_query_limits_and_parameters() -> None:
    """A limit inside a subquery is not the query's own; `::` is a cast and `:x` in a text is text."""
    query = Query.parse("select a::int as a, ':no' b from (select a from t limit 5) s where c > :offset")

    assert not query.limited
    assert query.parameters == {"offset"}
    assert Query.parse("select a from t limit :limit").limited


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("30 4 * * *", "2026-01-02 04:30"),
        ("0 0 * * 0", "2026-01-04 00:00"),  # a Sunday
        ("0 0 * * 7", "2026-01-04 00:00"),
        ("0 12 * * 1-5", "2026-01-02 12:00"),
        ("0 0 13 * 5", "2026-01-02 00:00"),  # the 13th or a Friday, as crontab has it
        ("@daily", "2026-01-02 00:00"),
    ],
)
def test_cron_means_what_crontab_means(line: str, expected: str) -> None:
    """Weekdays count from Sunday, and day and weekday together mean either."""
    after = datetime(2026, 1, 1, 12, 1, tzinfo=UTC)

    assert f"{read_cron(line).get_next_fire_time(None, after):%Y-%m-%d %H:%M}" == expected


@pytest.mark.parametrize("line", ["", "* * * *", "61 * * * *", "a b c d e", "0 0 30 2 *", "0 0 * * 5-1", "0 0 * * 8"])
def test_cron_refuses_nonsense(line: str) -> None:
    """Nonsense, and times that never come, are refused."""
    with pytest.raises(ValueError, match=r"crontab|never comes"):
        read_cron(line)


def test_the_job_of_the_documentation(tmp_path: Path) -> None:
    """The job as the README writes it is taken, with careful defaults, and its settings can come from variables."""
    path = tmp_path / "c.yaml"
    path.write_text(JOB.format(url="postgresql://u:secret-word@h/db", query="select id, data from sessions"))

    job = load(path, environ={"HOTKEY_EXPORTER_WARMING__JOBS__SESSIONS__EVERY": "2m"}).warming.jobs[0]

    assert (job.every, job.ttl, job.policy, job.on_start) == (120.0, 3600.0, "nx", True)
    assert job.key is not None
    assert job.key.fields == ("id",)
    assert "secret-word" not in repr(job)
    forget_secrets()


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:top-secret@/db", "postgresql://u:top-secret@h:x/db", "mysql+what://u:top-secret@h", "top-secret"],
)
def test_no_url_is_repeated(tmp_path: Path, url: str) -> None:
    """A URL that cannot be used is told by its place and never shown."""
    path = tmp_path / "c.yaml"
    path.write_text(JOB.format(url=url, query="select id from s"))

    with pytest.raises(ConfigError) as refused:
        load(path, environ={})

    assert [problem.path for problem in refused.value.problems] == ["warming.jobs[0].source.url"]
    assert "top-secret" not in str(refused.value)
    forget_secrets()


def test_csv_header_is_known(tmp_path: Path) -> None:
    """A template's field that a CSV file's header lacks is refused before anything runs."""
    (tmp_path / "s.csv").write_text("id,name\n1,x\n")
    path = tmp_path / "c.yaml"
    path.write_text(
        f'warming: {{jobs: [{{name: s, source: {{type: file, path: "{tmp_path}/s.csv"}}, key: "s:{{uid}}"}}]}}\n'
    )

    with pytest.raises(ConfigError, match=r"warming.jobs\[0\].key: the field uid is not among the columns of the file"):
        load(path, environ={})
