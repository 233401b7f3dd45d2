"""Benchmarks: one file per figure that the README claims; `python -m benchmarks.NAME` ends with one JSON line."""
