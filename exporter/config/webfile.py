"""The web configuration file of Prometheus' exporter-toolkit: a path in, checked settings of our own endpoint out.

https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md is the format. What Python's TLS
cannot do is an error here and not silently less safe. Paths in the file are relative to the file itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError

from exporter.config.checks import shape_of, words
from exporter.config.ciphers import cipher
from exporter.config.document import parse
from exporter.config.fields import FilePath, Flag, Section
from exporter.config.files import read_text
from exporter.config.overlay import Overlay
from exporter.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MAX_FILE_BYTES = 1024 * 1024
BCRYPT = re.compile(r"\$2[abxy]\$(?:0[4-9]|1[0-6])\$[./A-Za-z0-9]{53}")
_HEADER = re.compile(r"[\t\x20-\x7e]*")
_NOT_HERE = {
    "cert": "is not supported, put the certificate into a file and name it as cert_file",
    "key": "is not supported, put the key into a file and name it as key_file",
    "client_ca": "is not supported, put the certificates into a file and name it as client_ca_file",
    "client_allowed_sans": "is not supported; a certificate authority of its own limits who is let in",
    "curve_preferences": "is not supported; OpenSSL chooses",
}
_HEADERS = ("Content-Security-Policy", "X-Frame-Options", "X-Content-Type-Options", "X-XSS-Protection",
            "Strict-Transport-Security")  # fmt: skip


def _users(value: object) -> object:
    for name, hashed in value.items() if isinstance(value, dict) else ():
        if not name or ":" in name:
            raise ValueError("a user's name is not empty and has no colon")
        if not isinstance(hashed, str) or not BCRYPT.fullmatch(hashed):
            raise ValueError(
                "a password is given as its bcrypt hash with a cost of 4 to 16, as `htpasswd -nB` makes it"
            )
    return value


def _headers(value: object) -> object:
    for name, text in value.items() if isinstance(value, dict) else ():
        if name not in _HEADERS:
            raise ValueError(f"only these can be set: {', '.join(_HEADERS)}")
        if not isinstance(text, str) or not _HEADER.fullmatch(text):
            raise ValueError("a header's value is printable ASCII on one line")
    return value


class TlsServer(Section):
    """`tls_server_config`."""

    cert_file: FilePath
    key_file: FilePath
    client_ca_file: FilePath | None = None
    client_auth_type: Literal["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"] = "NoClientCert"
    min_version: Literal["TLS12", "TLS13"] = "TLS12"
    max_version: Literal["TLS12", "TLS13"] = "TLS13"
    cipher_suites: tuple[str, ...] = ()
    prefer_server_cipher_suites: Flag = True


class HttpServer(Section):
    """`http_server_config`. HTTP/2 is not spoken, so `http2` changes nothing."""

    http2: Flag = True
    headers: Annotated[dict[str, str], BeforeValidator(_headers)] = Field(default_factory=dict)


class WebFile(Section):
    """The whole file."""

    tls_server_config: TlsServer | None = None
    http_server_config: HttpServer = Field(default_factory=HttpServer)
    basic_auth_users: Annotated[dict[str, str], BeforeValidator(_users)] = Field(default_factory=dict)


def read(path: Path) -> WebFile:
    """Read and check the file.

    Raises:
        ConfigError: all that is wrong with it, each as a problem of `web.config_file`.

    """
    try:
        document = parse(read_text(path, MAX_FILE_BYTES).removeprefix("\ufeff"))
    except OSError as error:
        raise ConfigError(_problem(f"the file {error.strerror}")) from None
    settings = document.value if isinstance(document.value, dict) else {}
    if document.value is not None and not isinstance(document.value, dict):
        document.problems.append(Problem("", "must be a mapping of settings"))
    origins = {place: f"line {line}" for place, line in document.lines.items()}
    overlay = Overlay(settings, shape_of(WebFile), origins, document.problems)
    tls = settings.get("tls_server_config")
    for name in sorted(_NOT_HERE.keys() & (tls if isinstance(tls, dict) else {}).keys()):
        overlay.report(("tls_server_config", name), _NOT_HERE[name])
        del settings["tls_server_config"][name]
    overlay.check_keys()
    try:
        found = WebFile.model_validate(overlay.document)
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_input=False):
            overlay.report(fault["loc"], words(fault))
    if overlay.problems:
        raise ConfigError(*(_problem(str(problem)) for problem in dict.fromkeys(overlay.problems)))
    return _checked(found, path.parent)


def _checked(found: WebFile, directory: Path) -> WebFile:
    tls = found.tls_server_config
    if tls is None:
        return found
    if (tls.client_ca_file is None) != (tls.client_auth_type == "NoClientCert"):
        raise ConfigError(_problem("tls_server_config: client_ca_file and client_auth_type need each other"))
    if tls.min_version > tls.max_version:
        raise ConfigError(_problem("tls_server_config.min_version: is above max_version"))
    if unknown := [name for name in tls.cipher_suites if cipher(name) is None]:
        raise ConfigError(_problem(f"tls_server_config.cipher_suites: {len(unknown)} of them are unknown, or not safe"))
    files: Mapping[str, Path | None] = {
        name: directory / file if (file := getattr(tls, name)) is not None else None
        for name in ("cert_file", "key_file", "client_ca_file")
    }
    return found.model_copy(update={"tls_server_config": tls.model_copy(update=files)})


def _problem(text: str) -> Problem:
    return Problem("web.config_file", text)
