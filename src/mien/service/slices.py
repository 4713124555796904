"""How long work has a thread to itself: between its slices others have it for a while."""

from __future__ import annotations

SHORTEST = 0.05
"""Processor seconds of a slice, or `TIMES` those of a usual photo where these are more."""
TIMES = 2.0
OTHERS = 3.0
"""Slices that others have after each, if so much of their work is there."""
LONG = 2.0
"""Slices after which a photo is put off that was begun in the pause of other work, which has waited long enough."""
_STEP = 1.05


class Slices:
    """Learns what a photo usually takes. Not for several threads at once without a lock."""

    def __init__(self) -> None:
        self._usual = SHORTEST / TIMES

    @property
    def length(self) -> float:
        """Processor seconds of a slice."""
        return max(SHORTEST, TIMES * self._usual)

    def learn(self, seconds: float) -> None:
        """Tell what a photo took: the median is approached, on which a few costly ones have no influence."""
        self._usual *= _STEP if seconds > self._usual else 1 / _STEP
