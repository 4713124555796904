"""Age and gender from photographs of faces, with honest uncertainty, on a plain CPU and offline.

>>> import mien
>>> analyzer = mien.load("mien-m")  # doctest: +SKIP
>>> photo = analyzer("portrait.jpg")  # doctest: +SKIP
>>> photo.faces[0].age.years, photo.faces[0].gender.label  # doctest: +SKIP
(57.3, 'female')

Names are imported when they are first asked for, so `import mien` itself loads nothing heavy.
"""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers know the name; importing it from `typing` takes as long as all the rest here
if TYPE_CHECKING:
    from typing import Any

    from mien.age_check import AgeCheck, AgeChecker, FaceCheck
    from mien.analyzer import Analyzer, Options, load
    from mien.errors import DataError, MienError, MissingExtra, ModelError, PhotoError, UsageError
    from mien.photos.decode import DecodeOptions
    from mien.results import Age, Box, Face, Failure, Gender, Photo, Quality

__version__ = "0.1.0"

__all__ = [
    "Age",
    "AgeCheck",
    "AgeChecker",
    "Analyzer",
    "Box",
    "DataError",
    "DecodeOptions",
    "Face",
    "FaceCheck",
    "Failure",
    "Gender",
    "MienError",
    "MissingExtra",
    "ModelError",
    "Options",
    "Photo",
    "PhotoError",
    "Quality",
    "UsageError",
    "__version__",
    "load",
]

_ROOMS = {
    "mien.age_check": ("AgeCheck", "AgeChecker", "FaceCheck"),
    "mien.analyzer": ("Analyzer", "Options", "load"),
    "mien.errors": ("DataError", "MienError", "MissingExtra", "ModelError", "PhotoError", "UsageError"),
    "mien.photos.decode": ("DecodeOptions",),
    "mien.results": ("Age", "Box", "Face", "Failure", "Gender", "Photo", "Quality"),
}
_HOME = {name: room for room, names in _ROOMS.items() for name in names}


if not TYPE_CHECKING:  # type checkers are to see the imports above, and to find fault with any other name

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module 'mien' has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(_HOME[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
