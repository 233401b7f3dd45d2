"""Text that may hold a secret in, text without it out: the last line of defence before a log line is written.

Nothing should bring a secret this far. What still does is recognised by three signs: it is a secret of the
configuration, it stands in the credentials of a URL, or it follows AUTH or a password setting of Redis.
"""

from __future__ import annotations

import json
import re
import threading
from functools import lru_cache
from urllib.parse import quote

MASK = "***"
MAX_TEXT = 4096
MAX_SECRETS = 1000
# Shorter ones protect nothing, and taking them out would make every line unreadable.
MIN_SECRET = 4

_URL = re.compile(r"([a-z][a-z0-9+.-]*://)[^\s\"'<>]*@", re.IGNORECASE)
_QUOTED = r"""(?:[\s,]+b?(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'))"""
_AUTH_QUOTED = re.compile(rf"""\b(AUTH|REQUIREPASS|MASTERAUTH)(["']?){_QUOTED}+""", re.IGNORECASE)
_AUTH_PLAIN = re.compile(r"\b(AUTH(?:\s+(?!\*\*\*)\S+){1,2}|(?:requirepass|masterauth)\s+\S+)")
_SECRET_NAME = re.compile(r"pass(?:word|wd|phrase)|secret|token|credential|authorization", re.IGNORECASE)

_lock = threading.Lock()
_newest_last: dict[str, None] = {}
_longest_first: tuple[str, ...] = ()
_version = 0
# Names, addresses and sentences come again and again.
_SHORT = 256


def register_secret(value: str | None) -> None:
    """Remember a secret, so that it is taken out of every later line, also where it is escaped or percent-encoded."""
    global _longest_first, _version  # noqa: PLW0603 - the log has one set of secrets, as it has one standard error
    if value is None or len(value) < MIN_SECRET:
        return
    with _lock:
        for form in (value, quote(value, safe="", errors="replace"), json.dumps(value)[1:-1], repr(value)[1:-1]):
            _newest_last.pop(form, None)
            _newest_last[form] = None
        while len(_newest_last) > MAX_SECRETS:
            del _newest_last[next(iter(_newest_last))]
        _longest_first = tuple(sorted(_newest_last, key=len, reverse=True))
        _version += 1  # after the secrets: what is remembered for a version knows at least those


def forget_secrets() -> None:
    """Forget all of them."""
    global _longest_first, _version  # noqa: PLW0603
    with _lock:
        _newest_last.clear()
        _longest_first = ()
        _version += 1


@lru_cache(maxsize=1024)
def hidden(name: str) -> bool:
    """Whether an attribute of this name is a secret whatever it holds."""
    return _SECRET_NAME.search(name) is not None


def redacted(text: str, most: int = MAX_TEXT) -> str:
    """Take secrets out of a text, and its end if it has more than `most` characters."""
    return _short(text, _version) if len(text) <= _SHORT <= most else _redacted(text, most)


@lru_cache(maxsize=2048)
def _short(text: str, version: int) -> str:  # noqa: ARG001 - another version is another answer
    return _redacted(text, MAX_TEXT)


def _redacted(text: str, most: int) -> str:
    # A secret that is cut in two here is cut away further down.
    text = text[: 2 * most + 65536]
    for secret in _longest_first:
        text = text.replace(secret, MASK)
    if "://" in text:
        text = _URL.sub(rf"\1{MASK}@", text)
    folded = text.lower()
    if "auth" in folded or "requirepass" in folded:
        text = _AUTH_QUOTED.sub(rf"\1\2 {MASK}", text)
        text = _AUTH_PLAIN.sub(lambda match: f"{match[0].split()[0]} {MASK}", text)
    return text if len(text) <= most else text[: most - 1] + "…"
