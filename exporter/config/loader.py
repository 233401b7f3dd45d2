"""Loading: a file, the environment and the arguments in, a Config or one ConfigError out.

Everything is read once, in this order of force: defaults, file, REDIS_URL, HOTKEY_EXPORTER_SECTION__FIELD,
arguments. All problems are found in one go and raised as one ConfigError; no message repeats a configured value.
"""

from __future__ import annotations

import re
from functools import cache
from secrets import token_bytes
from typing import TYPE_CHECKING

from exporter.config import webfile
from exporter.config.checks import checked, shape_of
from exporter.config.document import Document, parse
from exporter.config.files import read_secret, read_text
from exporter.config.overlay import Overlay
from exporter.config.settings import Config
from exporter.errors import ConfigError, Problem
from exporter.redaction import register_secret

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from exporter.config.settings import Keys, Target

MAX_FILE_BYTES = 1024 * 1024
DEFAULT_TARGET = {"name": "redis", "url": "redis://localhost:6379"}


def load(
    path: Path | None, *, redis_url: str | None = None, listen: str | None = None, environ: Mapping[str, str]
) -> Config:
    """Read and check everything. `redis_url` and `listen` are arguments of the command line and win.

    Raises ConfigError with all problems.
    """
    document = _document(path, environ)
    settings = document.value if isinstance(document.value, dict) else {}
    origins = {place: f"line {line}" for place, line in document.lines.items()}
    overlay = Overlay(settings, shape_of(Config), origins, document.problems)
    overlay.check_keys()
    overlay.environment(environ)
    overlay.check_keys()  # once more, since a variable can hold a whole section
    _single_url(overlay, redis_url, environ.get("REDIS_URL"))
    if listen is not None:
        overlay.put(("web", "listen"), listen, "--listen")
    config = checked(overlay)
    if config.web.config_file is not None:
        try:
            webfile.read(config.web.config_file)
        except ConfigError as unusable:
            overlay.problems += unusable.problems
    if overlay.problems:
        raise ConfigError(*dict.fromkeys(overlay.problems))
    for target in config.targets:
        if target.endpoint.password:
            register_secret(target.endpoint.password.get_secret_value())
    return config


def secret_of(target: Target) -> str | None:
    """Read the password of a target as it is now: from `password_file`, else from the URL or from `password`.

    From then on no log line shows it. Raises OSError, with a `strerror` that can be shown, if the file cannot be read.
    """
    if target.password_file is not None:
        return read_secret(target.password_file)
    secret = target.endpoint.password.get_secret_value() if target.endpoint.password else None
    register_secret(secret)
    return secret


def hash_secret_of(keys: Keys) -> bytes:
    """Read `keys.hash_secret_file`; without one the secret is made up and lasts as long as this process.

    A one-time password of six digits is found in a second if its hash has no key. Raises OSError as `secret_of` does.
    """
    if keys.hash_secret_file is None:
        return _made_up_secret()
    return read_secret(keys.hash_secret_file).encode()


@cache
def _made_up_secret() -> bytes:
    return token_bytes(16)


def _document(path: Path | None, environ: Mapping[str, str]) -> Document:
    """Read the document of a file; problems that concern the whole file have its name as path."""
    if path is None:
        return Document()
    # Somebody who swaps two arguments gives a URL here, and that may hold a password.
    name = "the configuration file" if re.search(r"@|^\w+:/", str(path)) else str(path)
    try:
        text = read_text(path, MAX_FILE_BYTES)
    except OSError as error:
        return Document(problems=[Problem(name, str(error.strerror))])
    document = parse(text.removeprefix("\ufeff"), environ)
    document.problems = [Problem(problem.path or name, problem.message) for problem in document.problems]
    if document.value is not None and not isinstance(document.value, dict):
        document.problems.append(Problem(name, "must be a mapping of settings"))
    return document


def _single_url(overlay: Overlay, argument: str | None, variable: str | None) -> None:
    """Put the URL of the command line, or of REDIS_URL, into the only target; make the target if there is none."""
    url, origin = (variable, "REDIS_URL") if argument is None else (argument, "--redis-url")
    targets = overlay.document.setdefault("targets", [])
    if argument is None and not url:
        targets += [] if targets else [dict(DEFAULT_TARGET)]
    elif len(targets) > 1:
        overlay.problems.append(Problem(origin, f"sets the url of a single target, but there are {len(targets)}"))
    else:
        targets += [] if targets else [{"name": DEFAULT_TARGET["name"]}]
        path = ("targets", 0, "url")
        # A variable that names the target says more than one that only happens to be set.
        if isinstance(targets[0], dict) and (argument is not None or "from" not in overlay.origins.get(path, "")):
            overlay.put(path, url, origin)
