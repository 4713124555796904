"""Makes a clip of two faces that move, from the portraits of examples/: `python benchmarks/clip.py clip.mp4`.

Tests and benchmarks use it, so that no video need be kept. The two people pass each other, come nearer and go away,
under a flicker of light and sensor noise; where asked for, a post hides one of them for a moment.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
CUTS = {"astronaut.jpg": (110, 0, 350, 290), "hopper.jpg": (110, 40, 420, 420)}
"""Left, top, right and bottom of head and shoulders in each portrait."""

CODECS = {".mp4": "mp4v", ".avi": "MJPG", ".mkv": "mp4v", ".webm": "VP80"}


def frames(
    count: int = 125,
    size: tuple[int, int] = (640, 480),
    *,
    seed: int = 0,
    occlusion: bool = False,
    people: int = 2,
    noise: float = 6.0,
    rate: float = 25.0,
) -> list[NDArray[np.uint8]]:
    """The frames of a clip.

    Args:
        count: how many.
        size: width and height, pixels.
        seed: of noise and flicker.
        occlusion: whether a post hides the first person for about a third of a second.
        people: 0, 1 or 2.
        noise: standard deviation of the sensor's noise, grey levels.
        rate: frames a second.

    Returns:
        uint8 [H, W, 3] BGR, as OpenCV writes them.
    """
    rng = np.random.default_rng(seed)
    width, height = size
    faces = [_portrait(name) for name in list(CUTS)[:people]]
    across = np.linspace(70, 150, width)[None, :, None] * np.ones((height, 1, 3))
    background = across.astype(np.float32)
    grain = noise * rng.standard_normal((2 * height, 2 * width, 1), dtype=np.float32)  # each frame sees another part
    out = []
    for index in range(count):
        seconds, share = index / rate, index / max(1, count - 1)
        picture = background.copy()
        for who, face in enumerate(faces):
            scale = 0.42 * height / face.shape[0] * (1 + 0.12 * math.sin(2 * math.pi * (share + 0.3 * who)))
            x = width * (0.22 + 0.56 * share if who == 0 else 0.78 - 0.56 * share)
            y = height * ((0.34, 0.66)[who] + 0.03 * math.sin(2 * math.pi * seconds * (0.7 + 0.2 * who)))
            _paste(picture, face, x, y, scale)
        if occlusion and share > 0.4:
            hidden = seconds - 0.4 * (count - 1) / rate
            if hidden < 0.32:
                left = round(width * (0.22 + 0.56 * share) - 0.2 * height)
                picture[: round(0.55 * height), max(0, left) : left + round(0.4 * height)] = (60, 66, 58)
        light = 1 + 0.08 * math.sin(2 * math.pi * 3.1 * seconds) + 0.04 * rng.standard_normal()
        shift = rng.integers(0, (height, width))
        noisy = picture * np.float32(light) + grain[shift[0] : shift[0] + height, shift[1] : shift[1] + width]
        out.append(np.clip(noisy, 0, 255).astype(np.uint8))
    return out


def write(path: Path, pictures: list[NDArray[np.uint8]], rate: float = 25.0) -> Path:
    """Write frames as a video, in the codec of the path's suffix."""
    height, width = pictures[0].shape[:2]
    codec = cv2.VideoWriter.fourcc(*CODECS[path.suffix])
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, codec, rate, (width, height))
    for picture in pictures:
        writer.write(picture)
    writer.release()
    return path


def _portrait(name: str) -> NDArray[np.float32]:
    left, top, right, bottom = CUTS[name]
    picture = cv2.imread(str(EXAMPLES / name))
    assert picture is not None, f"no picture {EXAMPLES / name}"
    return picture[top:bottom, left:right].astype(np.float32)


def _paste(picture: NDArray[np.float32], face: NDArray[np.float32], x: float, y: float, scale: float) -> None:
    """Blend a face in, its edges soft, at subpixel place and size; what lies outside of the picture is cut."""
    height, width = face.shape[:2]
    left, top = max(0, math.floor(x - scale * width / 2)), max(0, math.floor(y - scale * height / 2))
    right = min(picture.shape[1], math.ceil(x + scale * width / 2) + 1)
    bottom = min(picture.shape[0], math.ceil(y + scale * height / 2) + 1)
    matrix = np.array([[scale, 0, x - scale * width / 2 - left], [0, scale, y - scale * height / 2 - top]])
    size = (right - left, bottom - top)
    oval = np.zeros((height, width), np.float32)
    cv2.ellipse(oval, (width // 2, height // 2), (round(0.46 * width), round(0.47 * height)), 0, 0, 360, 1.0, -1)
    mask = cv2.GaussianBlur(oval, (0, 0), 0.02 * height)
    moved = cv2.warpAffine(face, matrix, size, flags=cv2.INTER_AREA if scale < 0.5 else cv2.INTER_LINEAR)
    alpha = cv2.warpAffine(mask, matrix, size, flags=cv2.INTER_LINEAR)[:, :, None]
    below = picture[top:bottom, left:right]
    below += alpha * (moved - below)


def main() -> None:
    """Write a clip to the path given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--occlusion", action="store_true")
    options = parser.parse_args()
    write(options.path, frames(round(25 * options.seconds), occlusion=options.occlusion))


if __name__ == "__main__":
    main()
