"""Which TIFF pictures are read, and by what: Pillow, our own reader of samples, or nothing.

TIFF may hold nearly everything, and Pillow takes some of it for something else without a word (16 bits in planes, white
as zero at 16 bits, samples of 12 bits). So a picture is given to Pillow only where its kind is one that Pillow reads
rightly; `tiff_samples` reads whole numbers of other layouts; all else is refused rather than guessed at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mien.errors import PhotoUnsupported
from mien.photos.tiff import Page

COLOURS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3}
"""Photometric interpretation -> samples of a colour: white is 0, black is 0, RGB, palette, inks, YCbCr, CIE L*a*b*."""

TAGS = (258, 259, 262, 266, 277, 284, 317, 338, 339)
"""What tells a kind."""

_RAW = frozenset({32803, 34892})  # a colour filter's mosaic, linear raw
_STORED = frozenset({1, 5, 8, 32773, 32946, 34925, 50000})  # none, LZW, Deflate, PackBits, Deflate, LZMA, Zstandard
_PREDICTED = frozenset({5, 8, 32946, 34925, 50000})  # of these, those with a predictor; readers disagree on the others
_FAX = frozenset({2, 3, 4})
_JPEG = frozenset({6, 7})
_MOST_SAMPLES = 6
_UNSIGNED, _SIGNED, FLOAT, _UNDEFINED = 1, 2, 3, 4
_FORMATS = {_SIGNED: "signed numbers", FLOAT: "floating point numbers"}


@dataclass(frozen=True, slots=True)
class Kind:
    """How a TIFF picture says that its pixels are laid out.

    Attributes:
        photometric: what the samples mean, a key of `COLOURS`.
        samples: samples a pixel, extra ones included.
        bits: of each sample.
        format: 1 for unsigned numbers, 2 for signed ones, 3 for floating point, 5 and 6 for complex ones.
        planes: whether each sample is stored as a picture of its own.
        compression: number of the method.
        predictor: 2 where samples are differences to those on the left.
        reversed: whether the bits of each byte are stored in reverse order.
        extra: meaning of the extra samples: 1 for alpha that colours are multiplied with, 2 for alpha, 0 for neither.
    """

    photometric: int
    samples: int
    bits: int
    format: int
    planes: bool
    compression: int
    predictor: int
    reversed: bool
    extra: tuple[int, ...]


def kind_of(page: Page) -> Kind:
    """The kind of a page.

    Raises:
        PhotoUnsupported: no reader knows such pictures, or the page contradicts itself.
        ValueError: the file ends before what tells the kind.
    """
    photometric = page.number(262, -1)
    if photometric in _RAW:
        raise PhotoUnsupported("raw data of a camera cannot be read: export the photo as JPEG or PNG")
    if photometric not in COLOURS:
        raise unsupported(f"photometric interpretation {photometric}" if photometric >= 0 else "unstated colours")
    samples = page.number(277, 1)
    if not COLOURS[photometric] <= samples <= _MOST_SAMPLES:
        raise unsupported(f"{samples} samples a pixel")
    bits, formats = set(page.numbers(258, (1,))), set(page.numbers(339, (_UNSIGNED,)))
    if len(bits) > 1 or len(formats) > 1:
        raise unsupported("samples of different kinds")
    return Kind(
        photometric=photometric,
        samples=samples,
        bits=bits.pop(),
        format=_UNSIGNED if formats == {_UNDEFINED} else formats.pop(),
        planes=page.number(284, 1) == 2 and samples > 1,
        compression=page.number(259, 1),
        predictor=page.number(317, 1),
        reversed=page.number(266, 1) == 2,
        extra=page.numbers(338),
    )


def misread(kind: Kind, *, big_endian: bool) -> bool:
    """Whether Pillow shows a picture of this kind otherwise than it is meant, and without a word."""
    if kind.format == FLOAT:
        return (big_endian and kind.compression != 1) or kind.photometric != 1
    if kind.format != _UNSIGNED:
        return True
    deep = kind.bits > 8
    return kind.bits not in {1, 2, 4, 8, 16} or (deep and (kind.planes or kind.photometric == 0))


def reader(page: Page) -> Literal["pillow", "samples"]:
    """What reads a page rightly: Pillow, or `tiff_samples`.

    Raises:
        PhotoUnsupported: neither does.
    """
    kind = kind_of(page)
    if kind.photometric == 5 and page.number(332, 1) != 1:
        raise unsupported("inks that are not cyan, magenta, yellow and black")
    if kind.compression in _JPEG | _FAX:
        return _of_picture_codec(kind)
    if kind.compression not in _STORED:
        raise unsupported(f"compression {kind.compression}")
    if kind.predictor != 1 and kind.compression not in _PREDICTED:
        raise unsupported(f"predictor {kind.predictor} without a compression that has one")
    if kind.format == FLOAT and (kind.bits, kind.samples, kind.photometric) == (32, 1, 1):
        if kind.predictor not in {1, 3}:
            raise unsupported(f"predictor {kind.predictor}")
        return "samples"  # Pillow takes compressed ones in big-endian order for little-endian ones
    if kind.format != _UNSIGNED:
        raise unsupported(_FORMATS.get(kind.format, "complex numbers"))
    if not 1 <= kind.bits <= 16 or (kind.predictor != 1 and (kind.predictor, kind.bits) not in {(2, 8), (2, 16)}):
        raise unsupported(f"samples of {kind.bits} bits" + (" and this predictor" if kind.predictor != 1 else ""))
    if _pillow_knows(kind):
        return "pillow"
    if kind.photometric == 0 and 1 in kind.extra:
        raise unsupported("white as 0 and colours multiplied with alpha")
    if kind.photometric not in {0, 1, 2, 5}:
        raise unsupported("such a palette" if kind.photometric == 3 else "YCbCr or CIE L*a*b* colours like these")
    return "samples"


def unsupported(what: str) -> PhotoUnsupported:
    """The error for a kind of TIFF that is not read."""
    return PhotoUnsupported(f"TIFF pictures with {what} cannot be read: save it as PNG or JPEG")


def _of_picture_codec(kind: Kind) -> Literal["pillow"]:
    """JPEG and fax, which know depth and samples themselves."""
    fax = kind.compression in _FAX
    right = (kind.bits, kind.samples) == (1, 1) and kind.photometric in {0, 1} if fax else _as_jpeg(kind)
    if not right:
        raise unsupported(f"{'fax' if fax else 'JPEG'} data of this kind")
    return "pillow"


def _as_jpeg(kind: Kind) -> bool:
    return kind.bits == 8 and kind.samples == COLOURS[kind.photometric] and kind.photometric in {1, 2, 5, 6}


def _pillow_knows(kind: Kind) -> bool:
    """Whether Pillow reads such whole numbers, which lie neither in planes nor with their bits reversed."""
    if kind.planes or (kind.reversed and kind.bits != 1):
        return False
    depths = {
        (0, 1): {1, 2, 4, 8},
        (1, 1): {1, 2, 4, 8, 16},
        (2, 3): {8, 16},
        (2, 4): {8},
        (3, 1): {1, 2, 4, 8},
        (5, 4): {8},
        (8, 3): {8},
    }
    return kind.bits in depths.get((kind.photometric, kind.samples), set())
