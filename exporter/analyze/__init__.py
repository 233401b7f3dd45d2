"""Hot keys of a saved MONITOR stream: `counting` makes the report, `report` writes it."""

from exporter.analyze.counting import KeyCount, Report, analyze
from exporter.analyze.report import to_json, to_text

__all__ = ["KeyCount", "Report", "analyze", "to_json", "to_text"]
