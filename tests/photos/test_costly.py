"""Small files cost little, whatever they claim: time and memory are measured from outside."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.photos import costly_files
from tests.photos.measured import Measured

from mien.errors import PhotoTooCostly
from mien.photos import DecodeOptions, decode

FILES = costly_files.everything()
MOST_MEMORY = 128 << 20
MOST_SECONDS = 2.0

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc to measure")


@pytest.fixture(scope="module")
def measured() -> Iterator[Measured]:
    with Measured() as measured:
        yield measured


@pytest.mark.parametrize("name", FILES)
def test_a_small_file_costs_little(measured: Measured, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(FILES[name])
    cost = measured.cost(file)
    assert cost.kind in {"picture", "too_costly", "too_large", "truncated"}
    assert cost.memory < MOST_MEMORY
    assert cost.seconds < MOST_SECONDS


def test_heic_that_claims_much(measured: Measured, tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif", reason="needs the extra heif")
    heif.register_heif_opener()
    for name, data in (
        ("extents", costly_files.iso("HEIF", extents=60_000, block=500_000)),
        ("properties", costly_files.iso("HEIF", properties=60_000)),
    ):
        (tmp_path / name).write_bytes(data)
        cost = measured.cost(tmp_path / name)
        assert cost.kind == "too_costly"
        assert cost.memory < MOST_MEMORY
        assert cost.seconds < MOST_SECONDS


def test_what_is_claimed_does_not_hinder_honest_photos() -> None:
    assert decode(costly_files.png(costly_files.chunk(b"eXIf", costly_files.tiff(4000, 1000)))).width == 64
    assert decode(costly_files.tiff_of_one_strip(64, 2)).pixels.shape == (64, 64, 3)
    assert decode(costly_files.tiff_of_one_strip(64, 1000)).pixels.shape == (64, 64, 3)
    assert decode(costly_files.iso("AVIF")).width == 64
    assert decode(costly_files.jpeg(b"\xff" * 100, costly_files.segment(0xFE, b"a comment"))).width == 64


@pytest.mark.parametrize(
    ("form", "mode", "options"),
    [
        ("JPEG", "RGB", {}),
        ("JPEG", "RGB", {"progressive": True, "subsampling": 0}),
        ("PNG", "RGB", {}),
        ("PNG", "RGBA", {}),
        ("PNG", "P", {"transparency": 0}),
        ("TIFF", "F", {}),
        ("TIFF", "CMYK", {}),
        ("WEBP", "RGB", {"lossless": True, "method": 0, "quality": 0}),
        ("AVIF", "RGB", {"speed": 10}),
        ("JPEG2000", "RGB", {}),
        ("JPEG2000", "RGB", {"irreversible": True}),
        ("JPEG2000", "RGBA", {}),
        ("JPEG2000", "I;16", {}),
    ],
)
def test_a_budget_is_one_of_bytes(
    measured: Measured, tmp_path: Path, form: str, mode: str, options: dict[str, object]
) -> None:
    """What is said to fit does, and what is refused would take about as much."""
    data = costly_files.saved(form, side=3000, mode=mode, **options)
    refused = pytest.raises(PhotoTooCostly, match="MiB of memory, more than the limit of 1:")
    with refused as caught:
        decode(data, DecodeOptions(max_memory=1 << 20))
    said = int(str(caught.value).split("some ")[1].split()[0].replace(",", "")) << 20
    (tmp_path / "a").write_bytes(data)
    took = measured.cost(tmp_path / "a").memory
    assert 0.4 * said < took < said + (8 << 20)
