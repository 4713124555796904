"""How the commands are told at which size and in which turn to look for faces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from mien.errors import UsageError

if TYPE_CHECKING:
    from mien.looking import Rotation


def side_of(word: str) -> int | Literal["auto"] | None:
    """What --side says: a number of pixels, "auto", or "full" for no reduction.

    >>> side_of("1024"), side_of("auto"), side_of("full")
    (1024, 'auto', None)

    Raises:
        UsageError: anything else.
    """
    if word == "auto":
        return "auto"
    if word == "full":
        return None
    if not word.isdecimal() or int(word) < 1:
        raise UsageError(f"--side is {word!r}: give a number of pixels, full or auto")
    return int(word)


def rotation(word: str) -> Rotation:
    """What --rotate says: a quarter turn, or "auto".

    >>> rotation("270"), rotation("auto")
    (270, 'auto')

    Raises:
        UsageError: anything else.
    """
    if word not in {"auto", "0", "90", "180", "270"}:
        raise UsageError(f"--rotate is {word!r}: give auto, 0, 90, 180 or 270")
    return cast("Rotation", word if word == "auto" else int(word))
