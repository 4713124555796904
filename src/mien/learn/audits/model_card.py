"""The model card of a bundle, written from an evaluation so that no figure in it is typed by hand.

Sections follow Mitchell et al., "Model cards for model reporting" (FAT* 2019).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mien.errors import DataError
from mien.estimate import bundle
from mien.estimate.bundle import Bundle, BundleConfig
from mien.learn.evaluation.evaluate import FEW, markdown

_NAMES = {
    "all": "all ages, 0-116",
    "coral_clipped": "CORAL list, 21-60, clipped",
    "coral_unclipped": "CORAL list, 21-60, unclipped",
    "coral_without_twins": "CORAL list without train twins, clipped",
    "female": "women and girls",
    "male": "men and boys",
}


def write_card(
    folder: Path,
    report: Mapping[str, Any],
    data: str,
    more: Mapping[str, str] | None = None,
    *,
    copy: Path | None = None,
) -> Path:
    """Write README.md into a bundle and its chief figures into config.json.

    Args:
        folder: the bundle.
        report: what `mien evaluate --format json` printed for it.
        data: what it was evaluated on, in words.
        more: titles and Markdown of what other audits found.
        copy: a file that is to hold the same card, with its link to the licence led back into the bundle.

    Returns:
        Path of the card.

    Raises:
        DataError: the evaluation is of another model.
    """
    model = bundle.read(folder)
    if report["model"] != model.config.name:
        raise DataError(f"this evaluation is of {report['model']}, not of {model.config.name}")
    subsets = report["subsets"]
    figures = {
        f"{name}_{key}": round(float(subsets[subset][part][key]["value"]), 5)
        for name, subset in (("all", "all"), ("coral", "coral_clipped"))
        if subset in subsets
        for part, key in (("age", "mae"), ("gender", "accuracy"))
        if key in subsets[subset][part]
    }
    config = replace(model.config, figures=figures)
    text = to_markdown(
        Bundle(folder, config), report, data, more or {}
    )  # before anything is written: the report may lack a part
    bundle.write_config(folder, config)
    card = folder / "README.md"
    card.write_text(text, encoding="utf-8")
    if copy is not None:
        licence = Path(os.path.relpath(folder / config.licence_file, copy.parent)).as_posix()
        copy.write_text(text.replace(f"]({config.licence_file})", f"]({licence})"), encoding="utf-8")
    return card


def to_markdown(model: Bundle, report: Mapping[str, Any], data: str, more: Mapping[str, str]) -> str:
    """Text of the card."""
    config = model.config
    return "\n".join(
        [
            f"# {config.name}",
            "",
            f"Apparent age (a distribution over 0-116 years) and gender as labelled, from one aligned face chip of "
            f"{config.contract.size}x{config.contract.size} pixels.",
            "",
            "| | |",
            "|---|---|",
            f"| parameters | {config.parameters / 1e6:.2f} million |",
            f"| multiply-adds a chip | {config.multiply_adds / 1e6:.0f} million |",
            f"| size on disk | {model.size() / 1e6:.1f} MB, weights stored as {config.made.get('stored', 'unknown')} |",
            f"| may be used for | {config.use} |",
            f"| licence of the weights | {config.licence}, see [{config.licence_file}]({config.licence_file}) |",
            f"| made | {_made(config.made)} |",
            "",
            "## Data it learned from",
            "",
            *([f"- {name}" for name in config.data] or ["- not stated"]),
            "",
            *_lineage(config.made),
            "## Intended use, and what it must not be used for",
            "",
            "Research on age estimation, and aggregate statistics where a wrong answer harms nobody. Its licence "
            f"allows {config.use}. It tells how old a face looks, not how old a person is, and which gender label the "
            "face would have got in its training data, not a person's gender. It must not decide alone over anybody's "
            "access, rights or treatment.",
            "",
            "## Figures",
            "",
            f"Measured on {data}: {report['counts']['evaluated']} faces, "
            f"{report['counts']['missing_files']} files missing. In brackets 95 % bootstrap intervals that keep twins "
            "together. MAE and bias in years; CS@5 is the share of errors of at most five years.",
            "",
            *markdown([("faces", "n", "MAE", "CS@5", "bias", "gender right"), *_rows(report["subsets"])]),
            "",
            *(line for title, text in more.items() for line in (f"## {title}", "", text, "")),
            "## Limits",
            "",
            *(f"- {note}" for note in config.made.get("notes", [])),
            "- Chips must be cut to the crop contract in config.json; mien's detectors and `mien.faces.align` do that.",
            *_interval_note(config, report),
            "- Groups of the table with larger errors than the whole are where it is least to be trusted.",
            "",
        ]
    )


def _rows(subsets: Mapping[str, Any]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, subset in subsets.items():
        age, gender = subset["age"], subset["gender"]
        rows.append(
            (
                _NAMES.get(name, name.replace("_", ", ")),
                str(max(age["n"], gender["n"])),
                _figure(age.get("mae"), "{:.2f}"),
                _figure(age.get("cs5"), "{:.1%}", age["n"]),
                _figure(age.get("bias"), "{:+.2f}"),
                _figure(gender.get("accuracy"), "{:.1%}", gender["n"]),
            )
        )
    return rows


def _figure(figure: Mapping[str, Any] | None, style: str, faces: int = FEW) -> str:
    if figure is None or figure["value"] is None or faces < FEW:
        return "-"
    if figure.get("low") is None:
        return style.format(figure["value"])
    return f"{style.format(figure['value'])} [{style.format(figure['low'])}, {style.format(figure['high'])}]"


def _interval_note(config: BundleConfig, report: Mapping[str, Any]) -> list[str]:
    if config.calibration is None:
        return ["- It was not calibrated: intervals are those of its raw distribution."]
    age = report["subsets"]["all"]["age"]
    if "coverage" not in age:
        return []
    level, coverage, width = report["settings"]["interval_level"], age["coverage"]["value"], age["width"]["value"]
    notes = [
        f"- Intervals at {level:.0%} hold {coverage:.1%} of these ages and are {width:.1f} years wide on average; "
        "in single groups they may hold fewer."
    ]
    if (ece := report["subsets"]["all"]["gender"].get("ece")) is not None:
        notes.append(
            f"- The probability of a gender is off by {ece['value']:.1%} on average (expected calibration error)."
        )
    return notes


def _lineage(made: Mapping[str, Any]) -> list[str]:
    """The steps that led to a model, a line each, as a section; none where it does not tell them."""
    steps = made.get("lineage")
    told = [_step(step) for step in steps if isinstance(step, Mapping)] if isinstance(steps, list) else []
    return ["## Steps that it was made in", "", *(f"- {line}" for line in told), ""] if told else []


def _step(step: Mapping[str, Any]) -> str:
    """What one step did, see `mien.learn.training.ancestry`.

    >>> _step({"run": "mean", "average": {"start": 2, "polish": 1}})
    'mean: average of start (2 times) and polish'
    """
    parts = []
    if "train" in step:
        parts.append(f"recipe {step['train']}, {step.get('epochs', '?')} epochs")
    if "slim" in step:
        parts.append(f"low ranks of {step['slim']}")
    if isinstance(members := step.get("average"), Mapping):
        parts.append("average of " + _listed([f"{one} ({n} times)" if n != 1 else one for one, n in members.items()]))
    if isinstance(members := step.get("combine"), Mapping):
        parts.append("combination of " + _listed([f"{one} for {role}" for role, one in members.items()]))
    for key, words in (("from", "from"), ("teacher", "taught by"), ("guide", "guided by")):
        if named := step.get(key):
            parts.append(f"{words} {_listed([str(one) for one in named] if isinstance(named, list) else [str(named)])}")
    return f"{step.get('run', '?')}: {', '.join(parts)}"


def _listed(words: Sequence[str]) -> str:
    """Words with commas, and "and" before the last."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def _made(made: Mapping[str, Any]) -> str:
    """How a model was made, on one line; lists have places of their own."""
    return ", ".join(f"{key} {value}" for key, value in made.items() if not isinstance(value, list))
