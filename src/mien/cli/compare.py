"""`mien compare`: many runs in one table or on one page. `mien systems`: what is rebuilt, and what papers claim."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from mien.cli.written import write
from mien.errors import MissingExtra, UsageError

DATA = Path("../shared/data/utkface/images")
FOLDS = Path("../shared/data/utkface/splits.csv")
FORMATS = ("json", "markdown", "html")
SUFFIXES = {".json": "json", ".md": "markdown", ".html": "html", ".htm": "html"}
PACKAGES = frozenset({"pyarrow", "yaml", "jinja2", "markupsafe"})


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs that [b]mien score[/b] completed.")],
    *,
    output: Annotated[Path | None, typer.Option(help="File to write.", show_default="standard output")] = None,
    form: Annotated[
        str | None,
        typer.Option("--format", help="json, markdown or html.", show_default="as --output ends, else markdown"),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="The labelled pictures.", show_default=f"{DATA} if it is there, else the pictures' names"),
    ] = None,
    folds: Annotated[
        Path | None, typer.Option(help="CSV table of folds.", show_default=f"{FOLDS} with the default data")
    ] = None,
) -> None:
    """Compare runs with the papers and with each other on the faces that all of them answered."""
    chosen = form or ("markdown" if output is None else SUFFIXES.get(output.suffix, ""))
    if not chosen:
        raise UsageError(f"{output} does not end in .html, .md or .json: say --format")
    if chosen not in FORMATS:
        raise UsageError.unknown("format", chosen, FORMATS)
    try:
        from mien.learn.comparison.compare import compare as measure
        from mien.learn.comparison.markdown import to_markdown
        from mien.learn.comparison.page import to_html
        from mien.learn.comparison.picture_labels import read_labels
        from mien.learn.comparison.scored_runs import read_run
        from mien.sinks.records import encode
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in PACKAGES:
            raise
        raise MissingExtra.named("comparing", "train") from error
    found = [read_run(folder) for folder in runs]
    if data is None and DATA.is_dir():
        data, folds = DATA, folds or FOLDS
    files = sorted({file for run in found for file in run.predictions.files.tolist()})
    comparison = measure(found, read_labels(files, data, folds))
    if chosen == "json":
        text = encode(comparison.to_dict()).decode()
    else:
        text = to_markdown(comparison) if chosen == "markdown" else to_html(comparison, _command(runs, output))
    write(text, output)


def systems(form: Annotated[str, typer.Option("--format", help="table or json.")] = "table") -> None:
    """List the published systems that mien rebuilds: what each paper claims, and what makes each run."""
    from rich.console import Console
    from rich.table import Table

    from mien.learn.comparison.claims import SYSTEMS
    from mien.sinks.records import encode

    if form not in ("table", "json"):
        raise UsageError.unknown("format", form, ("table", "json"))
    if form == "json":
        typer.echo(encode([system.to_dict() for system in SYSTEMS]).decode())
        return
    width = None if sys.stdout.isatty() else 120
    console = Console(file=sys.stdout, width=width, markup=False, highlight=False)
    for system in SYSTEMS:
        console.print(system.title, style="bold")
        for sentence in (system.paper, system.says, *system.doubts):
            console.print(sentence)
        table = Table("name", "made by", "run", "the paper claims", box=None, header_style="dim", padding=(0, 2, 0, 0))
        for row in system.rows:
            title = row.title if not row.of else f"{row.title}: {' + '.join(row.of)}"
            claims = ", ".join(claim.text() for claim in row.beside().values()) or "-"
            table.add_row(row.name, system.command(row), title, claims)
        console.print(table)
        console.print()


def _command(runs: list[Path], output: Path | None) -> str:
    """What made the page; runs that are all those of one folder are written as one pattern."""
    parents = {run.parent for run in runs}
    names = [str(run) for run in runs]
    if len(parents) == 1:
        (parent,) = parents
        if {run.name for run in runs} == {path.parent.name for path in parent.glob("*/run.json")}:
            names = [f"{parent}/*"]
    words = ["mien", "compare", *names, *(["--output", str(output)] if output is not None else ["--format", "html"])]
    return " ".join(word if word.endswith("/*") else shlex.quote(word) for word in words)
