"""The command line: arguments in, exit codes out. The only place that prints.

Exit codes: 0 ok, 1 failed, 2 bad usage or configuration, 3 partial, 4 aborted by a guard, 5 not leader. argparse and
not a richer library, because `serve` runs for months and should hold no more in memory than it needs.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
import traceback
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from exporter import __version__
from exporter.arguments import shard, whole
from exporter.errors import CommandFailed, ConfigError, ExporterError, Problem
from exporter.redaction import redacted

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from exporter.config import Config
    from exporter.top.sources import Source

    _Commands = argparse._SubParsersAction["_Parser"]

PROGRAM = "hotkey-exporter"
INTERRUPTED = 130
"""What shells say of a program that Ctrl-C has ended."""


class Exit(IntEnum):
    """What the exit code means."""

    OK = 0
    FAILED = 1
    USAGE = 2
    PARTIAL = 3


class _Parser(argparse.ArgumentParser):
    """argparse, with one line instead of the whole usage for a mistake."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message} (try --help)", file=sys.stderr)
        raise SystemExit(Exit.USAGE)


def run() -> int:
    """Run the program; returns its exit code. Ctrl-C ends it without a traceback, whenever it comes."""
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # No plugin of pydantic's that happens to be installed has a say here, and looking for them would take time.
        os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
        _open_standard_streams()
        _no_core_dumps()
        code = main(sys.argv[1:])
    except KeyboardInterrupt:
        code = INTERRUPTED
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return code


def _open_standard_streams() -> None:
    """A stream that was closed at the start (`>&-`) becomes /dev/null; else a socket would get its number."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, mode))


def _no_core_dumps() -> None:
    """A crash leaves no image of the memory behind, which holds passwords; `prlimit` can allow it while it runs."""
    with suppress(ImportError, OSError, ValueError):
        import resource  # noqa: PLC0415 - not everywhere

        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit code. Errors are one line each on standard error, no traceback."""
    options = _parser().parse_args(arguments)
    try:
        code = int(options.command(options))
        sys.stdout.flush()
        return code
    except ConfigError as error:
        return _failed(options, Exit.USAGE, *map(str, error.problems))
    except ExporterError as error:
        return _failed(options, Exit.FAILED, str(error))
    except BrokenPipeError:
        # The reader of a pipe has seen enough.
        _discard_output()
        return Exit.OK
    except OSError as error:
        _discard_output()
        return _failed(options, Exit.FAILED, error.strerror or type(error).__name__)
    except KeyboardInterrupt:
        return INTERRUPTED


def _failed(options: argparse.Namespace, code: Exit, *lines: str) -> Exit:
    if options.debug:
        print(redacted(traceback.format_exc(), 65536), end="", file=sys.stderr)
    for line in lines:
        print(f"{PROGRAM}: {line}", file=sys.stderr)
    return code


def _discard_output() -> None:
    """Standard output cannot be written: what is buffered must not be tried again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog=PROGRAM, description="Names the hot keys of Redis and Valkey, with an error bar.")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    parser.add_argument("--debug", action="store_true", help="show tracebacks and log at debug level")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    every = (*_running(commands), *_looking(commands), *_without_configuration(commands))
    for command in every:
        command.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parser


def _running(commands: _Commands) -> tuple[argparse.ArgumentParser, ...]:
    """The commands that do something to servers: watch them, or fill them."""
    serve = commands.add_parser("serve", help="run the exporter", description="Run the exporter until SIGTERM.")
    _configured(serve)
    serve.add_argument("--redis-url", metavar="URL", help="watch this server (better: the variable REDIS_URL)")
    serve.add_argument("--listen", metavar="HOST:PORT", help="serve pages and metrics here")
    serve.set_defaults(command=_serve)

    demo = commands.add_parser("demo", help="run the exporter on an embedded server with a shop's traffic")
    demo.add_argument("--listen", metavar="HOST:PORT", default="127.0.0.1:9468", help="default: %(default)s")
    demo.add_argument(
        "--ops", metavar="N", type=whole(1, 1_000_000), default=1500, help="commands a second, default %(default)s"
    )
    demo.set_defaults(command=_demo)

    warm = commands.add_parser(
        "warm", help="run warming jobs once", description="Run all warming jobs, or those named."
    )
    warm.add_argument("jobs", metavar="JOB", nargs="*", help="names of jobs; without one, all of them")
    _configured(warm)
    warm.add_argument("--redis-url", metavar="URL", help="warm this server (better: the variable REDIS_URL)")
    warm.add_argument("--dry-run", action="store_true", help="read the source, count, and write nothing")
    warm.add_argument("--limit", metavar="N", type=whole(1), help="warm at most N keys")
    warm.add_argument("--shard", metavar="I/N", type=shard, default=(1, 1), help="the I-th of N parts, by hash slot")
    warm.add_argument("--json", action="store_true", help="end with one line of JSON")
    warm.set_defaults(command=_warm)
    return serve, demo, warm


def _looking(commands: _Commands) -> tuple[argparse.ArgumentParser, ...]:
    """The commands that show something and end."""
    analyze = commands.add_parser("analyze", help="hot keys of a saved MONITOR stream (redis-cli monitor > FILE)")
    analyze.add_argument("file", metavar="FILE", help="a file, or - for standard input")
    analyze.add_argument("--top", metavar="N", type=whole(0), default=20, help="how many keys, 0 for all (default 20)")
    analyze.add_argument("--json", action="store_true", help="one JSON object")
    analyze.set_defaults(command=_analyze)

    check = commands.add_parser("check", help="say what would be collected, and what it would cost at worst")
    _configured(check)
    check.add_argument("--redis-url", metavar="URL", help="look at this server (better: the variable REDIS_URL)")
    check.add_argument("--json", action="store_true", help="one JSON object")
    check.set_defaults(command=_check)

    top = commands.add_parser("top", help="live table of hot keys, of a server or of a running exporter")
    _configured(top)
    where = top.add_mutually_exclusive_group()
    where.add_argument("--redis-url", metavar="URL", help="watch this server (better: the variable REDIS_URL)")
    where.add_argument("--exporter", metavar="URL", help="ask a running exporter, http://host:9468")
    top.add_argument("--target", metavar="NAME", help="which target of the configuration")
    top.add_argument("--once", action="store_true", help="print the figures of now and end")
    top.add_argument("--json", action="store_true", help="one JSON object, as /api/v1/hotkeys; implies --once")
    top.add_argument("--limit", metavar="N", type=whole(1, 100), default=20, help="how many keys (default %(default)s)")
    top.set_defaults(command=_top)
    return analyze, check, top


def _without_configuration(commands: _Commands) -> tuple[argparse.ArgumentParser, ...]:
    """The commands that concern the installed program only."""
    assets = commands.add_parser("assets", help="dashboards, rules and examples that come with the program")
    assets.add_argument("action", choices=("list", "export"), help="list them, or write them into DIRECTORY")
    assets.add_argument("directory", metavar="DIRECTORY", type=Path, nargs="?", help="where to, with export")
    assets.add_argument("--force", action="store_true", help="write over files that have other content")
    assets.set_defaults(command=_assets)

    completion = commands.add_parser("completion", help="completion for a shell, as a script to evaluate")
    completion.add_argument("shell", choices=("bash", "zsh", "fish"), help="which shell")
    completion.set_defaults(command=_completion)
    return assets, completion


def _configured(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", metavar="FILE", type=Path, help="a YAML file; without it nothing is read")


def _load(options: argparse.Namespace) -> Config:
    from exporter.config import load  # noqa: PLC0415 - `analyze` needs no configuration

    config = load(
        options.config,
        redis_url=getattr(options, "redis_url", None),
        listen=getattr(options, "listen", None),
        environ=os.environ,
    )
    if not options.debug:
        return config
    return config.model_copy(update={"log": config.log.model_copy(update={"level": "debug"})})


def _serve(options: argparse.Namespace) -> int:
    _leave_at_once()
    return _run(options, _load(options), None)


def _run(options: argparse.Namespace, config: Config, sock: socket.socket | None) -> int:
    from exporter import tracing  # noqa: PLC0415 - each command imports what it needs, and no more

    with tracing.hidden():
        from exporter.app import App  # noqa: PLC0415
    from exporter.log import setup  # noqa: PLC0415
    from exporter.meters import Meters  # noqa: PLC0415

    _leave_in_order()
    meters = Meters(__version__)
    setup(config.log.level, config.log.format, meters.log_event)
    App(lambda: _load(options), config, meters).run(sock)
    return Exit.OK


def _demo(options: argparse.Namespace) -> int:
    _leave_at_once()
    from exporter import tracing  # noqa: PLC0415
    from exporter.demo import WHAT_TO_TRY, demo_start  # noqa: PLC0415

    options.config, options.redis_url = None, "redis://localhost"
    with demo_start(options.ops) as server:  # it starts in a process of its own, while the program is loaded
        with tracing.hidden():
            from exporter.app import listening_socket  # noqa: PLC0415
        config = _load(options)
        _leave_in_order()
        with listening_socket(config) as sock:
            url = server()
            print(WHAT_TO_TRY.format(listen=options.listen, url=url, ops=options.ops), flush=True)
            options.redis_url = url
            return _run(options, _load(options), sock)


def _leave_at_once() -> None:
    """While modules are still being loaded nothing is there to be ended, and an exception would land inside them.

    What is loaded stays: searching it for garbage again and again would take a tenth of the start.
    """
    gc.disable()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(Exit.OK))


def _leave_in_order() -> None:
    """Until the web server takes over, a signal unwinds what was started."""
    gc.enable()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(Exit.OK))


def _analyze(options: argparse.Namespace) -> int:
    try:
        stream = sys.stdin.buffer if options.file == "-" else Path(options.file).open("rb")  # noqa: SIM115 - below
    except OSError as error:
        hint = "; save one with: redis-cli monitor > FILE" if isinstance(error, FileNotFoundError) else ""
        raise ConfigError(Problem(options.file, (error.strerror or "cannot be read") + hint)) from None
    from exporter import analyze  # noqa: PLC0415

    with stream:
        size = os.fstat(stream.fileno()).st_size
        progress = (lambda done: _show_progress(done, size)) if sys.stderr.isatty() else None
        try:
            report = analyze.analyze(stream, options.top, progress)
        except OSError as error:
            raise CommandFailed(f"{options.file}: {error.strerror or 'cannot be read'}") from None
    if report.skipped and not report.commands:
        raise CommandFailed(
            f"{options.file}: not one of its lines is MONITOR's; save some with: redis-cli monitor > FILE"
        )
    print(analyze.to_json(report) if options.json else analyze.to_text(report))
    if report.skipped and options.json:
        places = ", ".join(map(str, report.skipped_lines))
        print(f"{PROGRAM}: {options.file}: {report.skipped} skipped, not MONITOR's; line {places} …", file=sys.stderr)
    return Exit.OK


def _show_progress(done: int | None, size: int) -> None:
    """One line on a terminal's standard error that is written over, and cleared at the end (None)."""
    share = f" of {size / 1e6:,.0f} MB, {min(1.0, (done or 0) / size):.0%}" if size else " MB"
    text = "\r\x1b[K" if done is None else f"\r{done / 1e6:,.0f}{share}"
    print(text, end="", file=sys.stderr, flush=True)


def _top(options: argparse.Namespace) -> int:
    from exporter import top  # noqa: PLC0415

    _leave_in_order()
    source = _source(options)
    try:
        if options.once or options.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
            text, problem = top.once(source, options.limit, as_json=options.json)
            print(text)
            return _failed(options, Exit.FAILED, problem) if problem else Exit.OK
        top.watch(source, options.limit)
        return Exit.OK
    finally:
        source.close()


def _source(options: argparse.Namespace) -> Source:
    """A running exporter where one is named, else a server of our own; nothing is logged over the table."""
    from exporter.log import setup  # noqa: PLC0415
    from exporter.meters import Meters  # noqa: PLC0415
    from exporter.top.sources import FromExporter, FromServer  # noqa: PLC0415

    if options.exporter:
        for name, value in (("--config", options.config), ("--target", options.target)):
            if value:
                raise ConfigError(Problem(name, "does not go with --exporter"))
        return FromExporter(options.exporter)
    config = _load(options)
    if options.target:
        chosen = tuple(target for target in config.targets if target.name == options.target)
        if not chosen:
            raise ConfigError(Problem("--target", f"there is no target {options.target!r}"))
        config = config.model_copy(update={"targets": chosen})
    meters = Meters(__version__)
    setup("debug" if options.debug else "critical", None, meters.log_event)
    return FromServer(config, meters)


def _check(options: argparse.Namespace) -> int:
    from exporter import check  # noqa: PLC0415

    report = check.check(_load(options))
    print(check.to_json(report) if options.json else check.to_text(report))
    if report.reachable and report.complete:
        return Exit.OK
    if any(node.up for node in report.nodes):
        return Exit.PARTIAL
    return Exit.USAGE if report.misconfigured else Exit.FAILED


def _warm(options: argparse.Namespace) -> int:
    config = _load(options)
    from exporter import warm  # noqa: PLC0415
    from exporter.log import setup  # noqa: PLC0415

    setup("debug" if options.debug else "critical", None, lambda _: None)  # how it ended is what the command prints
    reports = warm.warm(config, warm.Options(tuple(options.jobs), options.dry_run, options.limit, options.shard))
    print(warm.to_json(reports) if options.json else warm.to_text(reports))
    return warm.exit_code(reports)


def _assets(options: argparse.Namespace) -> int:
    from exporter import assets  # noqa: PLC0415

    if (options.action == "export") != (options.directory is not None):
        raise ConfigError(Problem("assets", "usage: assets list, or assets export DIRECTORY"))
    if options.action == "list":
        print("\n".join(assets.shipped()))
        return Exit.OK
    written = assets.export(options.directory, force=options.force)
    print(f"{len(written)} files in {options.directory}, see docs/dashboards.md and alerts/ for what to do with them")
    return Exit.OK


def _completion(options: argparse.Namespace) -> int:
    from exporter.completion import script  # noqa: PLC0415

    print(script(_parser(), options.shell), end="")
    return Exit.OK
