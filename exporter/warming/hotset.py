"""The saved hot set of one target: written whole or not at all, readable by its owner only, bounded.

One JSON object per line: first a header, then one key each. Keys of jobs that warm from the snapshot carry their DUMP.
"""

from __future__ import annotations

import base64
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

VERSION = 1
MOST_KEYS = 10_000
MOST_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class SavedKey:
    """One key: `payload` is its DUMP, None if only its name was saved; `expires_at` seconds since 1970, None: never."""

    db: int
    key: bytes
    rate: float
    payload: bytes | None = None
    expires_at: float | None = None


def path_of(directory: Path, target: str) -> Path:
    """Where the hot set of a target is kept; the names of targets are safe in paths."""
    return directory / f"hotset-{target}.jsonl"


def save(path: Path, target: str, keys: Iterable[SavedKey], now: float) -> int:
    """Write the hot set; returns how many keys it holds. Raises OSError; the old file then stays as it was."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # made with mode 0600
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(json.dumps({"version": VERSION, "target": target, "saved_at": now}) + "\n")
            count, size = 0, 0
            for one in keys:
                line = _line(one)
                size += len(line)
                if count >= MOST_KEYS or size > MOST_BYTES:
                    break
                file.write(line)
                count += 1
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return count


def load(path: Path) -> list[SavedKey]:
    """Read the hot set, hottest first; empty where there is none. A line that cannot be read is left out.

    Raises OSError where the file is there and cannot be read.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return []
    keys: list[SavedKey] = []
    with file:
        try:
            header = json.loads(file.readline(65536))
        except ValueError:
            return []
        if not isinstance(header, dict) or header.get("version") != VERSION:
            return []
        for line in file:
            if len(keys) >= MOST_KEYS:
                break
            try:
                keys.append(_read(line))
            except (ValueError, KeyError, TypeError):
                continue
    return keys


def _line(one: SavedKey) -> str:
    entry: dict[str, object] = {"db": one.db, "key": _text(one.key), "rate": round(one.rate, 3)}
    if one.payload is not None:
        entry["dump"] = _text(one.payload)
    if one.expires_at is not None:
        entry["expires_at"] = round(one.expires_at, 3)
    return json.dumps(entry, separators=(",", ":")) + "\n"


def _read(line: bytes) -> SavedKey:
    entry = json.loads(line)
    payload = base64.b64decode(entry["dump"], validate=True) if "dump" in entry else None
    expires_at = float(entry["expires_at"]) if "expires_at" in entry else None
    key = base64.b64decode(entry["key"], validate=True)
    return SavedKey(int(entry["db"]), key, float(entry["rate"]), payload, expires_at)


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
