"""Bodies become HTTP responses: JSON, compression and the headers that every answer carries."""

from __future__ import annotations

import gzip
import json
import math
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request

TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
JSON = "application/json"
SMALLEST_GZIP = 600
"""Smaller bodies fit one packet anyway."""
LARGEST_INLINE = 256 * 1024
"""Larger ones are compressed in a thread, so that other requests go on."""
GZIP_LEVEL = 3
"""Half the time of level 4 for a few percent more bytes: an exposition repeats itself anyway."""
_CSP = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


async def answer(
    request: Request, body: bytes, media: str = TEXT, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Make the response of `body`, compressed where the client accepts it; `headers` win over the usual ones."""
    extra = {**SECURITY_HEADERS, "Vary": "Accept, Accept-Encoding", **(headers or {})}
    if len(body) >= SMALLEST_GZIP and accepts_gzip(all_of(request, "accept-encoding")):
        extra["Content-Encoding"] = "gzip"
        if len(body) > LARGEST_INLINE:
            body = await run_in_threadpool(gzip.compress, body, GZIP_LEVEL, mtime=0)
        else:
            body = gzip.compress(body, GZIP_LEVEL, mtime=0)
    return Response(body, status, extra, media_type=media)


def line(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Make a response of one line of plain text."""
    return Response(f"{text}\n", status, {**SECURITY_HEADERS, **(headers or {})}, media_type=TEXT)


def error(text: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """Make a JSON response that says what is wrong."""
    return Response(to_json({"error": text}), status, {**SECURITY_HEADERS, **(headers or {})}, media_type=JSON)


def all_of(request: Request, header: str) -> str:
    """Return a list header as one line; a proxy may have split it over several."""
    return ",".join(request.headers.getlist(header))


def to_json(value: Mapping[str, Any] | Sequence[Any]) -> bytes:
    """Write compact UTF-8 JSON and a line feed; whole numbers without a fraction, null for what is no finite number."""
    text = json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "replace") + b"\n"


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether an Accept-Encoding header takes gzip: named, or by `*`, and not with `q=0` (RFC 9110, section 12.5.3)."""
    wanted: dict[str, bool] = {}
    for item in accept_encoding.lower().split(","):
        coding, _, parameters = item.partition(";")
        quality = parameters.replace(" ", "")
        wanted[coding.strip()] = not (quality.startswith("q=0") and not quality.removeprefix("q=0").strip(".0"))
    return wanted.get("gzip", wanted.get("*", False))


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return int(value) if value.is_integer() else value
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value
