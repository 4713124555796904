"""Quotas of control groups, of both versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from mien.runtime import cores

HERE = "12:cpu,cpuacct:/docker/abc\n0::/user.slice/mien.service\n"


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, 0),
        ({"cpu.max": "250000 100000"}, 2),
        ({"cpu.max": "max 100000"}, 0),
        ({"user.slice/mien.service/cpu.max": "300000 100000", "user.slice/cpu.max": "150000 100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "400000", "cpu/cpu.cfs_period_us": "100000"}, 4),
        ({"cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "50000", "cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 0),
        ({"cpu/cpu.cfs_quota_us": "400000"}, 0),
    ],
)
def test_the_strictest_quota_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], quota: int
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n", encoding="ascii")
    groups = tmp_path / "groups"
    groups.write_text(HERE, encoding="ascii")
    monkeypatch.setattr(cores, "_TREE", tmp_path)
    monkeypatch.setattr(cores, "_GROUPS", groups)
    assert cores._quota() == quota
