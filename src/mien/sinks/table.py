"""A table for people, a row a face, printed as the photos come."""

from __future__ import annotations

import io
from collections.abc import Mapping
from types import TracebackType
from typing import BinaryIO, Self

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from mien.plain import plain
from mien.results import Face, Photo, whole

COLUMNS = {"age": 5, "interval": 9, "gender": 14, "face at": 23, "view": 10}
GAP = 2
DISPENSABLE = ("face at", "view")
"""What a narrow terminal goes without, the first of them first, rather than cut names and ages off."""

PLAIN_WIDTH, NARROWEST_NAME, READABLE_NAME = 110, 12, 20


class Table:
    """Columns of fixed width, so that rows need not wait for the last photo; in colour on a terminal."""

    def __init__(self, stream: BinaryIO) -> None:
        self._text = io.TextIOWrapper(stream, "utf-8", "backslashreplace", newline="\n", write_through=True)
        width = None if stream.isatty() else PLAIN_WIDTH
        self._console = Console(file=self._text, width=width, highlight=False, markup=False, emoji=False)
        self._columns = dict(COLUMNS)
        for name in DISPENSABLE:
            if self._room < READABLE_NAME:
                del self._columns[name]
        self._width = max(NARROWEST_NAME, self._room)
        self._row(Text("photo", "bold"), {name: Text(name, "bold") for name in COLUMNS})

    @property
    def _room(self) -> int:
        """Characters that are left for the photo's name."""
        return self._console.width - sum(self._columns.values()) - GAP * len(self._columns)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._text.detach()

    def write(self, photo: Photo) -> None:
        """Print the rows of one photo; its name only on the first."""
        source = Text(_ending(plain(photo.source), self._width))
        if photo.error is not None:
            told = Text.assemble(plain(photo.source), "  ", (plain(photo.error.message), "red"))
            self._console.print(told, soft_wrap=True)
        elif not photo.faces:
            self._row(source, {"gender": Text("no face", "dim")})
        for number, face in enumerate(photo.faces):
            # The faces below the name are numbered as in the records, and as --annotate numbers them.
            self._row(source if number == 0 else Text(f"  face {number}", "dim"), _cells(face))

    def _row(self, name: Text, cells: Mapping[str, RenderableType]) -> None:
        """Print the name and those of the cells whose columns are shown."""
        grid = Grid.grid(padding=(0, GAP, 0, 0), pad_edge=False)
        grid.add_column(width=self._width, no_wrap=True)
        for column, width in self._columns.items():
            grid.add_column(width=width, no_wrap=True, justify="right" if column == "age" else "left")
        grid.add_row(name, *(cells.get(column, "") for column in self._columns))
        self._console.print(grid)


def _ending(name: str, width: int) -> str:
    """A long name loses its beginning, since files are told apart by the end.

    >>> _ending("holiday/beach/IMG_0001.jpg", 16)
    '…ch/IMG_0001.jpg'
    """
    if cell_len(name) <= width:
        return name
    while cell_len(name) >= width:
        name = name[1:]
    return f"…{name}"


def _cells(face: Face) -> dict[str, RenderableType]:
    age, gender, box = face.age, face.gender, face.box
    return {
        "age": Text(f"{age.years:.1f}", "bold yellow"),
        "interval": f"{whole(age.low)}–{whole(age.high)}",
        "gender": f"{gender.label} {gender.percent}",
        "face at": Text(f"{box.width:.0f}×{box.height:.0f} at {box.left:.0f}, {box.top:.0f}", "dim"),
        "view": Text(_view(face), "magenta"),
    }


def _view(face: Face) -> str:
    """One flag, or how many.

    >>> from types import SimpleNamespace as Thing
    >>> _view(Thing(quality=Thing(flags=("small", "blurred"))))
    'small +1'
    """
    flags = face.quality.flags
    return "" if not flags else flags[0] + (f" +{len(flags) - 1}" if len(flags) > 1 else "")
