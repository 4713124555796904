"""A comparison for people: Markdown for a file beside the code, and one self-contained HTML page to look at."""

from mien.learn.report.markdown import to_markdown
from mien.learn.report.page import to_html

__all__ = ["to_html", "to_markdown"]
