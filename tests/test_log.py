"""Logging: what a line holds, what it never holds, and how often it comes."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from exporter import __version__
from exporter.log import carried, correlation, log, setup
from exporter.redaction import register_secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.loglines import Lines

CANARY = "c4n4ry-s3cr3t"


def test_a_line_is_one_json_object(start_logging: Callable[..., Lines]) -> None:
    """A line has time, severity, event, message, service and then its attributes, in this order."""
    lines = start_logging()
    log.warning("sampling.refused", "MONITOR is refused", target="cache", addr="h:1", seconds=0.25, ok=True, why=None)
    line = lines.one()

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("timestamp"))
    assert list(line.items()) == [
        ("severity", "WARNING"),
        ("event", "sampling.refused"),
        ("message", "MONITOR is refused"),
        ("service.name", "hotkey-exporter"),
        ("service.version", __version__),
        ("target", "cache"),
        ("addr", "h:1"),
        ("seconds", 0.25),
        ("ok", True),
        ("why", None),
    ]


def test_attributes_cannot_replace_or_break_the_line(start_logging: Callable[..., Lines]) -> None:
    """Names that are taken get an underscore; line breaks, NaN, bytes and objects become text."""

    class Odd:
        def __str__(self) -> str:
            return "odd\nly"

    lines = start_logging()
    attributes: dict[str, Any] = {"timestamp": 1, "service.name": 2, "odd": Odd(), "nan": float("nan"), "raw": b"\xff"}
    log.info("a.b", "x", **attributes, many=list(range(1000)), lone="\udc80")
    line = lines.one()

    assert (line["timestamp_"], line["service.name_"], line["service.name"]) == (1, 2, "hotkey-exporter")
    assert (line["odd"], line["nan"], line["raw"]) == ("odd\nly", "nan", r"b'\xff'")
    assert len(line["many"]) == 100
    assert line["lone"] == "\udc80"


def test_braces_are_no_template(start_logging: Callable[..., Lines]) -> None:
    """Key names hold braces, and neither a message nor an attribute is formatted with them."""
    lines = start_logging()
    log.info("a.b", "cart {user} {0} {", key="{user1000}.cart", user="x")

    assert lines.one()["message"] == "cart {user} {0} {"


def test_levels(start_logging: Callable[..., Lines]) -> None:
    """Only the configured level and what is more severe is written and counted."""
    lines = start_logging("warning")
    log.debug("a.b", "x")
    log.info("a.b", "x")
    log.warning("a.b", "x")
    log.error("a.b", "x")

    assert [line["severity"] for line in lines.all()] == ["WARNING", "ERROR"]
    assert lines.counted == ["warning", "error"]


def test_a_second_setup_replaces_the_first(start_logging: Callable[..., Lines]) -> None:
    """After a reload each event is still one line."""
    start_logging("error")
    lines = start_logging("info")
    log.info("a.b", "x")

    assert len(lines.all()) == 1


def failing(secret: str) -> None:
    """Fail with a local variable and a message that hold a secret."""
    local = secret
    raise ValueError(f"cannot use redis://:{local}@host")


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_failure_tells_type_and_text_but_no_variables(start_logging: Callable[..., Lines], form: str) -> None:
    """Without debug there is no traceback; with it there is one, and it holds no local variable."""
    for level in ("info", "debug"):
        lines = start_logging(level, form)
        try:
            failing(CANARY)
        except ValueError as error:
            log.failure("schedule.job_failed", "a job failed", error, job_name="enrich")
        text = lines.text()

        assert CANARY not in text
        assert "ValueError" in text
        assert "cannot use redis://***@host" in text
        assert ("Traceback" in text) == (level == "debug")
        assert ("in failing" in text) == (level == "debug")


def test_secrets_are_taken_out_of_everything(start_logging: Callable[..., Lines]) -> None:
    """A registered secret, or one that can be recognised, is in no part of any line."""
    register_secret(CANARY)
    lines = start_logging("debug")
    other = "0th3r-p4ss"
    log.info("a.b", f"message {CANARY}", plain=CANARY, inside=[CANARY, {"k": CANARY}], raw=CANARY.encode())
    log.info("a.b", "x", password=other, url=f"redis://:{other}@h", command=f'"AUTH" "{other}"', api_token=other)
    logging.getLogger("redis").warning("sent %s and %r", ["HELLO", "3", "AUTH", "u", other], CANARY)
    log.failure("a.b", "x", RuntimeError(CANARY))
    text = lines.text()

    assert len(text.splitlines()) == 4
    assert CANARY not in text
    assert other not in text


def test_nothing_is_printed_before_setup() -> None:
    """The handler of loguru itself, which prints local variables, is gone as soon as this module is imported."""
    program = "from exporter.log import log\ntry: 1/0\nexcept Exception as e: log.failure('a.b', 'x', e)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60)

    assert (done.stdout, done.stderr) == (b"", b"")


def test_libraries_take_the_same_way(start_logging: Callable[..., Lines]) -> None:
    """What goes through `logging` becomes a line with the logger's name; chatter of known libraries does not."""
    lines = start_logging("debug")
    logging.getLogger("something.else").info("%s of {x}", "value")
    logging.getLogger("apscheduler.executors.default").info("Running job")
    logging.getLogger("uvicorn.error").info("Started server process")
    logging.getLogger("apscheduler.scheduler").warning("missed")
    logging.getLogger("something.else").critical("%d", "not a number")
    found = [(line["severity"], line["event"], line["message"]) for line in lines.all()]

    assert found == [
        ("INFO", "library.something.else", "value of {x}"),
        ("WARNING", "library.apscheduler.scheduler", "missed"),
        ("ERROR", "library.something.else", "%d"),
    ]


def test_an_exception_of_a_library_is_logged(start_logging: Callable[..., Lines]) -> None:
    """`logging.exception` brings type and text."""
    lines = start_logging()
    try:
        failing(CANARY)
    except ValueError:
        logging.getLogger("apscheduler.executors.default").exception("Job raised")
    line = lines.one()

    assert (line["exception.type"], line["exception.message"]) == ("ValueError", "cannot use redis://***@host")


def test_warnings_become_lines(start_logging: Callable[..., Lines]) -> None:
    """Python's warnings do not write to standard error by themselves."""
    lines = start_logging()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("old thing", DeprecationWarning, stacklevel=1)
    line = lines.one()

    assert (line["event"], line["severity"]) == ("library.py.warnings", "WARNING")
    assert "old thing" in line["message"]


def test_a_thread_that_nobody_guards_is_heard(start_logging: Callable[..., Lines]) -> None:
    """An exception that ends a thread is a line and not a traceback."""
    lines = start_logging()
    thread = threading.Thread(target=failing, args=(CANARY,), name="lost")
    thread.start()
    thread.join()
    line = lines.one()

    assert (line["event"], line["thread"], line["exception.type"]) == ("thread.failed", "lost", "ValueError")


def test_logging_never_fails(start_logging: Callable[..., Lines], monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed standard error, a value without a text, a counter that raises: the caller notices nothing."""

    class Broken:
        def __str__(self) -> str:
            raise RuntimeError(CANARY)

    lines = start_logging()
    log.info("a.b", "x", broken=Broken())
    assert lines.text() == ""
    monkeypatch.setattr(sys, "stderr", None)
    log.info("a.b", "x")

    def raising(level: str) -> None:
        raise RuntimeError(level)

    undo = setup("info", "json", raising)
    log.info("a.b", "x")
    undo()


def test_a_line_logged_while_another_is_written_is_dropped(start_logging: Callable[..., Lines]) -> None:
    """A destructor that logs in the middle of a line neither hangs nor raises."""

    class Talkative:
        def __str__(self) -> str:
            log.info("inner.line", "x")
            return "outer"

    lines = start_logging()
    log.info("outer.line", "x", value=Talkative())

    assert lines.one()["event"] == "outer.line"


class TestConsole:
    """The readable form."""

    def test_a_line(self, start_logging: Callable[..., Lines]) -> None:
        """Time, level, sentence, attributes and the event; values with blanks in quotes."""
        lines = start_logging(form="console")
        log.warning("sampling.refused", "MONITOR is refused", target="cache", why="no permission", n=3)

        assert re.fullmatch(
            r"\d\d:\d\d:\d\d\.\d{3} WARNING MONITOR is refused target=cache why=\"no permission\" n=3"
            r"  \[sampling.refused\]\n",
            lines.text(),
        )

    def test_nothing_can_move_the_cursor(self, start_logging: Callable[..., Lines]) -> None:
        """Control characters are escaped: one event stays one line, and a key cannot colour the terminal."""
        lines = start_logging(form="console")
        log.warning("a.b", "x\n12:00:00 ERROR forged", key="\x1b[2J\r\u202e", empty="")
        text = lines.text()

        assert len(text.splitlines()) == 1
        assert r"x\n12:00:00 ERROR forged" in text
        assert text[:-1].isprintable()
        assert 'empty=""' in text

    def test_is_the_default_on_a_terminal_only(
        self, start_logging: Callable[..., Lines], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without a format, a terminal gets console lines with colours, a pipe gets JSON."""
        lines = start_logging(form=None)
        log.info("a.b", "x")
        assert lines.one()["event"] == "a.b"
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        monkeypatch.delenv("NO_COLOR", raising=False)
        lines = start_logging(form=None)
        log.info("a.b", "x")
        assert "\x1b[32mINFO" in lines.text()
        monkeypatch.setenv("NO_COLOR", "1")
        lines = start_logging(form=None)
        log.info("a.b", "x")
        assert "\x1b" not in lines.text()


class TestCorrelation:
    """One id on all lines of one unit of work."""

    def test_inside_and_outside(self, start_logging: Callable[..., Lines]) -> None:
        """Every line inside has the id, nested ones their own, and outside there is none."""
        lines = start_logging()
        log.info("a.b", "x")
        with correlation() as outer:
            log.info("a.b", "x")
            with correlation("given") as inner:
                log.info("a.b", "x")
            logging.getLogger("library").info("x")

        assert re.fullmatch("[0-9a-f]{32}", outer)
        assert inner == "given"
        assert [line.get("correlation_id") for line in lines.all()] == [None, outer, "given", outer]

    def test_is_carried_into_threads(self, start_logging: Callable[..., Lines]) -> None:
        """Every line of a run has the id of the run in whatever thread it is logged, also many at once."""
        lines = start_logging()
        barrier = threading.Barrier(4)

        def work(number: int) -> int:
            barrier.wait()
            log.info("a.b", "x", number=number)
            return number

        with ThreadPoolExecutor(4) as pool:
            with correlation() as first:
                one = [pool.submit(carried(work), 1), pool.submit(carried(work), 1)]
                work_in_first = carried(work)
            with correlation() as second:
                two = [pool.submit(carried(work), 2)]
            one.append(pool.submit(work_in_first, 1))
            assert [future.result(timeout=10) for future in (*one, *two)] == [1, 1, 1, 2]
        found = {(line["number"], line["correlation_id"]) for line in lines.all()}

        assert found == {(1, first), (2, second)}

    def test_ends_with_its_block(self) -> None:
        """A failure inside does not leave the id behind."""
        with pytest.raises(ZeroDivisionError), correlation():
            raise ZeroDivisionError
        seen: list[str] = []
        with correlation("a"):
            carried(lambda: seen.append("ran"))()
        assert seen == ["ran"]
