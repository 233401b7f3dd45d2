"""An API as a source: a list in one answer (or in several, by `Link: <…>; rel="next"`), or one request per key.

Answers are read up to a limit, never whole and then measured. What may pass (429, 5xx, a broken connection) is tried
again after a growing pause; what will not is a fault of that key.
"""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin, urlsplit

import httpx

from exporter import tracing
from exporter.config.files import read_secret
from exporter.config.templates import Template
from exporter.warming.items import Copy, Fault, Found, SourceError, SourceReason
from exporter.warming.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from exporter.config.warming import WarmingJob

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
MOST_PAGES = 10_000
LARGEST_LIST = 256 * 1024 * 1024
ABSENT = frozenset({404, 410})
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class HttpSource:
    """The records behind one address. Per key it may be asked from several threads."""

    ordered = False

    def __init__(self, job: WarmingJob) -> None:
        assert job.source.url is not None
        self._settings = job.source
        self._url = Template.parse(job.source.url.get_secret_value())
        self._policy = Policy.of(job)
        self._most_item = 2 * job.max_value_bytes + 64 * 1024
        self._most_list = min(LARGEST_LIST, job.max_bytes)
        self._client: httpx.Client | None = None
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self.by_key = bool(self._url.fields)

    def records(self, limit: int, offset: int) -> Iterator[Found]:
        """The records of the list. Raises SourceError."""
        url: str | None = self._url.render({})
        seen = 0
        for _ in range(MOST_PAGES):
            if url is None or seen >= limit + offset:
                return
            status, body, following = self._get(url, self._most_list)
            if status is None or status >= 300:
                raise SourceError(SourceReason.STATUS, f"answered with status {status}")
            for record in self._listed(body):
                if offset <= seen < limit + offset:
                    yield record
                seen += 1
            url = _same_origin(url, following)

    def lookup(self, keys: Sequence[bytes]) -> Iterator[Found]:
        """The record of each key; one that the API does not have is a Fault. Raises SourceError."""
        template = self._policy.template
        assert template is not None
        if not self.by_key:
            wanted = set(keys)
            found = (one for one in self.records(2**31, 0) if isinstance(one, dict))
            yield from (one for one in found if self._policy.key(one) in wanted)
            return
        for key in keys:
            text = key.decode("utf-8", "surrogateescape")
            fields = template.match(text)
            if fields is not None:
                yield self._one(fields, text)

    def plain(self, keys: Sequence[bytes]) -> list[Copy]:  # noqa: ARG002 - answers are no copies
        """Nothing: answers are no copies."""
        return []

    def interrupt(self) -> None:
        """End pauses and requests under way."""
        self._stopped.set()
        if self._client is not None:
            self._client.close()

    def close(self) -> None:
        """Close all connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _one(self, fields: dict[str, str], key: str) -> Found:
        values = {
            name: quote(value, safe="", errors="surrogateescape") for name, value in {**fields, "key": key}.items()
        }
        try:
            status, body, _ = self._get(self._url.render(values), self._most_item)
        except SourceError as error:
            if error.reason is SourceReason.TOO_LARGE:
                return Fault.TOO_LARGE
            if error.reason in {SourceReason.AUTH, SourceReason.TLS, SourceReason.DNS, SourceReason.REFUSED}:
                raise
            return Fault.SOURCE
        if status in ABSENT:
            return Fault.MISSING
        if status is None or status >= 300:
            return Fault.SOURCE
        try:
            record = self._at(json.loads(body))
        except (ValueError, RecursionError, LookupError, TypeError):
            wants_text = self._policy.value.type == "string" and self._policy.value.field == "body"
            return {**fields, "body": body} if wants_text else Fault.GARBAGE
        return {**fields, **record, "body": body} if isinstance(record, dict) else Fault.GARBAGE

    def _listed(self, body: bytes) -> Iterator[Found]:
        try:
            try:
                answer = self._at(json.loads(body))
            except ValueError:
                answer = [json.loads(line) for line in body.splitlines() if line.strip()]
        except (ValueError, RecursionError):
            raise SourceError(SourceReason.GARBAGE, "the answer is not JSON") from None
        except (LookupError, TypeError):
            raise SourceError(SourceReason.GARBAGE, "the answer has nothing at `items`") from None
        if not isinstance(answer, list):
            raise SourceError(SourceReason.GARBAGE, "the answer is not a list; say with `items` where it is")
        yield from (record if isinstance(record, dict) else Fault.GARBAGE for record in answer)

    def _at(self, answer: Any) -> Any:
        """Follow `items` into an answer. Raises LookupError or TypeError where there is nothing."""
        for name in (self._settings.items or "").split("."):
            if name:
                answer = answer[int(name)] if isinstance(answer, list) else answer[name]
        return answer

    def _get(self, url: str, most: int) -> tuple[int | None, bytes, str | None]:
        """Ask, and again after what may pass: the status, the body, and the address of the next page."""
        pause = FIRST_PAUSE
        for attempt in range(self._settings.retries + 1):
            last = attempt == self._settings.retries
            try:
                status, body, following, after = self._ask(url, most)
                if status not in PASSING or last:
                    return status, body, following
            except SourceError as error:
                if last or error.reason in {SourceReason.TOO_LARGE, SourceReason.AUTH, SourceReason.TLS}:
                    raise
                after = 0.0
            if self._stopped.wait(min(LONGEST_PAUSE, max(pause, after))):
                break
            pause *= 2
        raise SourceError(SourceReason.CLOSED, "the run was ended")

    def _ask(self, url: str, most: int) -> tuple[int, bytes, str | None, float]:
        until = time.monotonic() + self._settings.timeout
        try:
            here = tracing.ids()
            headers = {"traceparent": here.traceparent} if here is not None else None
            with self._opened().stream("GET", url, headers=headers) as answer:
                if answer.status_code in {401, 403}:
                    raise SourceError(SourceReason.AUTH, f"answered with status {answer.status_code}")
                body = bytearray()
                for chunk in answer.iter_bytes(65536):
                    body += chunk
                    if len(body) > most:
                        raise SourceError(SourceReason.TOO_LARGE, "the answer is larger than the limit")
                    if time.monotonic() > until:
                        raise SourceError(SourceReason.TIMEOUT, "the answer did not end in time")
                following = answer.links.get("next", {}).get("url")
                return answer.status_code, bytes(body), following, _seconds(answer.headers.get("retry-after"))
        except (httpx.HTTPError, httpx.InvalidURL, RuntimeError, OSError) as error:
            raise _http_error(error) from None

    def _opened(self) -> httpx.Client:
        with self._lock:
            if self._client is None:
                headers = {"Accept": "application/json", "User-Agent": "hotkey-exporter"}
                if self._settings.token_file is not None:
                    try:
                        headers["Authorization"] = f"Bearer {read_secret(self._settings.token_file)}"
                    except OSError as error:
                        raise SourceError(SourceReason.AUTH, f"token_file {error.strerror}") from None
                self._client = httpx.Client(headers=headers, timeout=self._settings.timeout)
            return self._client


def _same_origin(url: str, following: str | None) -> str | None:
    """The next page, if it is on the same host: the token is for nobody else."""
    if following is None:
        return None
    there, here = urlsplit(urljoin(url, following)), urlsplit(url)
    same = (there.scheme, there.hostname, there.port) == (here.scheme, here.hostname, here.port)
    return there._replace(netloc=here.netloc).geturl() if same else None


def _seconds(text: str | None) -> float:
    return float(text) if text and text.isdecimal() else 0.0


def _http_error(error: BaseException) -> SourceError:
    """The reason of an error of httpx, whose text may hold the address."""
    if isinstance(error, httpx.TimeoutException):
        return SourceError(SourceReason.TIMEOUT, "no answer in time")
    chain = f"{error!r} {error.__cause__!r} {error.__context__!r}".lower()
    for sign, reason, detail in (
        ("refused", SourceReason.REFUSED, "nothing listens there"),
        ("certificate", SourceReason.TLS, "no TLS connection"),
        ("ssl", SourceReason.TLS, "no TLS connection"),
        ("gaierror", SourceReason.DNS, "the host name cannot be resolved"),
        ("name or service", SourceReason.DNS, "the host name cannot be resolved"),
        ("name resolution", SourceReason.DNS, "the host name cannot be resolved"),
    ):
        if sign in chain:
            return SourceError(reason, detail)
    return SourceError(SourceReason.CLOSED, "the connection broke")
