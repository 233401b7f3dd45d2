"""Certificates rotated under load, by the runbook in docs/certificate-rotation.md: a live Redis, a live exporter.

In: nothing. Out: one line of JSON. For each step of the runbook, the seconds until the exporter used what was new, on
every one of its connections; and over all of it the scrapes, those that failed, and those in which the hot key or the
window was missing. Redis wants client certificates, the exporter's own endpoint has TLS, and both are rotated. A
connection is renewed when it is next used; `enrich.interval` is 2 s here, so that all of them are used.
"""

from __future__ import annotations

import json
import os
import ssl
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.authority import DAY, Authority, until
from tests.program import Exporter
from tests.servers import Server, free_port, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

NOT_AFTER = "redis_tls_certificate_not_after_timestamp_seconds"
STEP_SECONDS = 15.0
"""How long a step may take; the promise is 10 s."""
SCRAPE_SECONDS = 0.2
IDLE_SECONDS = 4.0
"""A connection that was not used for so long is not in use: it is replaced when it is."""
HOT = "product:1"


class Rotation:
    """A deployment whose certificates are all replaced while it is scraped and used. A context manager."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._old, self._new = Authority(directory, "old-ca"), Authority(directory, "new-ca")
        self._stack = ExitStack()
        self._stop = threading.Event()
        self.scrapes = self.failed = self.without_window = 0

    def __enter__(self) -> Rotation:
        """Start everything with certificates of the old authority, and wait until the hot key is known."""
        redis_pair = self._old.issue("redis", "localhost", until=5 * DAY)
        web_pair = self._old.issue("web", "localhost", "127.0.0.1", until=6 * DAY)
        self._install("ca", self._old.ca.read_text())
        self._install_pair("client", self._old.issue("client", until=7 * DAY))
        self._install_pair("web", web_pair)
        tls_port = free_port()
        self.server = self._stack.enter_context(
            Server("redis-7.0", config={
                "tls-port": str(tls_port), "tls-auth-clients": "yes", "tls-ca-cert-file": str(self._old.ca),
                "tls-cert-file": str(redis_pair[0]), "tls-key-file": str(redis_pair[1]),
            })
        )  # fmt: skip
        self._client: Any = self.server.client()
        web = self._directory / "web.json"
        pair = {"cert_file": str(self._file("web.crt")), "key_file": str(self._file("web.key"))}
        web.write_text(json.dumps({"tls_server_config": pair}))
        files = {f"{role}_file": str(self._file(name)) for role, name in
                 (("ca", "ca.crt"), ("cert", "client.crt"), ("key", "client.key"))}  # fmt: skip
        target = {"name": "cache", "url": f"rediss://localhost:{tls_port}", "tls": files}
        self.exporter = Exporter(
            self._directory,
            config={"targets": [target], "web": {"config_file": str(web)}, "enrich": {"interval": "2s"}},
        )
        self._stack.callback(self.exporter.stop)
        self._context = ssl.create_default_context()
        for authority in (self._old, self._new):
            self._context.load_verify_locations(authority.ca)
        load = threading.Thread(target=self._load, args=(self.server.client(),))
        load.start()
        self._stack.callback(load.join)
        self._stack.callback(self._stop.set)
        wait_for(self._is_watched, 20, "the first hot key")
        scraper = threading.Thread(target=self._scrape_on)
        scraper.start()
        self._stack.callback(scraper.join)
        self._stack.callback(self._stop.set)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._stack.close()

    def trust_both(self) -> float:
        """Step 1: whoever verifies trusts the new authority as well. Seconds until all connections are newer."""
        both = self._old.ca.read_text() + self._new.ca.read_text()
        (self._directory / "both.crt").write_text(both)
        self._client.config_set("tls-ca-cert-file", str(self._directory / "both.crt"))
        began = time.monotonic()
        self._install("ca", both)
        return self._renewed(began)

    def replace_the_servers(self) -> float:
        """Step 2: Redis and the exporter's endpoint get certificates of the new authority."""
        cert, key = self._new.issue("redis-2", "localhost", until=15 * DAY)
        web = self._new.issue("web-2", "localhost", "127.0.0.1", until=16 * DAY)
        began = time.monotonic()
        self._client.execute_command("CONFIG", "SET", "tls-cert-file", str(cert), "tls-key-file", str(key))
        self._install_pair("web", web)
        self._expires("server", cert)
        self._expires("web", web[0])
        return self._renewed(began)

    def replace_the_client(self) -> float:
        """Step 3: the exporter gets a client certificate of the new authority, the key last."""
        cert, key = self._new.issue("client-2", until=17 * DAY)
        began = time.monotonic()
        self._install_pair("client", (cert, key))
        self._expires("client", cert)
        return self._renewed(began)

    def drop_the_old(self) -> float:
        """Step 4: nobody trusts the old authority any more."""
        self._client.config_set("tls-ca-cert-file", str(self._new.ca))
        began = time.monotonic()
        self._install("ca", self._new.ca.read_text())
        self._expires("ca", self._new.ca)
        return self._renewed(began)

    def _file(self, name: str) -> Path:
        return self._directory / "installed" / name

    def _install(self, name: str, text: str, suffix: str = ".crt") -> None:
        """Replace a file as one should: written beside it, then renamed over it."""
        place = self._file(f"{name}{suffix}")
        place.parent.mkdir(exist_ok=True)
        beside = place.with_suffix(f"{suffix}.new")
        beside.write_text(text)
        beside.replace(place)

    def _install_pair(self, name: str, pair: tuple[Path, Path]) -> None:
        self._install(name, pair[0].read_text())
        self._install(name, pair[1].read_text(), ".key")

    def _renewed(self, began: float) -> float:
        """Wait until every connection that the exporter uses was made since; returns the seconds it took."""

        def all_newer() -> bool:
            ours = [one for one in self._client.client_list() if one["name"] == "hotkey-exporter"]
            used = [one for one in ours if float(one["idle"]) < IDLE_SECONDS]
            return bool(used) and all(float(one["age"]) < time.monotonic() - began - 1 for one in used)

        wait_for(all_newer, STEP_SECONDS, "every connection to be renewed")
        return time.monotonic() - began

    def _expires(self, role: str, certificate: Path) -> None:
        """Wait until the metric of a role says what the new certificate says."""
        date = until(certificate)
        wait_for(lambda: self._dates().get(role) == date, STEP_SECONDS, f"the new certificate of {role}")

    def _dates(self) -> dict[str, float]:
        return {labels["role"]: value for labels, value in self._scrape().get(NOT_AFTER, [])}

    def _scrape(self) -> dict[str, list[tuple[dict[str, str], float]]]:
        samples: dict[str, list[tuple[dict[str, str], float]]] = {}
        # A new connection each time, as the strictest client would have it.
        url = f"https://127.0.0.1:{self.exporter.port}/metrics"
        text = httpx.get(url, verify=self._context, trust_env=False, timeout=5).raise_for_status().text
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                samples.setdefault(sample.name, []).append((sample.labels, sample.value))
        return samples

    def _is_watched(self) -> bool:
        assert self.exporter.process.poll() is None, self.exporter.log
        try:
            return self._has_window(self._scrape())
        except httpx.TransportError:
            return False

    @staticmethod
    def _has_window(samples: dict[str, list[tuple[dict[str, str], float]]]) -> bool:
        rates = samples.get("redis_hotkey_accesses_per_second", [])
        up = [value for _, value in samples.get("redis_up", [])] == [1.0]
        return up and any(labels["key"] == HOT for labels, _ in rates)

    def _scrape_on(self) -> None:
        while not self._stop.wait(SCRAPE_SECONDS):
            self.scrapes += 1
            try:
                self.without_window += not self._has_window(self._scrape())
            except (httpx.HTTPError, OSError):
                self.failed += 1

    def _load(self, client: redis.Redis) -> None:
        while not self._stop.wait(0.002):
            client.get(HOT)


def steps(rotation: Rotation) -> dict[str, Callable[[], float]]:
    """The runbook, in its order."""
    return {
        "trust_both_seconds": rotation.trust_both,
        "replace_the_servers_seconds": rotation.replace_the_servers,
        "replace_the_client_seconds": rotation.replace_the_client,
        "drop_the_old_seconds": rotation.drop_the_old,
    }


def rotate(directory: Path) -> dict[str, float | int]:
    """Perform the runbook; returns the figures."""
    with Rotation(directory) as rotation:
        taken = {name: round(step(), 1) for name, step in steps(rotation).items()}
        return {
            **taken, "scrapes": rotation.scrapes, "failed_scrapes": rotation.failed,
            "scrapes_without_window": rotation.without_window,
        }  # fmt: skip


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="rotation-") as place:
        print(json.dumps({"benchmark": "rotation", "cpus": os.cpu_count(), **rotate(Path(place))}))
