"""Redaction: each sign of a secret, and texts that only look like one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.redaction import MAX_SECRETS, MAX_TEXT, forget_secrets, hidden, redacted, register_secret

if TYPE_CHECKING:
    from collections.abc import Iterator

CANARY = "c4n4ry"


@pytest.fixture(autouse=True)
def no_secrets_left() -> Iterator[None]:
    """Secrets registered here must not change what other tests log."""
    yield
    forget_secrets()


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (f"redis://:{CANARY}@host:6379/0", "redis://***@host:6379/0"),
        (f"cannot reach rediss://bob:{CANARY}@host", "cannot reach rediss://***@host"),
        (f"redis://bob:{CANARY}@{CANARY}/{CANARY}@host", "redis://***@host"),
        (f"url='redis://:{CANARY}@host' again", "url='redis://***@host' again"),
        (f'"AUTH" "{CANARY}"', '"AUTH" ***'),
        (f'"auth" "bob" "{CANARY}"', '"auth" ***'),
        (f"['AUTH', 'bob', '{CANARY}']", "['AUTH' ***]"),
        (f"[b'HELLO', b'3', b'AUTH', b'bob', b'{CANARY}']", "[b'HELLO', b'3', b'AUTH' ***]"),
        (f"AUTH {CANARY}", "AUTH ***"),
        (f"HELLO 3 AUTH bob {CANARY}", "HELLO 3 AUTH ***"),
        (f'"auth" "a\\"{CANARY}"', '"auth" ***'),
        (f"config set requirepass {CANARY}", "config set requirepass ***"),
        (f'"CONFIG" "SET" "masterauth" "{CANARY}"', '"CONFIG" "SET" "masterauth" ***'),
    ],
)
def test_recognised_by_its_place(text: str, clean: str) -> None:
    """Credentials in URLs, arguments of AUTH and HELLO, and password settings are taken out."""
    assert redacted(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "NOAUTH Authentication required.",
        "WRONGPASS invalid username-password pair or user is disabled.",
        "http://localhost:9468/metrics",
        "the author's authority",
        "ERR Client sent AUTH, but no password is set",
        "user@example.com",
    ],
)
def test_left_alone(text: str) -> None:
    """What only resembles a secret stays readable."""
    assert redacted(text) == text


@pytest.mark.parametrize("secret", ['p"a\\ss', "p@ss/w?rd", "пароль", "new\nline", "per%cent", "it's\"both"])
def test_registered_secrets_go_in_every_form(secret: str) -> None:
    """A registered secret is taken out as it is, percent-encoded, and escaped as JSON or as a repr."""
    register_secret(secret)
    from urllib.parse import quote

    text = f"{secret} {quote(secret, safe='')} {json.dumps(secret)} {secret!r}"

    assert secret not in redacted(text)
    assert redacted(text).count("***") == 4


def test_the_longer_of_two_secrets_goes_first() -> None:
    """A secret that contains another one leaves no rest behind."""
    register_secret("abcd")
    register_secret("abcd-efgh")

    assert redacted("abcd-efgh abcd") == "*** ***"


def test_what_is_too_short_to_be_a_secret_is_not_registered() -> None:
    """A password of three letters would only make every line unreadable."""
    for value in (None, "", "abc"):
        register_secret(value)

    assert redacted("abc") == "abc"


def test_registered_secrets_are_bounded() -> None:
    """Rotation for years does not fill the memory; the newest secrets are the ones that are kept."""
    for number in range(2 * MAX_SECRETS):
        register_secret(f"secret-{number:06}")

    assert redacted(f"secret-{2 * MAX_SECRETS - 1:06}") == "***"
    assert redacted("secret-000000") == "secret-000000"


def test_long_texts_are_cut() -> None:
    """A text of any length becomes one of bounded length, and no half of a secret remains at the cut."""
    register_secret(CANARY * 3)

    assert len(redacted("x" * 10**7)) == MAX_TEXT
    for shift in range(40):
        assert "c4n" not in redacted("x" * (MAX_TEXT - shift) + CANARY * 3 + "y" * 100)


@given(st.text(), st.text(min_size=4))
def test_a_registered_secret_never_stays(text: str, secret: str) -> None:
    """Wherever a registered secret stands, it does not come through."""
    forget_secrets()
    register_secret(secret)

    assert secret not in redacted(f"{text}{secret}{text}") or secret in "***"


@pytest.mark.parametrize("name", ["password", "PASSWORD_FILE", "api_token", "client_secret", "Authorization"])
def test_names_of_secrets(name: str) -> None:
    """An attribute whose name says that it is a secret is one."""
    assert hidden(name)


@pytest.mark.parametrize("name", ["addr", "passed", "key", "bypass", "author"])
def test_names_of_others(name: str) -> None:
    """Other attributes are shown."""
    assert not hidden(name)
