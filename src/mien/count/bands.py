"""Age bands: "0-12,13-17,65+" and the band of an age."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

from mien.errors import UsageError
from mien.estimate.calibrate import OLDEST

USUAL = "0-12,13-17,18-24,25-34,35-44,45-54,55-64,65+"


@dataclass(frozen=True, slots=True)
class Bands:
    """Age bands without gaps, from 0 to the oldest.

    Attributes:
        firsts: the first whole year of each.
        names: "0-12", ..., "65+".
    """

    firsts: tuple[int, ...]
    names: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Bands from their names, separated by commas.

        Raises:
            UsageError: a name that is none, a gap, an overlap, or bands that leave out some age.

        >>> Bands.parse("0-17, 18+").names
        ('0-17', '18+')
        """
        names = tuple(name.strip() for name in text.split(","))
        ranges = []
        for name in names:
            match = re.fullmatch(r"(\d{1,3})(?:-(\d{1,3})|(\+))", name)
            if match is None:
                raise UsageError(f"an age band is written like 18-24 or 65+, not {name!r}")
            ranges.append((int(match[1]), None if match[3] else int(match[2])))
        for (first, last), (after, _), name in zip(ranges, [*ranges[1:], (None, None)], names, strict=True):
            if after is not None and last is not None and after != last + 1:
                raise UsageError(f"age bands follow each other without gap or overlap: after {name} comes {last + 1}")
            if (last is not None and last < first) or (last is None) != (after is None):
                raise UsageError("the last age band, and only it, is open, like 65+, and none ends before it begins")
        firsts = tuple(first for first, _ in ranges)
        if firsts[0] != 0 or firsts[-1] > OLDEST or any(a >= b for a, b in pairwise(firsts)):
            raise UsageError(f"age bands ascend from 0 to at most {OLDEST}, e.g. {USUAL}")
        return cls(firsts, names)

    def of(self, years: float) -> str:
        """The band of an age; halves count up, as the year k is centred on k.

        >>> Bands.parse("0-17,18+").of(17.4), Bands.parse("0-17,18+").of(17.6)
        ('0-17', '18+')
        """
        return self.names[max(0, bisect_right(self.firsts, int(years + 0.5)) - 1)]

    def __str__(self) -> str:
        return ",".join(self.names)
