"""The only sender of MONITOR: bursts of raw lines with exact observation times, and what the lines mean."""
