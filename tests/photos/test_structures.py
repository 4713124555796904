"""Whatever the structure of a file of some megabytes, it takes seconds at most and no more memory than reckoned.

Longer: `benchmarks/fuzz.py`. What that found is kept in `corpus/` and tried here each time.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from tests.photos.measured import Cost, Measured
from tests.photos.structures import FILES

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*"))
KINDS = {"picture", "too_costly", "too_large", "truncated", "not_an_image", "unsupported", "empty"}
MOST_MEMORY, MOST_SECONDS = 1 << 30, 5.0

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc to measure")


@pytest.fixture(scope="module")
def measured() -> Iterator[Measured]:
    with Measured() as measured:
        yield measured


def check(cost: Cost) -> None:
    assert cost.kind in KINDS
    assert cost.memory < MOST_MEMORY
    assert cost.seconds < MOST_SECONDS


@pytest.mark.parametrize("name", FILES)
def test_any_structure(measured: Measured, tmp_path: Path, name: str) -> None:
    file = tmp_path / "file"

    @settings(
        max_examples=12,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(FILES[name])
    def attempt(data: bytes) -> None:
        file.write_bytes(data)
        check(measured.cost(file))

    attempt()


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.name)
def test_what_was_costly_once(measured: Measured, file: Path) -> None:
    check(measured.cost(file))


def test_the_corpus_is_there() -> None:
    assert CORPUS


def test_a_file_over_its_limits_is_told(measured: Measured, tmp_path: Path) -> None:
    """The oracle itself: a fault of it would let everything pass."""
    file = tmp_path / "pipe"
    file.write_bytes(b"no picture")
    assert measured.cost(file).kind == "not_an_image"
    with pytest.raises(AssertionError):
        check(Cost("killed", 1, 1))
    with pytest.raises(AssertionError):
        check(Cost("picture", MOST_MEMORY, 0.1))
