"""The comparison as Markdown: seconds, and beside them ratios to mien in the same run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from benchmarks.peers.catalogue import PEERS
from benchmarks.peers.photos import BANDS

Rows = Iterable[tuple[str, dict[str, Any]]]


def markdown(record: dict[str, Any]) -> str:
    """The whole page."""
    peers = record["peers"]
    rows = [(peer.name, peers[peer.key]) for peer in PEERS if peer.key in peers]
    parts = [_head(record)]
    if record["accuracy"]:
        parts += [_accuracy(record, rows), _bands(record, rows)]
    parts += [_times(rows, record), _weights(rows), _found(rows, record), _about(rows)]
    return "\n\n".join(parts) + "\n"


def _head(record: dict[str, Any]) -> str:
    machine, drift = record["machine"], record["drift"]
    rates = machine.get("gflops", [0])
    lines = [
        "# mien beside its peers",
        f"`{record['command']}`, {record['date']}. {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gb']:.0f} GB, {machine['system']}. Every process ran on one core, one after the other; what "
        "is measured, and how, is in [benchmarks/peers](../../benchmarks/peers/README.md).",
        f"Load of the machine at the start {machine['load']:.1f}; a float32 matrix product reached "
        f"{min(rates):.0f} to {max(rates):.0f} GFLOP/s before each peer"
        + (f"; mien measured again at the end took {drift:.2f} times what it took at first." if drift else "."),
    ]
    if machine["load"] > 0.5:
        lines.append("**Other work ran on this machine: the times here are not fit to be quoted.**")
    lines += [f"Left out: {sentence}" for sentence in record["left_out"]]
    return "\n\n".join(lines)


def _accuracy(record: dict[str, Any], rows: Rows) -> str:
    whole = record["accuracy"]
    head = (
        f"## Accuracy\n\n{whole['faces']} faces of UTKFace's test fold ({record['sample']}), each in a larger picture, "
        f"through each tool's own detector. The columns up to gender are on the {whole['common']} faces that all of "
        "them found; in brackets 95 % bootstrap intervals.\n\n"
    )
    columns = (
        "missed", "MAE, years", "minus mien's", "bias", "within 5 years, %", "gender right, %",
        "MAE on its own finds", "MAE of all, missed taken whole", "gender of all, %",
    )  # fmt: skip

    def cells(peer: dict[str, Any]) -> list[str]:
        one = whole["peers"][peer["key"]]
        common, every = one["common"], one["all"] or {}
        return [
            f"{one['missed']} ({100 * one['missed'] / whole['faces']:.1f} %)",
            cell_of(common, "mae"),
            cell_of(one.get("minus_mien"), "mae", style="+.2f"),
            cell_of(common, "bias", style="+.2f", ends=False),
            cell_of(common, "cs5", 100, ".1f"),
            cell_of(common, "gender", 100, ".1f"),
            cell_of(one["found"], "mae", ends=False),
            cell_of(every, "mae", ends=False),
            cell_of(every, "gender", 100, ".1f", ends=False),
        ]

    return head + table_of(columns, rows, cells)


def _bands(record: dict[str, Any], rows: Rows) -> str:
    peers = record["accuracy"]["peers"]
    first = next(iter(peers.values()))["bands"]
    columns = [f"{band} ({first[band]['n']})" for band in BANDS]

    def cells(peer: dict[str, Any]) -> list[str]:
        bands = peers[peer["key"]]["bands"]
        return [
            f"{cell_of(bands[band], 'mae', ends=False)} / {cell_of(bands[band], 'gender', 100, '.0f', ends=False)}"
            for band in BANDS
        ]

    return "MAE in years / gender right in %, by true age, on the same faces:\n\n" + table_of(columns, rows, cells)


def _times(rows: Rows, record: dict[str, Any]) -> str:
    columns = []
    for words, key in _TIMES.items():
        if key in record["timed"]:
            columns += [f"{words}, ms", "ratio"]
    columns += ["processor ms of a 1280x720 photo", "ratio"]
    rows = list(rows)
    base = _base(rows)

    def cells(peer: dict[str, Any]) -> list[str]:
        out = []
        for key in _TIMES.values():
            if key in record["timed"]:
                value = peer["milliseconds"][key]
                out += [f"{value:.1f}", _ratio(value, base["milliseconds"][key] if base else None)]
        value = peer["processor_ms"]["made"]
        return [*out, f"{value:.1f}", _ratio(value, base["processor_ms"]["made"] if base else None)]

    head = (
        "## Time per photo\n\nMedian, from the file to the answer. Ratios are to mien: above 1 is slower than mien. "
        "Who finds fewer faces has fewer to estimate: how many each finds is further down.\n\n"
    )
    return head + table_of(columns, rows, cells)


def _weights(rows: Rows) -> str:
    columns = ("cold start, s", "ratio", "peak memory, MB", "ratio", "install size, MB", "ratio")
    rows = list(rows)
    base = _base(rows)

    def cells(peer: dict[str, Any]) -> list[str]:
        out = []
        for key, style, unit in (("cold_start_s", ".2f", 1.0), ("peak_bytes", ".0f", 1e6), ("bytes", ".0f", 1e6)):
            out += [f"{peer[key] / unit:{style}}", _ratio(peer[key], base[key] if base else None)]
        return out

    return "## Cold start, memory, size on disk\n\n" + table_of(columns, rows, cells)


def _found(rows: Rows, record: dict[str, Any]) -> str:
    columns = [f"in {record['photos']['made']} made photos with one face each", "false"]
    real = record["photos"]["boxed"]
    if real:
        columns += [f"in {real} photos with true boxes", "false"]

    def cells(peer: dict[str, Any]) -> list[str]:
        kinds = [peer["faces"]["made"], *([peer["faces"]["taken"]] if real else [])]
        return [cell for one in kinds for cell in (f"{one['found']} of {one['true']}", str(one["false"]))]

    return "## Faces found in whole photos\n\n" + table_of(columns, rows, cells)


def _about(rows: Rows) -> str:
    lines = ["## Versions, settings, licences", ""]
    for name, peer in rows:
        if "reason" in peer:
            lines.append(f"- {name}: not measured: {peer['reason']}. Licence: {peer['licence']}.")
            continue
        versions = ", ".join(f"{package} {version}" for package, version in peer["versions"].items())
        lines.append(f"- {name}: {versions}. {peer['settings']}. Licence: {peer['licence']}.")
    return "\n".join(lines)


_TIMES = {"a 1280x720 photo": "made", "a real photo with several faces": "taken", "a picture with one chip": "chips"}


def table_of(columns: Iterable[str], rows: Rows, cells: Callable[[dict[str, Any]], list[str]]) -> str:
    """A row for each tool; one that was not measured says why."""
    columns = list(columns)
    lines = [f"| tool | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
    for name, peer in rows:
        filled = [f"not measured: {peer['reason']}"] if "reason" in peer else cells(peer)
        lines.append(f"| {name} | {' | '.join([*filled, *[''] * (len(columns) - len(filled))])} |")
    return "\n".join(lines)


def _base(rows: Rows) -> dict[str, Any] | None:
    return next((peer for _, peer in rows if peer["key"] == "mien" and "reason" not in peer), None)


def _ratio(value: float, base: float | None) -> str:
    return f"{value / base:.2f}" if base and math.isfinite(value) else "-"


def cell_of(
    figures: Mapping[str, Any] | None, key: str, factor: float = 1, style: str = ".2f", *, ends: bool = True
) -> str:
    """A figure, with its interval or without; a dash where there is none."""
    interval = (figures or {}).get(key)
    if interval is None or interval["value"] is None:
        return "-"
    value = f"{factor * interval['value']:{style}}"
    if not ends or interval["low"] is None:
        return value
    return f"{value} [{factor * interval['low']:{style}}, {factor * interval['high']:{style}}]"
