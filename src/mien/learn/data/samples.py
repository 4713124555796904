"""The public-domain portraits in `examples/`, for figures that show a face: none of the data may be shown."""

from __future__ import annotations

from pathlib import Path

from mien.arrays import Pixels
from mien.errors import UsageError
from mien.faces import DetectorOptions, create
from mien.faces.align import CropContract, align
from mien.photos.decode import decode
from mien.photos.item import read_file

EXAMPLES = Path(__file__).resolve().parents[4] / "examples"
"""Of a checkout of mien; an installed package has none."""

HOPPER, ASTRONAUT = "hopper.jpg", "astronaut.jpg"


def sample_photo(path: Path | None = None, sample: str = HOPPER) -> Pixels:
    """A portrait RGB uint8 [H, W, 3].

    Args:
        path: of a photo; None for the sample.
        sample: its name in `examples/`.

    Raises:
        UsageError: no photo was given and there are no samples here.
        PhotoError: the photo cannot be read.
    """
    if path is None and not (EXAMPLES / sample).is_file():
        raise UsageError("the sample portraits lie in a checkout of mien, not in the package: give a photo of a face")
    return decode(read_file(path or EXAMPLES / sample)).pixels


def sample_chip(pixels: Pixels, size: int = 200) -> Pixels:
    """The largest face of a photo, found by MTCNN and aligned: RGB uint8 [size, size, 3].

    Raises:
        UsageError: there is no face.
    """
    faces = create("mtcnn", DetectorOptions(max_faces=1)).detect(pixels)
    if not faces:
        raise UsageError("there is no face in the photo: give another")
    return align(pixels, faces[0], CropContract.utkface(size))
