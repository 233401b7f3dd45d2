"""hotkey-exporter: which keys of a Redis or Valkey server are hot, how hot, and how sure that is."""

__version__ = "0.1.0"
