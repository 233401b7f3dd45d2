"""How a key is written for people, and which group it belongs to: bytes in, bounded printable text out.

Three kinds of text leave this module: the key itself (`write`, reversible by `read`), the group it belongs to
(`group`: `user:1234:cart` -> `user:*:cart`), and the label that the outside may see (`KeyNames`), which hides what
looks like a credential. Nothing here does I/O; results depend on the key and the settings only.
"""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache
from hashlib import blake2s
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.config import Keys

KEPT_BYTES = 512  # what is held of a longer key
GROUP_LENGTH = 64
_DIGITS = 8  # of a digest that is written
_REMEMBERED_GROUPS = 20_000
_REMEMBERED_SHAPES = 4_096
_ZEROS = str.maketrans("123456789", "000000000")
_REMEMBERED_LABELS = 4_096  # labels are long, and asked for published keys only

Privacy = Literal["clear", "hash", "group"]


class LongKey(bytes):
    """A key of more than 512 bytes: its first 512 bytes followed by the 16 hex digits of `long_hash()` over all of it.

    Every stored key of more than 512 bytes is a LongKey, so no two keys are taken for one.
    """

    __slots__ = ()

    @property
    def digest(self) -> str:
        """The 8 hex digits that stand for the whole key when it is written."""
        return self[KEPT_BYTES : KEPT_BYTES + _DIGITS].decode("ascii")


def long_hash() -> blake2s:
    """Start the hash of a LongKey, for those who see a huge key in parts: `update` it, then take `hexdigest()`."""
    return blake2s(digest_size=8)


def stored(key: bytes) -> bytes:
    """`key` as it is held in memory: itself, or a LongKey of bounded size."""
    if len(key) <= KEPT_BYTES or isinstance(key, LongKey):
        return key
    whole = long_hash()
    whole.update(key)
    return LongKey(key[:KEPT_BYTES] + whole.hexdigest().encode("ascii"))


def digest(key: bytes, secret: bytes = b"") -> str:
    """Eight hex digits that stand for `key`: BLAKE2s, keyed if there is a secret (of any length)."""
    key = stored(key)
    if isinstance(key, LongKey) and not secret:
        return key.digest
    if len(secret) > blake2s.MAX_KEY_SIZE:
        secret = blake2s(secret).digest()
    return blake2s(key, digest_size=8, key=secret).hexdigest()[:_DIGITS]


# --- writing and reading -------------------------------------------------------------------------------------------


def _escaped(character: str) -> str:
    if character.isprintable() and character != "\\":
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))


def _text(key: bytes) -> str:
    """Decode what is held of `key`, each byte that is not UTF-8 as a lone surrogate (which is not printable)."""
    return key[:KEPT_BYTES].decode("utf-8", "surrogateescape")


def _printable(text: str) -> str:
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(map(_escaped, text))


def write(key: bytes) -> str:
    r"""`key` as text: printable UTF-8 as it is; the backslash and every other byte as `\xNN`.

    Reversible by `read`, except for a LongKey: the part that is held, `~` and its digest.
    """
    key = stored(key)
    text = _printable(_text(key))
    return f"{text}~{key.digest}" if isinstance(key, LongKey) else text


def read(text: str) -> bytes:
    """Return the key that `write` wrote as `text`; ValueError if a backslash starts no escape."""
    if re.search(r"\\(?!x[0-9a-f]{2})", text):
        raise ValueError("a backslash must be followed by x and two lower-case hex digits")
    return re.sub(rb"\\x([0-9a-f]{2})", lambda escape: bytes.fromhex(escape[1].decode()), text.encode())


# --- groups --------------------------------------------------------------------------------------------------------

_SEPARATORS = r":/|{}#,;=&?\s"
_SEGMENT = re.compile(rf"[^{_SEPARATORS}]+")
_TOKEN = re.compile(r"[^\W_]+")
_UUID_OR_DATE = re.compile(
    r"(?<![0-9A-Za-z])(?:[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}"
    r"|\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?)(?![0-9A-Za-z])"
)
_IPV6 = re.compile(r"(?<![0-9A-Za-z])[0-9A-Fa-f]{1,4}(?::{1,2}[0-9A-Fa-f]{1,4}){2,7}(?:::)?(?![0-9A-Za-z])")
_EMAIL = re.compile(r"[^@]+@[^@]+\.[^@.]{2,}")
_LEADING_NUMBER = re.compile(
    r"(?=\{?[0-9A-Za-z]{6})(?!\{?[0-9A-Fa-f]{8,}(?![0-9A-Za-z]))(\{?(?:[A-Za-z][a-z]{2,18}|[A-Z]{3,19}))\d+(?![0-9A-Za-z])"
)
_NUMBERED = re.compile(r"((?!v\d|V\d)[A-Za-z]{1,4})\d+")
_LONG_WORDS = re.compile(r"[A-Za-z][a-z]{2,}(?:[A-Z][a-z]{2,})*|[A-Z]+")
_WORDLIKE = re.compile(r"[A-Z]?[a-z]+(?:[A-Z][a-z]+)*\d{0,3}|[A-Z]+\d{0,3}")
_STARS = re.compile(r"\*(?:(?:[^\w*]|_)*\*)+")


def _fold_token(match: re.Match[str]) -> str:
    """Turn a run of letters and digits into `*` if it looks like an identifier, keep it if it looks like a word."""
    token = match[0]
    if token.isdigit():
        return "*"
    if token.isalpha():
        random = len(token) >= 32 or (len(token) >= 20 and not token.islower() and not _LONG_WORDS.fullmatch(token))
        return "*" if random else token
    if len(token) >= 6:
        return "*"
    if number := _NUMBERED.fullmatch(token):
        return f"{number[1]}*"
    return token


def _fold_segment(match: re.Match[str]) -> str:
    """Fold the identifiers in what stands between two separators."""
    segment = match[0]
    if segment.isalpha() and len(segment) < 20:
        return segment
    if "@" in segment and _EMAIL.fullmatch(segment):
        return "*"
    if not segment.isprintable() and sum(not c.isprintable() for c in segment) * 4 > len(segment):
        return "*"  # binary, not a word in an old encoding
    folded = _TOKEN.sub(_fold_token, segment)
    if "*" not in folded:
        return folded
    # Base64 in its URL alphabet breaks into tokens at - and _; the odd ones among them give it away.
    if len(segment) >= 16 and not all(_WORDLIKE.fullmatch(token) for token in _TOKEN.findall(folded)):
        return "*"
    return _STARS.sub("*", folded)


def _bounded(text: str) -> str:
    return _cut(_printable(text), GROUP_LENGTH)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "*"


def _learned(text: str) -> str:
    """`text` with everything folded that looks like an identifier."""
    if leading := _LEADING_NUMBER.match(text):
        text = f"{leading[1]}*{text[leading.end() :]}"
    if "-" in text:
        text = _UUID_OR_DATE.sub("*", text)
    if "::" in text or text.count(":") >= 7:
        text = _IPV6.sub("*", text)
    return _SEGMENT.sub(_fold_segment, text)


@lru_cache(maxsize=1024)
def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))


def group(key: bytes, patterns: Sequence[str] = ()) -> str:
    """Name the group of `key` in at most 64 characters, written as by `write`: `user:1234:cart` -> `user:*:cart`.

    The first of `patterns` (globs, case-sensitive) that matches is the group. Else numbers, hex, UUIDs, e-mail and
    IPv6 addresses, dates, and letters mixed with digits (6 characters or more) or in random case (20 or more) become
    `*`; a leading word with a number keeps its word (`item000042` -> `item*`).
    """
    text = _text(key)
    for pattern in patterns:
        if _glob(pattern).match(text):
            return _bounded(pattern)
    return _bounded(_learned(text))


# --- what may be a credential --------------------------------------------------------------------------------------

_CONSONANTS = re.compile(r"[^aeiouy]{4}")
_CASED = re.compile(r"[A-Z]?[a-z]+(?:[A-Z][a-z]{2,})*|[A-Z]+")
_CORE_AFFIX = 4  # letters around a mask's core: session, tokens, oauth; more may be a credential that is glued to it


def _cores(mask: Sequence[str]) -> tuple[str, ...]:
    """Pick the literal words of the mask's globs, in lower case: `*sess*` -> `sess`."""
    literals = (re.sub(r"\[[^]]*\]|[*?]", " ", pattern.lower()) for pattern in mask)
    return tuple(dict.fromkeys(word for literal in literals for word in re.findall(r"[a-z]{2,}", literal)))


def _plain(part: str) -> bool:
    """Whether `part` looks like a word that a programmer chose: short, of one case, and pronounceable."""
    if not part.isascii() or not part.isalpha() or len(part) > 16 or not _CASED.fullmatch(part):
        return False
    return len(part) <= 4 or not _CONSONANTS.search(part.lower())


def _namespace(segment: str) -> bool:
    """Whether a leading segment looks like the name of a service or a type."""
    return len(segment) <= 20 and all(map(_plain, re.split("[-_]", segment)))


def _core_words(segment: str, cores: Sequence[str]) -> str | None:
    """`segment` up to and including its word that holds a mask's core, or None: `user-sessions`, `session_x` cut."""
    lower = segment.lower()
    if not any(core in lower for core in cores):
        return None
    parts = re.split(r"([-_.])", segment)
    for index, part in enumerate(parts):
        longest = max((len(core) for core in cores if core in part.lower()), default=0)
        if longest and _plain(part) and len(part) - longest <= _CORE_AFFIX and all(map(_plain, parts[:index:2])):
            rest = parts[index + 1 :]
            return "".join(parts[: index + 1]) + (f"{rest[0]}*" if rest else "")
    return None


def _safe_single(segment: str, cores: Sequence[str]) -> str:
    """Keep the prefix of a key of one segment (`sess_ab12`) if it cannot be the credential itself."""
    prefix, separator, rest = re.match(r"([^-_.]*)([-_.]?)(.*)", segment, re.DOTALL).groups()  # type: ignore[union-attr]
    middle = re.split("[-_.]", rest)[:-1]
    named = not cores or _core_words(prefix, cores) or any(_core_words(part, cores) for part in middle)
    return f"{prefix}{separator}*" if separator and named and _plain(prefix) else "*"


def _safe(text: str, cores: Sequence[str]) -> str:
    """`text` with everything folded that could be a credential, even one of letters only.

    Kept are words around a core of the mask, and a leading namespace if a later segment can be what the mask is
    about (`user:1234:token` -> `user:*:*`, but `abcdefgh:token` -> `*:*`). The last segment never is.
    Without cores everything but a leading namespace is folded.
    """
    pieces = re.split(rf"([{_SEPARATORS}]+)", text)
    named = [index for index in range(0, len(pieces), 2) if pieces[index]]
    if len(named) == 1:
        pieces[named[0]] = _safe_single(pieces[named[0]], cores)
        return "".join(pieces)
    words = {index: _core_words(pieces[index], cores) for index in named[:-1]}
    if words.get(0, "") is None and _namespace(pieces[0]):
        elsewhere = not cores or any(not any(core in pieces[i].lower() for core in cores) for i in named[1:])
        words[0] = pieces[0] if elsewhere else None
    for index in named:
        pieces[index] = words.get(index) or "*"
    return "".join(pieces)


class KeyNames:
    """Writes keys and groups as the settings allow: `privacy`, `mask`, `groups`, `max_label_length` (characters).

    `clear`: the key, cut to fit; a key that a glob of `mask` matches (in any case) is its safe group, `~` and 8 hex
    digits. `hash`: that for all keys, keyed by `secret`. `group`: the group only.
    Several keys can share one label: always with `group`, and anywhere by a collision that a hostile client can
    construct. Callers add up what carries the same label.
    Both methods remember a bounded number of answers; they may be called from several threads.
    """

    def __init__(
        self,
        privacy: Privacy = "clear",
        mask: Sequence[str] = ("*sess*", "*token*", "*auth*", "*otp*"),
        groups: Sequence[str] = (),
        max_label_length: int = 128,
        secret: bytes = b"",
    ) -> None:
        self._privacy = privacy
        self._mask = re.compile("|".join(map(translate, mask)), re.IGNORECASE) if mask else None
        self._cores = _cores(mask)
        self._patterns = [(pattern, _glob(pattern)) for pattern in groups]
        self._length = max_label_length
        self._secret = secret
        self._labels: dict[bytes, str] = {}
        self._groups: dict[bytes, str] = {}
        self._texts: dict[str, str] = {}
        self._shapes: dict[str, str] | None = {} if not re.search("[0-9]", "".join((*mask, *groups))) else None

    @classmethod
    def of(cls, keys: Keys, secret: bytes) -> KeyNames:
        """Write keys as the section `keys` of the configuration asks, with hashes keyed by `secret`."""
        return cls(keys.privacy, keys.mask, keys.groups, keys.max_label_length, secret)

    def label(self, key: bytes) -> str:
        """Write what the outside may see of `key`, at most `max_label_length` characters."""
        key = stored(key)
        label = self._labels.get(key)
        if label is None:
            if len(self._labels) >= _REMEMBERED_LABELS:
                self._labels.clear()
            label = self._labels[key] = self._label(key)
        return label

    def group(self, key: bytes) -> str:
        """Name the group of `key` in at most 64 characters; never reveals what `label` hides."""
        text = self._groups.get(key)
        if text is None:
            if len(self._groups) >= _REMEMBERED_GROUPS:
                self._groups.clear()
                self._texts.clear()
            text = self._group_by_shape(_text(key))
            text = self._groups[key] = self._texts.setdefault(text, text)  # one string for all keys of a group
        return text

    def _group_by_shape(self, text: str) -> str:
        """Name the group of `text`; keys that differ in digits only are told apart by what is left of their digits."""
        if self._shapes is None or len(text) > GROUP_LENGTH:
            return self._group(text)
        shape = text.translate(_ZEROS)
        known = self._shapes.get(shape)
        if known is None:
            if len(self._shapes) >= _REMEMBERED_SHAPES:
                self._shapes.clear()
            known = self._shapes[shape] = self._group(shape)
        return self._group(text) if "0" in known else known

    def _masked(self, text: str) -> bool:
        return self._mask is not None and self._mask.match(text) is not None

    def _label(self, key: bytes) -> str:
        if self._privacy == "group":
            return _cut(self._group(_text(key)), self._length)
        if self._privacy == "hash" or self._masked(_text(key)):
            return self._with_digest(self._group(_text(key)), digest(key, self._secret))
        text = _printable(_text(key))
        if len(text) <= self._length and not isinstance(key, LongKey):
            return text
        return self._with_digest(text, digest(key))

    def _with_digest(self, text: str, digits: str) -> str:
        return f"{text[: self._length - _DIGITS - 1]}~{digits}"

    def _group(self, text: str) -> str:
        for pattern, glob in self._patterns:
            if glob.match(text):
                return _bounded(pattern)
        if self._masked(text):
            return _bounded(_safe(text, self._cores))
        if self._privacy == "hash":
            return _bounded(_safe(text, ()))
        learned = _learned(text)
        if self._privacy == "group" and learned == text:
            return _bounded(_safe(text, ()))  # no identifier was recognised, so any part may be one
        return _bounded(learned)
