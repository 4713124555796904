"""Tells schemathesis what photos are: its own random bytes are none. Loaded by its command, see test_openapi.py."""

import base64
from io import BytesIO

import numpy as np
import schemathesis
from hypothesis import strategies as st
from PIL import Image


def picture(level: int, form: str) -> bytes:
    stream = BytesIO()
    Image.fromarray(np.full((32, 32, 3), level, np.uint8)).save(stream, form)
    return stream.getvalue()


pictures = st.builds(picture, st.integers(0, 255), st.sampled_from(["PNG", "JPEG", "WEBP"]))
for media_type in ("image/jpeg", "image/png", "image/webp", "image/jpeg, image/png, image/webp"):
    schemathesis.openapi.media_type(media_type, pictures)
schemathesis.openapi.format("byte", pictures.map(lambda data: base64.b64encode(data).decode()))
schemathesis.openapi.format("binary", pictures.map(lambda data: data.decode("latin-1")))
