"""Smooth parts are passed over, and what is seen is seen exactly as in the whole."""

from __future__ import annotations

import numpy as np
import pytest

from mien.faces import create
from mien.faces.detail import busy_parts
from mien.faces.mtcnn import CELL, MTCNN, STRIDE, _scan, _scan_parts


@pytest.mark.parametrize(("width", "height"), [(12, 12), (13, 47), (200, 31), (101, 160)])
def test_windows_with_detail_are_seen_exactly_and_the_others_not_at_all(width: int, height: int) -> None:
    random = np.random.default_rng(width)
    level = np.full((height, width, 3), 120, np.uint8)
    level[: height // 2, : width // 2] = random.integers(0, 256, (height // 2, width // 2, 3))
    detector = create("mtcnn")
    assert isinstance(detector, MTCNN)
    offset, score = _scan(detector.nets[0], level)
    offset_seen, score_seen = _scan_parts(detector.nets[0], level)
    assert score_seen.shape == score.shape
    seen = score_seen > 0
    corner = np.s_[: max(1, (width // 2 - CELL) // STRIDE), : max(1, (height // 2 - CELL) // STRIDE)]
    assert seen[corner].all()
    np.testing.assert_allclose(score_seen[seen], score[seen], atol=1e-6)
    np.testing.assert_allclose(offset_seen[seen], offset[seen], atol=1e-5)
    if height > 90:
        assert not seen[:, -10:].any()


def test_a_smooth_picture_has_no_part() -> None:
    slope = np.repeat(np.linspace(0, 255, 300).astype(np.uint8)[None, :, None], 200, 0).repeat(3, 2)
    assert not list(busy_parts(slope, 12, 2))
    slope[90:110:2, 100:120] = 255
    left, top, right, bottom = np.array(list(busy_parts(slope, 12, 2))).T
    assert left.min() <= 88
    assert top.min() <= 78
    assert right.max() >= 118
    assert bottom.max() >= 108
