"""Whole archives: millions of photos to Parquet, by many processes or machines, stopped and resumed at any moment.

A listing divides the photos into chunks, once and for all; each chunk becomes one part, a Parquet file that is there
whole or not at all. So whatever ends a run, the next one makes just the parts that are missing.
"""

from mien.batch.archive import Archive, Course, Outcome, Shard, choose_engine

__all__ = ["Archive", "Course", "Outcome", "Shard", "choose_engine"]
