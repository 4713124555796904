"""Visitor counts from a video or a camera: how many people of which age band and gender in each interval of time.

Nothing but counts is stored: no picture, no embedding, no record of a single person.
"""

from mien.count.bands import Bands
from mien.count.counting import Counting, CountOptions
from mien.count.run import count
from mien.count.store import Count, Store

__all__ = ["Bands", "Count", "CountOptions", "Counting", "Store", "count"]
