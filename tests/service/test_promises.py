"""Figures that docs/service.md states are those of the code; what it says of behaviour is tested beside that."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mien.photos import cost
from mien.photos.decoders import PATIENCE
from mien.service import faults, memory, slices
from mien.service.crowd import FEW, RESERVED, Crowd
from mien.service.gate import WRONG_KEYS_A_MINUTE
from mien.service.keys import SHORTEST
from mien.service.problems import TITLES
from mien.service.settings import MEBIBYTE, Settings

TEXT = (Path(__file__).parents[2] / "docs/service.md").read_text(encoding="utf-8")
USUAL = Settings()
PLAIN = " ".join(TEXT.split())
DEFAULTS: dict[str, str] = {
    "`--max-body`": f"{USUAL.max_body // MEBIBYTE} MiB",
    "`--max-held`": f"{USUAL.max_held // MEBIBYTE} MiB",
    "`--max-connections`": f"{USUAL.max_connections}",
    "`--max-bodies`, `--max-bodies-each`": f"{USUAL.max_bodies}, half",
    "`--max-pixels`": f"{USUAL.max_pixels // 1_000_000} million",
    "`--decode-seconds`": f"{USUAL.decode_seconds:g}",
    "`--decode-memory`": f"{USUAL.decode_memory // MEBIBYTE} MiB",
    "`--max-photos`": f"{USUAL.max_photos}",
    "`--max-concurrent`": f"{USUAL.max_concurrent}",
    "`--header-seconds`, `--body-seconds`, `--answer-seconds`": (
        f"{USUAL.header_seconds:g}, {USUAL.body_seconds:g}, {USUAL.answer_seconds:g}"
    ),
    "`--work-seconds`": f"{USUAL.work_seconds:g}",
    "`--shutdown-seconds`": f"{USUAL.shutdown_seconds:g}",
    "`--rate`": "none",
}
KINDS: dict[str, list[tuple[str, str, dict[str, Any]]]] = {
    "JPEG, reduced while decoding": [("JPEG", "RGB", {})],
    "progressive JPEG": [("JPEG", "RGB", {"progressive": 1})],
    "PNG, BMP, TIFF in RGB": [("PNG", "RGB", {}), ("BMP", "RGB", {}), ("TIFF", "RGB", {})],
    "HEIC; AVIF; grey or palette": [("HEIF", "RGB", {}), ("AVIF", "RGB", {}), ("PNG", "L", {})],
    "with transparency, CMYK": [("PNG", "RGBA", {})],
    "WebP; JPEG 2000 in RGB": [("WEBP", "RGB", {}), ("JPEG2000", "RGB", {})],
    "16-bit grey; TIFF of 32 bits or floating point": [("PNG", "I;16", {}), ("TIFF", "F", {})],
}
BANDS = {"RGBA": 4, "RGB": 3}


def row(table: str) -> list[str]:
    """Cells of the row that begins so."""
    (found,) = re.findall(rf"^\| {re.escape(table)} \|(.*)\|$", TEXT, re.MULTILINE)
    return [cell.strip() for cell in found.split("|")]


@pytest.mark.parametrize("option", DEFAULTS)
def test_defaults(option: str) -> None:
    assert row(option)[0] == DEFAULTS[option]


@pytest.mark.parametrize("kind", KINDS)
def test_what_decoding_takes(kind: str) -> None:
    each = [bytes_a_pixel(*what) for what in KINDS[kind]]
    said = [int(number) << 20 for number in re.findall(r"\d+", row(kind)[0])]
    if len(said) == 1:
        said *= len(each)
    assert said == pytest.approx([24_000_000 * one for one in each], abs=1 << 20)
    allowed = [int(number) for number in re.findall(r"\d+", row(kind)[1])]
    most = [min(50, (1 << 30) // (one * 1_000_000)) for one in each]
    assert allowed in (most, most[:1]) or set(allowed) == set(most)


def bytes_a_pixel(form: str, mode: str, info: dict[str, Any]) -> int:
    """As `mien.photos.cost` takes them for needed; JPEG is reduced."""
    full = (1000, 1000)
    size = (500, 500) if form == "JPEG" else full
    image = SimpleNamespace(format=form, mode=mode, info=info, size=size, getbands=lambda: "x" * BANDS.get(mode, 1))
    return cost.memory(image, full, 0) // 1_000_000  # type: ignore[arg-type]


def test_the_sum_of_memory() -> None:
    assert f"{memory.OF_THE_SERVICE // MEBIBYTE} MiB + {memory.OF_A_MODEL // MEBIBYTE} MiB a further model" in PLAIN
    of_a_process = memory.OF_A_PROCESS // MEBIBYTE
    assert f"x (--decode-memory + {of_a_process} MiB + pictures) + places x (12 MiB + pictures)" in PLAIN
    said = Settings(decode_memory=300 * MEBIBYTE, max_held=100 * MEBIBYTE)
    pictures = memory.larger(said)
    assert round(pictures / MEBIBYTE) == 34
    of_all = 320 + 2 * 80 + 100 + (8 + 2) * (300 + 64) + 2 * 12
    assert memory.needed(said, 8, 3) == of_all * MEBIBYTE + (8 + 2 + 2) * pictures
    assert memory.larger(Settings(side=2048)) == 0


def test_small_figures() -> None:
    assert f"pauses after slices of {1000 * slices.SHORTEST:.0f} ms or more" in PLAIN
    assert (slices.OTHERS, PATIENCE) == (3, 1)
    assert "others have the thread for three times as long" in PLAIN
    assert "takes longer than a second moves" in PLAIN
    assert f"after {WRONG_KEYS_A_MINUTE} wrong keys a minute" in PLAIN
    assert f"({SHORTEST} characters or more)" in PLAIN
    assert f"at most {faults.MOST_FAULTS} faults" in PLAIN


def test_connections_of_one_address_and_in_all() -> None:
    assert f"four times as many in all, and {RESERVED} for callers with fewer than {FEW}" in PLAIN
    crowd = Crowd(8)
    for number in range(4):
        assert [bool(crowd.enter(f"10.0.0.{number}")) for _ in range(9)] == [True] * 8 + [False]
    late = [bool(crowd.enter("10.0.1.1")) for _ in range(6)]  # a health check in a flood
    assert late == [True] * FEW + [False] * 2
    others = [bool(crowd.enter(f"10.0.{number}.1")) for number in range(2, 102)]
    assert others == [True] * (RESERVED - FEW) + [False] * (100 - RESERVED + FEW)
    crowd.leave("10.0.0.1")
    assert crowd.enter("10.0.200.1")
    same = Crowd(2)
    assert [bool(same.enter(f"2001:db8::{number}")) for number in range(3)] == [True, True, False]


def test_every_kind_of_problem_is_in_the_table() -> None:
    part = TEXT.partition("### Problems")[2].partition("## Options")[0]
    named: dict[str, str] = {}
    for kinds, statuses in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| ([\d, ]+) \|", part, re.MULTILINE):
        names, codes = re.findall(r"\w+", kinds), re.findall(r"\d+", statuses)
        named |= dict(zip(names, codes if len(codes) == len(names) else codes * len(names), strict=True))
    assert {kind: str(status) for kind, (status, _) in TITLES.items()} == named
