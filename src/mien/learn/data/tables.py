"""CSV tables of labels: their rows, and what an age or gender cell says."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from mien.errors import DataError
from mien.estimate.calibrate import OLDEST

MALE = frozenset({"0", "0.0", "m", "male", "man", "men"})
FEMALE = frozenset({"1", "1.0", "f", "female", "woman", "women"})


def header(path: Path) -> list[str]:
    """Column names of a table, in lower case.

    Raises:
        DataError: the file is no CSV table.
    """
    return next(_lines(path), (0, []))[1]


def rows(path: Path, problems: list[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Rows of a table that has a column `file`.

    Args:
        path: UTF-8, commas, a header.
        problems: takes a sentence for each row that is left out: without a file, with one listed before (unless its
            columns x and y state another point of it), or with more cells than there are columns (a comma in a name
            moves every label).

    Yields:
        Where the row stands, for messages, and its cells by column.
    """
    lines = _lines(path)
    names = next(lines, (0, []))[1]
    seen: set[tuple[str, str, str]] = set()
    for number, cells in lines:
        where = f"{path.name} row {number}"
        row = dict(zip(names, cells, strict=False))
        file = row.get("file", "")
        key = file, row.get("x", ""), row.get("y", "")
        if len(cells) > len(names):
            problems.append(f"{where}: {len(cells)} cells under {len(names)} columns, left out")
        elif not file:
            problems.append(f"{where}: no file name, left out")
        elif key in seen:
            problems.append(f"{where}: {file} is listed before, left out")
        else:
            seen.add(key)
            yield where, row


def face_rows(path: Path, problems: list[str]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """The same rows, each with a name of its own: a photograph's second face is called "FILE#2"."""
    times: Counter[str] = Counter()
    for where, cells in rows(path, problems):
        file = cells["file"]
        times[file] += 1
        yield where, file if times[file] == 1 else f"{file}#{times[file]}", cells


def parse_age(cell: str, where: str, problems: list[str]) -> int | None:
    """Whole years, or None where the cell is empty or (told in `problems`) no age.

    >>> parse_age("34", "row 2", []), parse_age("34.0", "row 2", []), parse_age("", "row 2", [])
    (34, 34, None)
    """
    if not cell:
        return None
    try:
        years = float(cell)
    except ValueError:
        years = -1.0
    if 0 <= years <= OLDEST and years.is_integer():
        return int(years)
    problems.append(f"{where}: age {cell!r} is no whole number from 0 to {OLDEST}, taken as unknown")
    return None


def parse_bounds(low: str, high: str, where: str, problems: list[str]) -> tuple[float, float] | None:
    """Years between which an age lies, or None where both cells are empty or (told in `problems`) state no such thing.

    >>> parse_bounds("47.9", "54.4", "row 2", []), parse_bounds("", "", "row 2", [])
    ((47.9, 54.4), None)
    """
    years = _pair(low, high)
    if years is None or 0 <= years[0] <= years[1] <= OLDEST:
        return years
    problems.append(f"{where}: ages from {low!r} to {high!r} are no bounds within 0 to {OLDEST}, taken as unknown")
    return None


def parse_point(x: str, y: str, where: str, problems: list[str]) -> tuple[float, float] | None:
    """A point of a picture in pixels, or None where both cells are empty or (told in `problems`) state no such thing.

    >>> parse_point("120", "88.5", "row 2", []), parse_point("", "", "row 2", [])
    ((120.0, 88.5), None)
    """
    at = _pair(x, y)
    if at is None or all(math.isfinite(one) and one >= 0 for one in at):
        return at
    problems.append(f"{where}: x {x!r} and y {y!r} are no point of a picture in pixels, taken as unknown")
    return None


def _pair(first: str, second: str) -> tuple[float, float] | None:
    """Two cells as numbers, NaN where one is none; None where both are empty."""
    try:
        return (float(first), float(second)) if first or second else None
    except ValueError:
        return math.nan, math.nan


def parse_gender(cell: str, where: str, problems: list[str]) -> int:
    """1 female, 0 male, or -1 where the cell is empty or (told in `problems`) neither.

    >>> parse_gender("Woman", "row 2", []), parse_gender("m", "row 2", []), parse_gender("", "row 2", [])
    (1, 0, -1)
    """
    female = parse_gender_word(cell)
    if cell and female < 0:
        problems.append(f"{where}: gender {cell!r} is none of 0/1, m/f, male/female, man/woman, taken as unknown")
    return female


def parse_gender_word(word: str) -> int:
    """1 for a word that means female, 0 for male, -1 for any other; 0 and 1 as UTKFace has them."""
    word = word.lower()
    if word in FEMALE:
        return 1
    return 0 if word in MALE else -1


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Numbered non-empty lines, cells stripped; the header, which comes first, in lower case."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            first = True
            for cells in reader:
                if any(cells):
                    yield reader.line_num, [cell.strip().lower() if first else cell.strip() for cell in cells]
                    first = False
    except UnicodeDecodeError as error:
        raise DataError(f"{path} cannot be read as a CSV table: it is no text in UTF-8") from error
    except (OSError, csv.Error) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{path} cannot be read as a CSV table: {why}") from error
