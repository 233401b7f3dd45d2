"""Real databases for tests: clusters of their own in temporary directories, run by a user who is not root.

In: a kind of database. Out: a `Database` that answers on a URL, and ends without a trace.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from tests.servers import SYSTEM_PATH, free_port, missing, program

if TYPE_CHECKING:
    from collections.abc import Sequence

PASSWORD = "s3cr3t-of-the-database"
USER = "warmer"


class Database:
    """A running database with one schema `shop`, and a user whose password is in `url`."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.port = free_port()
        self.directory = Path(tempfile.mkdtemp(prefix="hotkey-db-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._as_other = _other_user(self.directory) if kind != "sqlite" else ()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """As a warming job writes it."""
        if self.kind == "sqlite":
            return f"sqlite:///{self.directory}/shop.db"
        return f"{self.kind}://{USER}:{PASSWORD}@127.0.0.1:{self.port}/shop"

    @property
    def pid(self) -> int:
        """The process id of the server."""
        assert self._process is not None
        return self._process.pid

    def engine(self) -> sa.Engine:
        """Access with all rights, for the test itself."""
        drivers = {"postgresql": "postgresql+psycopg", "mariadb": "mariadb+pymysql", "sqlite": "sqlite"}
        return sa.create_engine(self.url.replace(self.kind, drivers[self.kind], 1), poolclass=NullPool)

    def execute(self, *statements: str) -> None:
        """Run statements, each in its own transaction."""
        engine = self.engine()
        for statement in statements:
            with engine.begin() as connection:
                connection.exec_driver_sql(statement)
        engine.dispose()

    def sessions(self, count: int) -> None:
        """Make the table `sessions` with so many rows, newest last."""
        self.execute(
            "create table sessions (id integer primary key, user_name varchar(40), token varchar(600), seen integer)"
        )
        engine = self.engine()
        table = sa.table("sessions", *map(sa.column, ("id", "user_name", "token", "seen")))
        with engine.begin() as connection:
            for start in range(0, count, 10_000):
                rows = range(start, min(count, start + 10_000))
                connection.execute(
                    table.insert(), [{"id": n, "user_name": f"user-{n}", "token": "t" * 500, "seen": n} for n in rows]
                )
        engine.dispose()

    def start(self) -> Self:
        """Make the cluster and start it."""
        starts = {"postgresql": self._postgresql, "mariadb": self._mariadb}
        if self.kind in starts:
            starts[self.kind]()
        return self

    def stop(self) -> None:
        """End it and remove its directory."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        shutil.rmtree(self.directory, ignore_errors=True)

    def _postgresql(self) -> None:
        binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
        if not binaries:
            missing("postgres (Debian package postgresql)")
        folder, data = binaries[-1].parent, self.directory / "data"
        password = self.directory / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        self._run(folder / "initdb", "-D", data, "-U", USER, "--pwfile", password, "-A", "scram-sha-256", "-N")
        settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "shared_buffers=32MB"]
        command = [
            folder / "postgres",
            "-D",
            data,
            "-p",
            str(self.port),
            *(part for one in settings for part in ("-c", one)),
        ]
        self._launch(command, f"postgresql+psycopg://{USER}:{PASSWORD}@127.0.0.1:{self.port}/postgres")
        engine = sa.create_engine(
            f"postgresql+psycopg://{USER}:{PASSWORD}@127.0.0.1:{self.port}/postgres", isolation_level="AUTOCOMMIT"
        )
        with engine.connect() as connection:
            connection.exec_driver_sql("create database shop")
        engine.dispose()

    def _mariadb(self) -> None:
        server, data = program("mariadbd", "mariadb-server-core"), self.directory / "data"
        install = program("mariadb-install-db", "mariadb-server-core")
        self._run(
            install, "--no-defaults", f"--datadir={data}", "--skip-test-db", "--auth-root-authentication-method=normal"
        )
        setup = self.directory / "setup.sql"
        setup.write_text(
            f"create database shop;\ncreate user {USER}@'127.0.0.1' identified by '{PASSWORD}';\n"
            f"grant all on shop.* to {USER}@'127.0.0.1';\n"
        )
        setup.chmod(0o644)
        command = [
            server, "--no-defaults", f"--datadir={data}", f"--port={self.port}", "--bind-address=127.0.0.1",
            f"--socket={self.directory}/socket", f"--init-file={setup}", "--innodb-flush-log-at-trx-commit=0",
            "--skip-name-resolve", f"--pid-file={self.directory}/pid", "--innodb-buffer-pool-size=32M",
        ]  # fmt: skip
        self._launch(command, f"mariadb+pymysql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/shop")

    def _run(self, *command: object) -> None:
        done = subprocess.run(
            [*self._as_other, *map(str, command)], cwd=self.directory, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()

    def _launch(self, command: Sequence[object], url: str) -> None:
        log = (self.directory / "server.log").open("wb")
        self._process = subprocess.Popen(
            [*self._as_other, *map(str, command)], cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        log.close()
        engine, deadline = sa.create_engine(url, poolclass=NullPool), time.monotonic() + 30
        while True:
            assert self._process.poll() is None, (self.directory / "server.log").read_text(errors="replace")
            try:
                with engine.connect():
                    break
            except SQLAlchemyError:
                assert time.monotonic() < deadline, (self.directory / "server.log").read_text(errors="replace")
                time.sleep(0.05)
        engine.dispose()


def _other_user(directory: Path) -> tuple[str, ...]:
    """A command prefix: databases refuse to be run by root. The kernel ends them when we are killed."""
    setpriv = shutil.which("setpriv", path=SYSTEM_PATH)
    if os.geteuid() != 0:
        return (setpriv, "--pdeathsig", "KILL") if setpriv else ()
    if setpriv is None:
        missing("setpriv (Debian package util-linux)")
    account = next(pwd.getpwnam(name) for name in ("postgres", "nobody") if _exists(name))
    os.chown(directory, account.pw_uid, account.pw_gid)
    user, group = str(account.pw_uid), str(account.pw_gid)
    return (str(setpriv), "--reuid", user, "--regid", group, "--clear-groups", "--pdeathsig", "KILL")


def _exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
