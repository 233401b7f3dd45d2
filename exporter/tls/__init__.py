"""TLS, to Redis and of our own endpoint.

`contexts` makes SSL contexts of settings, `certificates` reads what a certificate says of itself, `faults` names what
went wrong, and `connection` shakes hands.
"""

from __future__ import annotations

from exporter.tls.contexts import client_context, server_context
from exporter.tls.faults import TlsFault, server_words, tls_fault

__all__ = ["TlsFault", "client_context", "server_context", "server_words", "tls_fault"]
