"""The comparison at home and abroad as Markdown."""

from __future__ import annotations

from typing import Any

from benchmarks.peers.photos import BANDS
from benchmarks.peers.table import cell_of, table_of


def markdown(record: dict[str, Any]) -> str:
    """The whole page."""
    parts = [
        "# mien beside its peers, home and abroad",
        f"`{record['command']}`, {record['date']}. What is measured, and how, is in "
        "[benchmarks/peers](../../benchmarks/peers/README.md).",
        summary(record),
        "Mean error of the age in years / genders named as labelled in %, on the faces that all tools found; in "
        "brackets the faces that each of them missed. Chips lie in larger pictures, where each tool has to find them.",
    ]
    parts += [_collection(name, record) for name in record["collections"]]
    parts += [
        f"- {tool['name']}: not measured: {tool['reason']}." for tool in record["tools"].values() if "reason" in tool
    ]
    return "\n\n".join(parts) + "\n"


def summary(record: dict[str, Any]) -> str:
    """A row for each tool, a column for each collection."""
    collections = record["collections"]
    columns = [f"{name}, {one['common']} of {one['faces']} faces" for name, one in collections.items()]

    def cells(tool: dict[str, Any]) -> list[str]:
        out = []
        for one in collections.values():
            figures = one["peers"][tool["key"]]
            gender = cell_of(figures["common"], "gender", 100, ".1f", ends=False)
            missed = f"{100 * figures['missed'] / one['faces']:.0f} % missed"
            out.append(f"{cell_of(figures['common'], 'mae', ends=False)} / {gender} ({missed})")
        return out

    return table_of(columns, _rows(record), cells)


def _collection(name: str, record: dict[str, Any]) -> str:
    one = record["collections"][name]
    kind = "whole photographs" if one["kind"] == "photos" else "chips in larger pictures"
    words = ["at home" if one["home"] else "abroad", kind, *([f"fold {one['fold']}"] if one["fold"] else [])]
    words += ["mien's weights were chosen on it among others"] if one["chosen_on"] else []
    first = next(iter(one["peers"].values()))["bands"]
    columns = ["missed", "MAE, years", "minus mien's", "bias", "within 5 years, %", "gender right, %"]
    columns += ["MAE on its own finds", "gender on its own finds, %"]
    columns += [f"MAE, bias at {band} ({first[band]['n']})" for band in BANDS]

    def cells(tool: dict[str, Any]) -> list[str]:
        figures = one["peers"][tool["key"]]
        common, own = figures["common"], figures["found"]
        by_age = [
            f"{cell_of(band, 'mae', ends=False)}, {cell_of(band, 'bias', style='+.2f', ends=False)}"
            for band in (figures["bands"][band] for band in BANDS)
        ]
        return [
            f"{figures['missed']} ({100 * figures['missed'] / one['faces']:.1f} %)",
            cell_of(common, "mae"),
            cell_of(figures.get("minus_mien"), "mae", style="+.2f"),
            cell_of(common, "bias", style="+.2f", ends=False),
            cell_of(common, "cs5", 100, ".1f", ends=False),
            cell_of(common, "gender", 100, ".1f"),
            cell_of(own, "mae", ends=False),
            cell_of(own, "gender", 100, ".1f", ends=False),
            *by_age,
        ]

    about = f"{one['faces']} of {one['listed']} faces: {', '.join(words)}; {one['common']} found by all."
    note = one["note"].strip()
    about += f" {note[:1].upper()}{note[1:]}" if note else ""
    return f"## {name}\n\n{about}\n\n" + table_of(columns, _rows(record), cells)


def _rows(record: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(tool["name"], {"key": key, **tool}) for key, tool in record["tools"].items() if "reason" not in tool]
