"""Small faces in big photos are looked at again, whoever decodes and however long that takes."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.analyzer import Analyzer, Options
from mien.faces import create
from mien.photos import DecodeOptions
from mien.photos.decoders import Decoders
from mien.photos.process import AVAILABLE
from mien.service.engine import Engine
from mien.service.jobs import Order

LIMITS = DecodeOptions(max_seconds=60, max_memory=1 << 30, max_pixels=50_000_000)

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="the system has no such processes")


@pytest.fixture(scope="module")
def crowd(examples: Path) -> bytes:
    """A JPEG of 4,000 x 1,200 with eight faces of 54 pixels."""
    with Image.open(examples / "hopper.jpg") as image:
        portrait = image.convert("RGB")
    box = create("mtcnn").detect(np.asarray(portrait))[0].box
    side = max(box.width, box.height)
    left, top, right, bottom = (round(edge) for edge in (box.left, box.top, box.right, box.bottom))
    margin = round(side / 2)
    head = portrait.crop((left - margin, top - margin, right + margin, bottom + margin))
    width, height = (round(length * 54 / side) for length in head.size)
    head = head.resize((width, height), Image.Resampling.LANCZOS)
    picture = Image.new("RGB", (4000, 1200), (110, 120, 130))
    for number in range(8):
        picture.paste(head, (10 + 480 * number, 400))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=95)
    return stream.getvalue()


def test_a_photo_may_be_set_aside_at_either_look(crowd: bytes) -> None:
    analyzer = Analyzer("mien-s", Options(threads=1))
    decoders = Decoders(LIMITS)
    decoders._patience = 0.0
    with Engine(1, decoders=decoders) as engine:
        photo, _ = engine.analyse(Order(analyzer, crowd, "crowd.jpg")).result(60)
    assert photo.error is None
    assert (photo.scale, len(photo.faces)) == (1, 8)


def test_the_first_look_counts_where_the_second_takes_too_much(crowd: bytes) -> None:
    tight = DecodeOptions(max_seconds=60, max_memory=40 << 20)
    assert Analyzer("mien-s", Options(threads=1, decode=LIMITS))(crowd).scale == 1
    photo = Analyzer("mien-s", Options(threads=1, decode=tight))(crowd)
    assert photo.scale == 0.5
    assert photo.faces
