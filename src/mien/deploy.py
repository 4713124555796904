"""The deployment of system (d): one picture of one face, without looking for the face.

The paper crops the picture's middle to a square, resizes it to 200 pixels with Lanczos's filter, asks its two separate
networks for age and gender, prints both and shows the picture at 300x300.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from PIL import Image

from mien.estimate import bundle
from mien.estimate.calibrate import expectation
from mien.estimate.estimator import Estimator
from mien.photos.decode import DecodeOptions, decode
from mien.photos.item import read_file
from mien.results import Gender

SHOWN = 300
"""Side in pixels of the picture that is given back."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Answers of the networks for one picture.

    Attributes:
        years: estimated age.
        gender: the likelier label and its probability.
        picture: the square that they saw, 300x300 pixels.
    """

    years: float
    gender: Gender
    picture: Image.Image


def process_and_predict(
    file: str | Path, model: str | Path | Estimator = "mien-m", stream: TextIO | None = None
) -> Image.Image:
    """Estimate one face, print age and gender, and give the picture to look at.

    Use this only for pictures that show one face, upright, in the middle and large, like a passport photo or a chip of
    a data set: nothing looks for a face, so any picture gets an answer, and a face that fills the square less than the
    training chips do gets a worse one. For photos as people take them use `mien.load()`, which finds every face and
    aligns it.

    Args:
        file: the picture, in any format that mien reads.
        model: a model's name or folder, such as the two separate networks of system (d) exported as one model
            (`mien lab combine pair`, `mien export`); or an `Estimator`, which is not loaded again for the next picture.
        stream: where two lines are written; standard output if None.

    Returns:
        The middle square of the picture, RGB, 300x300 pixels.

    Raises:
        PhotoError: the picture cannot be read.
        UsageError: there is no such model.
        ModelError: the model cannot be used.
    """
    answer = predict_centre(file, model if isinstance(model, Estimator) else load(model))
    (stream or sys.stdout).write(
        f"age: {answer.years:.0f} years\ngender: {answer.gender.label} ({answer.gender.probability:.0%})\n"
    )
    return answer.picture


def load(model: str | Path) -> Estimator:
    """The estimator of a model given by its name or folder."""
    return Estimator(bundle.read(bundle.find(model)))


def predict_centre(file: str | Path, estimator: Estimator) -> Answer:
    """Age, gender and centre square of a picture; `process_and_predict` without printing."""
    pixels = decode(read_file(file), DecodeOptions(target_side=None)).pixels
    square = centre_square(Image.fromarray(pixels))
    side = estimator.contract.size  # 200 for the paper's networks
    chip = np.asarray(square.resize((side, side), Image.Resampling.LANCZOS))
    estimates = estimator(chip[np.newaxis])
    return Answer(
        float(expectation(estimates.pmf)[0]),
        Gender(float(estimates.female[0])),
        square.resize((SHOWN, SHOWN), Image.Resampling.LANCZOS),
    )


def centre_square(image: Image.Image) -> Image.Image:
    """The largest square in the middle; an odd pixel too many is cut off at the right or at the bottom.

    >>> centre_square(Image.new("RGB", (7, 4))).size
    (4, 4)
    """
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))
