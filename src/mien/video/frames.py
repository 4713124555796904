"""Frames with their times, from a video file or a camera."""

from __future__ import annotations

from mien.video.camera import Camera, newest
from mien.video.capture import Frame, Source
from mien.video.clip import Clip

__all__ = ["Camera", "Clip", "Frame", "Source", "newest"]
