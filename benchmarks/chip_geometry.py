"""Where a detector sees the five points on the chips of UTKFace: the measurement behind the crop contract.

Each chip of the train fold is padded by repeating its border, as it is and mirrored, so that neither side is favoured.
The contract takes the medians: then `mien.faces.align` cuts a photo as the chips were cut.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from mien.faces import create
from mien.learn.data.readers import read
from mien.photos.decode import decode

MIRRORED = (1, 0, 2, 4, 3)  # the left eye of a mirrored chip is the right one
PAD = 60


def main() -> None:
    """Print medians and quartile distances, in pixels of a 200-pixel chip."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/utkface/images"))
    parser.add_argument("--folds", type=Path, default=Path("../shared/data/utkface/splits.csv"))
    parser.add_argument("--detector", default="mtcnn")
    parser.add_argument("--chips", type=int, default=1000)
    options = parser.parse_args()
    faces = read(options.data, options.folds).select(fold="train").present()
    chosen = np.random.default_rng(0).permutation(len(faces))[: options.chips]
    detector = create(options.detector)
    found = []
    for index in chosen:
        chip = decode(faces.paths[index].read_bytes()).pixels
        size = chip.shape[0]
        pair = []
        for picture in (chip, np.ascontiguousarray(chip[:, ::-1])):
            padded = cv2.copyMakeBorder(picture, PAD, PAD, PAD, PAD, cv2.BORDER_REPLICATE)
            faces_here = detector.detect(np.asarray(padded, np.uint8))
            if len(faces_here) == 1 and faces_here[0].landmarks is not None:
                pair.append((np.array(faces_here[0].landmarks) - PAD) * 200 / size)
        if len(pair) == 2:
            back = np.column_stack([200 - pair[1][:, 0], pair[1][:, 1]])[list(MIRRORED)]
            found.append((pair[0] + back) / 2)
    points = np.array(found)
    low, middle, high = np.percentile(points, [25, 50, 75], axis=0)
    print(f"{options.detector}: one face in both views of {len(points)} of {len(chosen)} chips")
    for name, at, spread in zip(
        ("left eye", "right eye", "nose", "left mouth", "right mouth"), middle, high - low, strict=True
    ):
        print(f"{name:12} x {at[0]:6.1f} y {at[1]:6.1f}   quartile distance {spread[0]:.1f}, {spread[1]:.1f}")


if __name__ == "__main__":
    main()
