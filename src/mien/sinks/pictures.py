"""Annotated pictures in a folder, one JPEG for each photo that could be decoded."""

from __future__ import annotations

import re
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien import __version__
from mien.annotate import draw
from mien.errors import UsageError
from mien.names import discard
from mien.results import Photo
from mien.unfinished import create, part_name

_SOFTWARE = 0x0131  # the EXIF tag that names the program
_MARK = "mien"
_MARKED_BYTES = 256  # EXIF stands first in the JPEGs that Pillow writes


class AnnotatedFolder:
    """Writes pictures named after their photos.

    Two photos of the same name from different folders get different names, and no file is ever replaced, unless an
    earlier run of mien made it: the folder may safely be one that photos are read from.
    """

    def __init__(self, folder: Path, *, quality: int = 92) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"cannot make the folder {folder}: {error.strerror}") from error
        self._folder = folder
        self._quality = quality
        self._taken: set[str] = set()

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
        target = self._free(photo.source)
        part = part_name(target)
        exif = Image.Exif()
        exif[_SOFTWARE] = f"{_MARK} {__version__}"
        try:
            drawn = Image.fromarray(draw(pixels, photo))
            with create(part) as stream:
                drawn.save(stream, "JPEG", quality=self._quality, subsampling="4:4:4", exif=exif)
            part.replace(target)
        except OSError as error:
            raise UsageError(f"cannot write {target}: {error.strerror or error}") from error
        finally:
            discard(part)
        return target

    def _free(self, source: str) -> Path:
        stem = re.sub(r"[^\w.-]+", "-", Path(source.rpartition("::")[2]).stem).strip(".-") or "photo"
        stem = stem.encode(errors="ignore")[:150].decode(errors="ignore")  # file systems count bytes
        name, number = stem, 1
        while name.casefold() in self._taken or not self._may_replace(self._folder / f"{name}.jpg"):
            number += 1
            name = f"{stem}-{number}"
        self._taken.add(name.casefold())
        return self._folder / f"{name}.jpg"

    def _may_replace(self, path: Path) -> bool:
        if not path.exists():
            return True
        try:
            with path.open("rb") as file:  # not Image.open, which may warn or refuse what another program left here
                return f"{_MARK} ".encode() in file.read(_MARKED_BYTES)
        except OSError:
            return False
