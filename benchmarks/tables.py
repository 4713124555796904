"""The tables of README and docs that tell of shipped models, written from the JSON files in docs/results.

    python benchmarks/tables.py            # writes what stands between <!-- table: NAME ... --> and <!-- /table -->
    python benchmarks/tables.py --check    # writes nothing; exit code 1 where a table is not that of the files

The words after NAME are its arguments, most often a model. Prose that quotes figures is written by hand.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results"
BLOCK = re.compile(r"(<!-- table: (?P<call>[^>]+?) -->\n)(?P<body>.*?)(<!-- /table -->)", re.DOTALL)
SUBSETS = {
    "all": "all ages, 0-116",
    "coral_clipped": "CORAL list, 21-60, clipped",
    "coral_unclipped": "CORAL list, unclipped",
    "coral_without_twins": "CORAL list without train twins, clipped",
}
SHOWN = (0, 1, 2, 3, 6, 8)
"""Columns of the table of systems that README shows."""
BANDS = ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70+")

Figure = dict[str, float]
Lines = list[str]
Rows = list[tuple[str, ...]]


def main() -> None:
    """Write or check every table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    stale = []
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        old = page.read_text(encoding="utf-8")
        new = BLOCK.sub(filled, old)
        if new != old:
            stale.append(page.relative_to(ROOT).as_posix())
            if not options.check:
                page.write_text(new, encoding="utf-8")
    print(f"{'not' if options.check else 'now'} as in the files: {', '.join(stale)}" if stale else "as in the files")
    sys.exit(options.check and bool(stale))


def filled(block: re.Match[str]) -> str:
    """A block with the table that its first line asks for."""
    name, *words = block["call"].split()
    return block[1] + "\n".join(TABLES[name](*words)) + "\n" + block[4]


def accuracy(model: str, *, subsets: Iterable[str] = tuple(SUBSETS)) -> Lines:
    """Error and gender on the whole fold and on the CORAL list, one pass and with the mirror image."""
    rows: Rows = [("test fold of UTKFace", "faces", "MAE, years", "within 5 years", "gender right")]
    for name, note in ((model, ""), (f"{model}-mirror", ", `--mirror`")):
        found = load(name)["subsets"]
        for key in subsets:
            age, gender = found[key]["age"], found[key]["gender"]
            errors = (cell(age["mae"]), percent(age["cs5"]) + " %", percent(gender["accuracy"]) + " %")
            rows.append((SUBSETS[key] + note, str(age["n"]), *errors))
    return table(rows)


def models(*names: str) -> Lines:
    """Shipped models side by side, one pass."""
    rows: Rows = [
        ("model", "input", "parameters", "multiply-adds", "in the package", "MAE, years", "gender", "CORAL, clipped")
    ]
    for name in names:
        folder = ROOT / "src" / "mien" / "models" / name
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        subsets = load(name)["subsets"]
        whole, coral = subsets["all"], subsets["coral_clipped"]
        size = sum(file.stat().st_size for file in folder.iterdir() if file.name.startswith("model.")) / 1e6
        rows.append(
            (
                f"`{name}`",
                f"{config['input']['contract']['size']} px",
                f"{config['parameters'] / 1e6:.1f} M",
                f"{config['multiply_adds'] / 1e6:.0f} M",
                f"{size:.1f} MB",
                cell(whole["age"]["mae"]),
                percent(whole["gender"]["accuracy"]) + " %",
                f"{coral['age']['mae']['value']:.2f} / {100 * coral['gender']['accuracy']['value']:.1f} %",
            )
        )
    return table(rows)


def ages(model: str) -> Lines:
    """Error, bias and gender by age band."""
    rows: Rows = [("age", "faces", "MAE, years", "bias", "gender right: women and girls", "men and boys")]
    subsets = load(model)["subsets"]
    for band in BANDS:
        age = subsets[band]["age"]
        genders = [percent(subsets[f"{band}_{g}"]["gender"]["accuracy"]) + " %" for g in ("female", "male")]
        rows.append((band, str(age["n"]), cell(age["mae"]), f"{age['bias']['value']:+.2f}", *genders))
    return table(rows)


def storage(model: str) -> Lines:
    """Intervals, storage and the way through a detector, as a listing."""
    whole = load(model)["subsets"]["all"]
    coverage, width = whole["age"]["coverage"], whole["age"]["width"]
    lines = [
        "```",
        f"90 % intervals hold {percent(coverage)} %, width {cell(width, '.1f')}",
        f"gender ECE {cell(whole['gender']['ece'], '.3f')}",
    ]
    if (RESULTS / f"{model}-float32.json").is_file():
        stored = load(f"{model}-float32")["subsets"]["all"]["age"]["mae"]["value"]
        lines.append(f"MAE stored as float16 {whole['age']['mae']['value']:.4f}, as float32 {stored:.4f}")
    through = load(f"{model}-through-mtcnn")["through"]
    lines.append(f"through mtcnn: {through['missed']} of {through['pictures']} missed")
    lines += [
        f"  {metric} {words}: difference {cell(through[metric][key]['difference'], '+.4f')}"
        for key, words in (("found", "on faces found"), ("all", "missed ones taken whole"))
        for metric in ("mae", "accuracy")
    ]
    return [*lines, "```"]


def calibration(model: str) -> Lines:
    """What intervals and probabilities are worth, overall and by group."""
    report = load(f"trust/{model}-calibration")
    age, gender = report["age"], report["gender"]
    constant, bands = age["constant_width"], age["groups"]["estimated age"]
    large = {n: b["coverage"]["value"] for n, b in bands.items() if b["faces"] >= 200 and b["coverage"]}
    low, high = min(large, key=large.__getitem__), max(large, key=large.__getitem__)

    def less(name: str) -> str:
        ratio = constant[name]
        return percent({"value": 1 - ratio["value"], "low": 1 - ratio["high"], "high": 1 - ratio["low"]})

    def risk(part: dict[str, Any], share: float) -> Figure:
        return next(one["risk"] for one in part["selection"]["risks"] if one["share"] == share)

    rows: Rows = [
        ("figure", "found", "asked for"),
        ("coverage of 90 % intervals, %", percent(age["all"]["coverage"]), "88 to 92"),
        (
            "the same by estimated age, bands of 200 faces or more, %",
            f"{100 * large[low]:.1f} ({low}) to {100 * large[high]:.1f} ({high})",
            "85 to 95",
        ),
        ("mean width, years", cell(age["all"]["width"], ".1f"), ""),
        (f"constant width: {2 * constant['half_width']:.1f} years; it holds, %", percent(constant["coverage"]), ""),
        ("narrower than constant width by, %", less("ratio"), "10"),
        ("the same, at equal coverage of this fold, %", less("matched_ratio"), ""),
        ("fewer whole ages inside than constant width, %", less("ages_inside_ratio"), ""),
        ("the same, at equal coverage of this fold, %", less("matched_ages_inside_ratio"), ""),
        (
            "CRPS of the age, years (MAE of the median)",
            f"{cell(age['crps'])} ({age['mae_of_the_median']['value']:.2f})",
            "",
        ),
        (
            "MAE on the half with the narrowest intervals, years (all)",
            f"{cell(risk(age, 0.5))} ({age['selection']['whole']:.2f})",
            "",
        ),
        ("gender: ECE", cell(gender["ece"], ".4f"), "at most 0.015"),
        ("gender: Brier score", cell(gender["brier"], ".4f"), ""),
        ("gender: log loss", cell(gender["log_loss"], ".4f"), ""),
        (
            "wrong genders among the surest 90 %, % (all)",
            f"{percent(risk(gender, 0.9))} ({100 * gender['selection']['whole']:.1f})",
            "",
        ),
    ]
    groups: Rows = [("", "faces", "coverage, %", "width, years", "coverage of constant width, %")]
    words = {"estimated age": "estimated age", "true age": "true age"}
    for kind, members in age["groups"].items():
        for name, group in members.items():
            if group["coverage"]:
                shares = (percent(group["coverage"]), cell(group["width"], ".1f"))
                said = f"{words.get(kind, 'labelled')} {name}"
                groups.append((said, f"{group['faces']:,}", *shares, percent(group["constant_width_coverage"])))
    return [*table(rows), "", *table(groups)]


def abstain(model: str) -> Lines:
    """Faces left without a gender and errors avoided: all at each threshold, then each age band at the default."""
    report = load(f"trust/{model}-abstain")
    rows: Rows = [
        (
            "faces",
            "how many",
            "no gender named, %",
            "of these the likelier is wrong, %",
            "errors avoided",
            "wrong left, %",
        )
    ]
    for name, cuts in report["groups"].items():
        for cut in cuts:
            if name != "all" and cut["threshold"] != report["at"]:
                continue
            wrong = cut["wrong_among_silenced"]
            rows.append(
                (
                    f"all, below {100 * cut['threshold']:.0f} %" if name == "all" else f"age {name}",
                    str(cut["faces"]),
                    f"{100 * cut['silenced'] / cut['faces']:.1f}",
                    f"{100 * wrong:.0f}" if wrong is not None and cut["silenced"] >= 10 else "",
                    f"{cut['avoided']} of {cut['errors']}",
                    "" if cut["risk"] is None else f"{100 * cut['risk']:.1f}",
                )
            )
    return table(rows)


def age_checks(model: str) -> Lines:
    """False passes and fails at each limit."""
    rows: Rows = [
        ("limit", "faces", "false passes, %", "women", "men", "false fails, %", "7+ years above: not passed, %")
    ]
    for limit, found in load(f"trust/{model}-age-checks")["limits"].items():
        groups = found["groups"]
        below, above, clear = groups["below"], groups["above"], groups["clear"]["pass"]
        stopped = {"value": 1 - clear["value"], "low": 1 - clear["high"], "high": 1 - clear["low"]}
        passes = [percent(groups[name]["pass"]) for name in ("below", "below female", "below male")]
        counted = f"{below['faces']} below, {above['faces']} above"
        rows.append((limit, counted, *passes, percent(above["fail"]), percent(stopped)))
    return table(rows)


def fairness(model: str) -> Lines:
    """Groups at equal ages."""
    rows: Rows = [("at equal ages", "worth faces", "MAE", "bias", "90 % intervals hold")]
    for part in ("gender", "race"):
        for name, group in load(f"trust/{model}-fairness")["partitions"][part]["groups"].items():
            joined = f" ({', '.join(group['joined_bands'])} joined)" if group["joined_bands"] else ""
            told = group["at_equal_ages"]
            figures = (cell(told["mae"]), cell(told["bias"], "+.2f"), percent(told["coverage"]) + " %")
            rows.append((name + joined, f"{group['effective_faces']:.0f}", *figures))
    return table(rows)


def fairness_gaps(model: str) -> Lines:
    """The largest gaps between groups at equal ages, and what chance would make of them."""
    words = {"mae": ("MAE, years", 1), "bias": ("bias, years", 1), "accuracy": ("gender, points", 100)}
    words["coverage"] = ("intervals hold, points", 100)
    rows: Rows = [("largest gap at equal ages", "between", "difference", "by chance up to", "more than chance")]
    for name, part in load(f"trust/{model}-fairness")["partitions"].items():
        for metric, gap in part["gaps_at_equal_ages"].items():
            if metric not in words or gap is None:
                continue
            told, factor = words[metric]
            ends = f"{gap['highest']} and {gap['lowest']}"
            chance = f"{gap['chance'] * factor:.2f}"
            difference = cell(gap["difference"], factor=factor)
            rows.append((f"{name}: {told}", ends, difference, chance, "yes" if gap["real"] else "no"))
    return table(rows, left=2)


def explanations(model: str) -> Lines:
    """Deletion and insertion curves against random and centre-blob maps."""
    deletion = ("deletion", "deletion_over_random", "deletion_over_blob")
    columns = (*deletion, "insertion", "insertion_under_random", "insertion_under_blob")
    told = ("deletion, years", "more than random", "more than the blob")
    rows: Rows = [("map", *told, "insertion, years", "less than random", "less than the blob")]
    methods = load(f"trust/{model}-explanations")["methods"]
    for name, found in sorted(methods.items(), key=lambda one: -one[1]["deletion_over_blob"]["value"]):
        rows.append((name, *(cell(found[column]) for column in columns)))
    return table(rows)


def robustness(*names: str) -> Lines:
    """Systems under corruptions: MAE as a multiple of that of clean chips, by family; points of gender lost."""
    families = ("light", "blur", "quality", "occlusion", "geometry")
    rows: Rows = [("system", "clean MAE", *families, "all", "gender, clean", "points lost", "worst")]
    audits = {name: load(name if "/" in name else f"robustness/{name}") for name in names}
    for name, audit in sorted(audits.items(), key=lambda one: one[1]["means"]["all"]["relative_mae"]["value"]):
        means, clean = audit["means"], audit["clean"]
        worst, change = max(
            ((one, found["relative_mae"]["value"]) for one, found in audit["corruptions"].items()),
            key=lambda one: one[1],
        )
        lost = means["all"]["gender_drop"]
        rows.append(
            (
                name.rpartition("/")[2].removesuffix("-robustness"),
                f"{clean['mae']:.2f}",
                *(f"{means[family]['relative_mae']['value']:.2f}" for family in families),
                cell(means["all"]["relative_mae"]),
                "" if clean["accuracy"] is None else f"{clean['accuracy']:.1%}",
                "" if lost is None else f"{100 * lost['value']:.1f}",
                f"{worst} ({change:.2f})",
            )
        )
    return table(rows)


def systems() -> Lines:
    """The published systems beside what their papers claim: some columns of docs/results/systems.md."""
    page = (RESULTS / "systems.md").read_text(encoding="utf-8").splitlines()
    first = next(number for number, line in enumerate(page) if line.startswith("| system "))
    rows: Rows = []
    for line in page[first:]:
        if not line.startswith("|"):
            break
        if not line.startswith("|--"):
            rows.append(tuple(cells[at] for cells in [[c.strip() for c in line.strip("|").split("|")]] for at in SHOWN))
    rows[0] = ("system", "run", "paper claims", "MAE, years", "gender right, %", "parameters")
    return table(rows, left=3)


def abroad(model: str) -> Lines:
    """A model on several collections: home and abroad."""
    head = (
        "collection",
        "faces",
        "not found",
        "MAE, years",
        "bias",
        "gender right, %",
        "90 % intervals hold, %",
        "width",
    )
    rows: Rows = [head]
    for one in load(f"{model}-abroad")["collections"]:
        counts, subsets = one["report"]["counts"], one["report"]["subsets"]["all"]
        age, gender = subsets["age"], subsets["gender"].get("accuracy")
        where = ", home" if one["home"] else ", chosen on" if one["chosen_on"] else ""
        rows.append(
            (
                one["name"] + where,
                f"{counts['evaluated']:,}",
                str(len(one["missed_files"])) if one["kind"] == "photos" else "-",
                cell(age["mae"]),
                f"{age['bias']['value']:+.2f}",
                percent(gender) if gender else "-",
                percent(age["coverage"]),
                f"{age['width']['value']:.1f}",
            )
        )
    return table(rows)


def collections(*names: str) -> Lines:
    """Several models on several collections, in short: MAE, share of genders right, share of ages in 90 % intervals."""
    records = [load(f"{name}-abroad")["collections"] for name in names]
    rows: Rows = [("collection", *(f"`{name}`" for name in names))]
    for same in zip(*records, strict=True):
        told = []
        for one in same:
            everything = one["report"]["subsets"]["all"]
            age, gender = everything["age"], everything["gender"].get("accuracy")
            shares = [f"{100 * figure['value']:.1f}" if figure else "-" for figure in (gender, age["coverage"])]
            told.append(" / ".join([f"{age['mae']['value']:.2f}", *shares]))
        rows.append((same[0]["name"], *told))
    return table(rows)


def peers_abroad() -> Lines:
    """The tools beside mien on several collections, on the faces that all of them found."""
    record = load("peers-abroad")
    collections = record["collections"]
    rows: Rows = [("tool", *(f"{name} ({one['common']} faces)" for name, one in collections.items()))]
    for key, tool in record["tools"].items():
        if "reason" in tool:
            continue
        told = []
        for one in collections.values():
            peer = one["peers"][key]
            mae, gender = peer["common"].get("mae"), peer["common"].get("gender")
            figures = [f"{mae['value']:.2f}"] if mae else []
            figures += [f"{100 * gender['value']:.1f} %"] if gender else []
            told.append(f"{' / '.join(figures) or '-'} ({100 * peer['missed'] / one['faces']:.0f} % missed)")
        rows.append((tool["name"], *told))
    return table(rows)


def peers_browser() -> Lines:
    """The tools that run in a browser, in the same one: errors on the faces that all found, misses, times."""
    record = load("browser-peers")
    head = (
        "in the browser",
        "MAE / gender, %, UTKFace",
        "missed",
        "MAE, APPA-REAL",
        "missed",
        "ms a scene",
        "ms a photo of 1280x720",
        "first answer, s",
        "MB fetched",
    )
    rows: Rows = [head]
    for tool, each in record["tools"].items():
        home, abroad = each["utkface"], each["appa"]
        rows.append(
            (
                tool,
                f"{home['common']['mae']:.2f} / {100 * home['common']['gender']:.1f}",
                str(home["own"]["missed"]),
                f"{abroad['common']['mae']:.2f}",
                str(abroad["own"]["missed"]),
                f"{each['scene_ms']:.0f}",
                f"{each['photo_ms']:.0f}",
                f"{each['cold_ms'] / 1000:.1f}",
                f"{each['fetched'] / 1e6:.1f}",
            )
        )
    return table(rows)


TABLES: dict[str, Callable[..., Lines]] = {
    "accuracy": accuracy,
    "accuracy-short": lambda model: accuracy(model, subsets=("all", "coral_clipped", "coral_without_twins")),
    "models": models,
    "ages": ages,
    "storage": storage,
    "calibration": calibration,
    "abstain": abstain,
    "age-checks": age_checks,
    "fairness": fairness,
    "fairness-gaps": fairness_gaps,
    "explanations": explanations,
    "robustness": robustness,
    "systems": systems,
    "abroad": abroad,
    "collections": collections,
    "peers-abroad": peers_abroad,
    "peers-browser": peers_browser,
}


@cache
def load(name: str) -> dict[str, Any]:
    """A file of docs/results, as a command's `--format json` printed it."""
    record: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return record


def cell(figure: Figure, style: str = ".2f", factor: float = 1) -> str:
    """A figure with its interval."""
    value, low, high = (figure[key] * factor for key in ("value", "low", "high"))
    return f"{value:{style}} [{low:{style}}, {high:{style}}]"


def percent(share: Figure) -> str:
    """A share with its interval, in hundredths."""
    return cell(share, ".1f", 100)


def table(rows: Rows, *, left: int = 1) -> Lines:
    """Markdown; the first `left` columns flush left, the others flush right."""
    sides = [*["---"] * left, *["---:"] * (len(rows[0]) - left)]
    return [f"| {' | '.join(rows[0])} |", f"|{'|'.join(sides)}|", *(f"| {' | '.join(row)} |" for row in rows[1:])]


if __name__ == "__main__":
    main()
