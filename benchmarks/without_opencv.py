"""Could the core do without OpenCV, 162 MB of its install? Warps and resizes by Pillow and by NumPy, against OpenCV's.

    python benchmarks/without_opencv.py examples/hopper.jpg examples/astronaut.jpg

For each photo: what a photo costs, how far ages and boxes move, and how many pixels of the chips differ, where every
warp and every resize of `faces/` is done by the other library.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

import mien
from mien.faces import Detection, align, mtcnn, pyramid

Pixels = NDArray[np.uint8]
CHIP, SIDE, FRAME = 192, 1024, 96


def by_numpy_warp(
    pixels: Pixels,
    matrix: NDArray[np.float64],
    size: tuple[int, int],
    *,
    dst: Pixels | None = None,
    flags: int = 0,
    borderMode: int = cv2.BORDER_CONSTANT,  # noqa: N803
) -> Pixels:
    """Bilinear samples; the border is black or repeated."""
    inverse = matrix if flags & cv2.WARP_INVERSE_MAP else cv2.invertAffineTransform(matrix)
    pixels = _framed(pixels, borderMode)
    column, row = np.meshgrid(np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32))
    x, y = (np.float32(a) * column + np.float32(b) * row + np.float32(c + FRAME) for a, b, c in inverse)
    left, top = np.floor(x).astype(np.intp), np.floor(y).astype(np.intp)
    right_share, lower_share = (x - left)[..., None], (y - top)[..., None]
    columns = [np.clip(left + step, 0, pixels.shape[1] - 1) for step in (0, 1)]
    rows = [np.clip(top + step, 0, pixels.shape[0] - 1) for step in (0, 1)]
    upper, lower = (pixels[at, columns[0]] * (1 - right_share) + pixels[at, columns[1]] * right_share for at in rows)
    found = np.asarray(np.rint(upper * (1 - lower_share) + lower * lower_share), np.uint8)
    if dst is not None:
        dst[...] = found
    return found


def _framed(pixels: Pixels, border: int) -> Pixels:
    return np.asarray(cv2.copyMakeBorder(pixels, FRAME, FRAME, FRAME, FRAME, border), np.uint8)


def by_numpy_resize(pixels: Pixels, size: tuple[int, int], interpolation: int = 0) -> Pixels:
    """Each pixel the mean of the area below it, one side after the other."""
    halves = (pixels.shape[1], pixels.shape[0]) == (2 * size[0], 2 * size[1])
    if halves:
        wide = pixels.astype(np.uint16)
        return np.asarray((wide[::2, ::2] + wide[1::2, ::2] + wide[::2, 1::2] + wide[1::2, 1::2] + 2) >> 2, np.uint8)
    return np.asarray(np.rint(_along(_along(pixels.astype(np.float32), size[1], 0), size[0], 1)), np.uint8)


def _along(values: NDArray[np.float32], length: int, axis: int) -> NDArray[np.float32]:
    step = values.shape[axis] / length
    edges = np.arange(length + 1) * step
    first = np.floor(edges[:-1] + 1e-9).astype(int)
    out: NDArray[np.float32] | None = None
    for tap in range(int(np.ceil(step)) + 1):
        at = first + tap
        share = np.clip(np.minimum(edges[1:], at + 1) - np.maximum(edges[:-1], at), 0, None) / step
        shape = [1] * values.ndim
        shape[axis] = length
        part = np.take(values, np.minimum(at, values.shape[axis] - 1), axis=axis) * share.astype(np.float32).reshape(
            shape
        )
        out = part if out is None else out + part
    assert out is not None
    return out


def by_pillow_warp(
    pixels: Pixels,
    matrix: NDArray[np.float64],
    size: tuple[int, int],
    *,
    dst: Pixels | None = None,
    flags: int = 0,
    borderMode: int = cv2.BORDER_CONSTANT,  # noqa: N803
) -> Pixels:
    """`Image.transform`, bilinear, of the picture with a frame, since Pillow has none."""
    inverse = matrix if flags & cv2.WARP_INVERSE_MAP else cv2.invertAffineTransform(matrix)
    a, b, c, d, e, f = np.asarray(inverse, np.float64).ravel().tolist()
    half = FRAME + 0.5  # Pillow counts from corners, OpenCV from the middle of the first pixel
    moved = (a, b, c + half - (a + b) / 2, d, e, f + half - (d + e) / 2)
    framed = Image.fromarray(_framed(pixels, borderMode))
    found = np.asarray(framed.transform(size, Image.Transform.AFFINE, moved, Image.Resampling.BILINEAR))
    if dst is not None:
        dst[...] = found
    return found


def by_pillow_resize(pixels: Pixels, size: tuple[int, int], interpolation: int = 0) -> Pixels:
    """`Image.reduce` where that is all, else `Image.resize` with the box filter."""
    picture = Image.fromarray(pixels)
    if picture.size == (2 * size[0], 2 * size[1]):
        return np.asarray(picture.reduce(2))
    return np.asarray(picture.resize(size, Image.Resampling.BOX))


WAYS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "OpenCV": (cv2.warpAffine, cv2.resize),
    "Pillow": (by_pillow_warp, by_pillow_resize),
    "NumPy": (by_numpy_warp, by_numpy_resize),
}


@contextmanager
def instead(warp: Callable[..., Any], resize: Callable[..., Any]) -> Iterator[None]:
    """Have `faces/` warp and resize by these."""
    other = SimpleNamespace(**{**vars(cv2), "warpAffine": warp, "resize": resize})
    for module in (align, mtcnn, pyramid):
        vars(module)["cv2"] = other
    try:
        yield
    finally:
        for module in (align, mtcnn, pyramid):
            vars(module)["cv2"] = cv2


def least(work: Callable[[], object], times: int = 7) -> float:
    """Milliseconds, the least of some tries."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return 1000 * min(found)


def alone() -> None:
    """One warp of a chip, and one resize to 0.7 of a megapixel."""
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    matrix = np.array([[0.7, 0.1, -200.0], [-0.1, 0.7, -150.0]])
    small = round(0.7 * SIDE)
    for name, (warp, resize) in WAYS.items():
        chip = least(lambda warp=warp: warp(pixels, matrix, (CHIP, CHIP)))  # type: ignore[misc]
        whole = least(lambda resize=resize: resize(pixels, (small, small), interpolation=cv2.INTER_AREA))  # type: ignore[misc]
        print(f"{name}: warp of a chip {chip:.2f} ms, resize {SIDE} -> {small} {whole:.1f} ms")


def main(files: list[Path]) -> None:
    """Print how photos fare under each."""
    cv2.setNumThreads(1)
    alone()
    analyzer = mien.load()
    for file in files:
        known = None
        for name, ways in WAYS.items():
            with instead(*ways):
                photo = analyzer(file)
                spent = least(lambda file=file: analyzer(file), 5)  # type: ignore[misc]
                face = photo.faces[0]
                found = Detection(face.box, face.score, face.landmarks)
                chip = align.align(np.asarray(Image.open(file).convert("RGB")), found, analyzer.estimator.contract)
            known = known or (face, chip)
            off = np.abs(chip.astype(int) - known[1])
            moved = max(
                abs(a - b) for a, b in zip(face.box.to_dict().values(), known[0].box.to_dict().values(), strict=True)
            )
            print(
                f"{file.name}, {name}: {spent:.0f} ms, age {face.age.years:.2f} "
                f"({face.age.years - known[0].age.years:+.2f}), box moved by {moved:.1f} pixels, "
                f"{100 * (off > 0).mean():.0f} % of the chip differs, by {off.max()} at most"
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("files", nargs="+", type=Path)
    main(parser.parse_args().files)
