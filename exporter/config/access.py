"""How to get in: the settings of TLS, and the Sentinels that know where a target is."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from exporter.config.ciphers import suite
from exporter.config.endpoint import DEFAULT_SENTINEL_PORT, parse
from exporter.config.fields import FilePath, Flag, Section, Word


def _sentinel(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be HOST:PORT of a Sentinel, or rediss://HOST:PORT")
    endpoint = parse(value if "://" in value else f"redis://{value}", DEFAULT_SENTINEL_PORT)
    if endpoint.username or endpoint.password:
        raise ValueError("credentials belong in username and password_file of the section")
    if endpoint.path or endpoint.db:
        raise ValueError("must be HOST:PORT of a Sentinel, or rediss://HOST:PORT")
    return f"{'rediss://' if endpoint.tls else ''}{endpoint.addr}"


CipherSuite = Annotated[str, BeforeValidator(suite)]
SentinelAddress = Annotated[str, BeforeValidator(_sentinel)]


class Tls(Section):
    """How to reach a server over TLS."""

    ca_file: FilePath | None = Field(
        default=None,
        description="Trust only the authorities in this PEM file. Without it the system's authorities are trusted.",
    )
    cert_file: FilePath | None = Field(
        default=None, description="Our own certificate, for servers that ask clients for one; needs `key_file`."
    )
    key_file: FilePath | None = Field(default=None, description="The private key of `cert_file`, without a passphrase.")
    server_name: str | None = Field(
        default=None,
        description="The name that the server's certificate must carry, where it differs from the URL's host.",
    )
    min_version: Annotated[Literal["1.2", "1.3"], Word] = Field(
        default="1.2", description="The oldest TLS version that is accepted; older ones than 1.2 are broken."
    )
    cipher_suites: tuple[CipherSuite, ...] = Field(
        default=(),
        description="The cipher suites that are accepted with TLS 1.2, by their names in Prometheus' own settings. "
        "Empty: those that are good today. The suites of TLS 1.3 are all good and cannot be chosen.",
    )
    insecure_skip_verify: Flag = Field(
        default=False,
        description="Accept any certificate. Anybody on the path can then read the password and every command.",
    )


class Sentinel(Section):
    """The Sentinels that know where a target's servers are; nothing of the target's own access is used for them."""

    master: str | None = Field(
        default=None, min_length=1, description="The name of the master as the Sentinels know it."
    )
    nodes: tuple[SentinelAddress, ...] = Field(
        default=(),
        max_length=50,
        description="The Sentinels, best all of them, as `host:26379` or `rediss://host:26379` (TLS). The majority of "
        "those that answer decides.",
    )
    username: str | None = Field(default=None, description="The ACL user at the Sentinels; the target's is not used.")
    password_file: FilePath | None = Field(
        default=None, description="A file with the password for the Sentinels, read again at every connect."
    )
    tls: Tls = Field(
        default_factory=Tls, description="TLS towards the Sentinels; any setting here switches it on for all of them."
    )
