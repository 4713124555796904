"""Pictures in a folder, as JPEG: photos with their faces marked, or the faces alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien import __version__
from mien.drawing.faces import draw
from mien.errors import UsageError
from mien.names import discard
from mien.results import Photo
from mien.unfinished import create, part_name

_SOFTWARE = 0x0131  # the EXIF tag that names the program
_MARK = "mien"
_MARKED_BYTES = 256  # EXIF stands first in the JPEGs that Pillow writes


class _Folder:
    """Files named after photos.

    Two photos of the same name from different folders get different names, and no file is ever replaced, unless an
    earlier run of mien made it: the folder may safely be one that photos are read from.
    """

    def __init__(self, folder: Path, *, quality: int) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"cannot make the folder {folder}: {error.strerror}") from error
        self._folder = folder
        self._quality = quality
        self._taken: set[str] = set()

    def save(self, name: str, pixels: NDArray[np.uint8]) -> Path:
        """Write a picture; the file is there whole or not at all."""
        target = self._folder / name
        part = part_name(target)
        exif = Image.Exif()
        exif[_SOFTWARE] = f"{_MARK} {__version__}"
        try:
            with create(part) as stream:
                Image.fromarray(pixels).save(stream, "JPEG", quality=self._quality, subsampling="4:4:4", exif=exif)
            part.replace(target)
        except OSError as error:
            raise UsageError(f"cannot write {target}: {error.strerror or error}") from error
        finally:
            discard(part)
        return target

    def names(self, source: str, endings: Sequence[str]) -> list[str]:
        """Free names for one photo, one for each ending."""
        stem = re.sub(r"[^\w.-]+", "-", Path(source.rpartition("::")[2]).stem).strip(".-") or "photo"
        stem = stem.encode(errors="ignore")[:150].decode(errors="ignore")  # file systems count bytes
        start, number = stem, 1
        while not all(self._is_free(f"{start}{ending}.jpg") for ending in endings):
            number += 1
            start = f"{stem}-{number}"
        found = [f"{start}{ending}.jpg" for ending in endings]
        self._taken.update(name.casefold() for name in found)
        return found

    def _is_free(self, name: str) -> bool:
        path = self._folder / name
        if name.casefold() in self._taken:
            return False
        if not path.exists():
            return True
        try:
            with path.open("rb") as file:  # not Image.open, which may warn or refuse what another program left here
                return f"{_MARK} ".encode() in file.read(_MARKED_BYTES)
        except OSError:
            return False


class AnnotatedFolder:
    """Photos with their faces marked, numbered from 0 as in the records where there are several."""

    def __init__(self, folder: Path, *, quality: int = 92) -> None:
        """Make the folder.

        Raises:
            UsageError: it cannot be made.
        """
        self._files = _Folder(folder, quality=quality)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def write(self, photo: Photo, pixels: NDArray[np.uint8]) -> Path:
        """Draw a photo's faces onto its decoded pixels [H, W, 3] and save that; the file is there whole or not at all.

        Raises:
            UsageError: the folder cannot be written to.
        """
        (name,) = self._files.names(photo.source, [""])
        numbers = range(len(photo.faces)) if len(photo.faces) > 1 else None
        return self._files.save(name, draw(pixels, photo, numbers=numbers))


class CropFolder:
    """The faces alone, each the aligned chip that the model saw: `NAME-face0.jpg`, numbered as in the records."""

    def __init__(self, folder: Path, *, quality: int = 95) -> None:
        """Make the folder.

        Raises:
            UsageError: it cannot be made.
        """
        self._files = _Folder(folder, quality=quality)

    def write(self, photo: Photo, chips: NDArray[np.uint8]) -> list[Path]:
        """Save the chips [N, S, S, 3] of a photo's faces.

        Raises:
            UsageError: the folder cannot be written to.
        """
        names = self._files.names(photo.source, [f"-face{number}" for number in range(len(chips))])
        return [self._files.save(name, chip) for name, chip in zip(names, chips, strict=True)]
