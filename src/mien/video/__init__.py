"""Faces in video: followed from frame to frame, their ages and genders averaged over time so that they do not jump.

>>> import mien
>>> from mien import video
>>> with video.analyze("clip.mp4", mien.load()) as clip:  # doctest: +SKIP
...     for frame in clip:
...         for seen in frame.faces:
...             print(frame.seconds, seen.track, seen.age.years, seen.gender.label)
...     for track in clip.tracks():
...         print(track.number, track.seconds, track.age.years, (track.age.low, track.age.high))
"""

from mien.video.frames import Camera, Clip, Frame
from mien.video.recording import Recorded, record
from mien.video.records import Seen, Track, TrackedFrame
from mien.video.run import Analysis, analyze
from mien.video.tracker import TrackerOptions

__all__ = [
    "Analysis",
    "Camera",
    "Clip",
    "Frame",
    "Recorded",
    "Seen",
    "Track",
    "TrackedFrame",
    "TrackerOptions",
    "analyze",
    "record",
]
