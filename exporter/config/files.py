"""Small files: a path in, the content out, and errors that can be shown: they hold neither path nor content."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from exporter.redaction import register_secret

if TYPE_CHECKING:
    from pathlib import Path

MAX_SECRET_BYTES = 64 * 1024


def read_bytes(path: Path, most_bytes: int) -> bytes:
    """Read a file of at most `most_bytes`; raises OSError whose `strerror` says what is wrong."""
    try:
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except OSError as error:
        raise OSError(error.errno, f"cannot be read: {(error.strerror or 'error').lower()}") from None
    except ValueError:
        raise OSError(errno.EINVAL, "cannot be read: not a path") from None
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"is larger than {most_bytes // 1024} KiB")
    return content


def read_text(path: Path, most_bytes: int) -> str:
    """Read a UTF-8 file of at most `most_bytes`; raises OSError as `read_bytes` does."""
    try:
        return read_bytes(path, most_bytes).decode()
    except UnicodeDecodeError:
        raise OSError(errno.EINVAL, "is not UTF-8 text") from None


def read_secret(path: Path) -> str:
    """Read a file that holds one secret, without the newline that editors add; from then on no log line shows it.

    Raises OSError as `read_text` does.
    """
    secret = read_text(path, MAX_SECRET_BYTES).removesuffix("\n").removesuffix("\r")
    if not secret:
        raise OSError(errno.EINVAL, "is empty")
    register_secret(secret)
    return secret
