"""The body of `POST /api/v1/sampling`: JSON in, a checked order out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from exporter.config.quantities import Duration

if TYPE_CHECKING:
    from starlette.requests import Request

MAX_BODY_BYTES = 4096
_FOR = Duration(1, 7 * 86_400)
_USAGE = 'as in {"state": "off", "for": "10m", "target": "cache"}; only state is required'


@dataclass(frozen=True, slots=True)
class Order:
    """Sampling on, or off for `seconds` (None: until it is switched on), of one target or of all (None)."""

    on: bool
    target: str | None
    seconds: float | None


async def order_of(request: Request) -> Order:
    """Read the order; HTTPException 400, 413 or 415 says what is wrong with it."""
    # A foreign page's form cannot send this type without asking first (CORS), which nobody answers.
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "the body must be application/json")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(413, f"the body is longer than {MAX_BODY_BYTES} bytes")
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        raise HTTPException(400, f"the body is not JSON, {_USAGE}") from None
    if not isinstance(said, dict) or not said.keys() <= {"state", "for", "target"}:
        raise HTTPException(400, f"the body must be an object, {_USAGE}")
    state, target, duration = said.get("state"), said.get("target"), said.get("for")
    if state not in ("on", "off"):  # not a set: a list of JSON is not hashable
        raise HTTPException(400, "state: must be on or off")
    if target is not None and not isinstance(target, str):
        raise HTTPException(400, "target: must be the name of a target")
    if state == "on" and duration is not None:
        raise HTTPException(400, "for: only goes with state off")
    try:
        seconds = None if duration is None else float(_FOR.read(duration))
    except ValueError as error:
        raise HTTPException(400, f"for: {error}") from None
    return Order(state == "on", target, seconds)
