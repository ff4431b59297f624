"""Verdicts as a table in the terminal, as JSON, and as an HTML page with the images side by side.

May import: images, comparison
"""

from zooready.report.page import html
from zooready.report.panels import Panel, Section, section
from zooready.report.tables import table, to_json

__all__ = ["Panel", "Section", "html", "section", "table", "to_json"]
