"""The configuration: a YAML file, the environment and the command line in, frozen and checked values out."""

from __future__ import annotations

from exporter.config.access import Sentinel, Tls
from exporter.config.endpoint import Endpoint
from exporter.config.loader import hash_secret_of, load, secret_of
from exporter.config.settings import (
    Alerts,
    Config,
    Enrich,
    Keys,
    Keyspace,
    Log,
    Override,
    Sampling,
    Stats,
    Target,
    Web,
)

__all__ = [
    "Alerts", "Config", "Endpoint", "Enrich", "Keys", "Keyspace", "Log", "Override", "Sampling", "Sentinel", "Stats",
    "Target", "Tls", "Web", "hash_secret_of", "load", "secret_of",
]  # fmt: skip
