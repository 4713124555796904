"""`mien lab compare`: runs in one table or on one page. `mien lab systems`: what is rebuilt, and what papers claim."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from mien.cli.extras import needs_extra
from mien.cli.options import DataRoot, OutputFile, TableOrJson
from mien.cli.output import write
from mien.errors import UsageError

UTKFACE = "data/utkface"
FORMATS = ("json", "markdown", "html")
SUFFIXES = {".json": "json", ".md": "markdown", ".html": "html", ".htm": "html"}


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs that [b]mien lab score[/b] completed.")],
    *,
    output: OutputFile = None,
    form: Annotated[
        str | None,
        typer.Option("--format", help="json, markdown or html.", show_default="as --output ends, else markdown"),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="The labelled pictures.", show_default=f"$MIEN_DATA/{UTKFACE} if it is there, else the pictures' names"
        ),
    ] = None,
    folds: Annotated[
        Path | None, typer.Option(help="CSV table of folds.", show_default="its splits.csv with the default data")
    ] = None,
    data_root: DataRoot = None,
) -> None:
    """Compare runs with the papers and with each other on the faces that all of them answered."""
    chosen = form or ("markdown" if output is None else SUFFIXES.get(output.suffix, ""))
    if not chosen:
        raise UsageError(f"{output} does not end in .html, .md or .json: say --format")
    if chosen not in FORMATS:
        raise UsageError.unknown("format", chosen, FORMATS)
    with needs_extra("comparing"):
        from mien import learn
        from mien.learn.comparison.markdown import to_markdown
        from mien.learn.comparison.page import to_html
        from mien.sinks.records import encode
    comparison = learn.compare(runs, data, folds=folds, data_root=data_root)
    if chosen == "json":
        text = encode(comparison.to_dict()).decode()
    else:
        text = to_markdown(comparison) if chosen == "markdown" else to_html(comparison, _command(runs, output))
    write(text, output)


def systems(form: TableOrJson = "table") -> None:
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
    words = [
        "mien",
        "lab",
        "compare",
        *names,
        *(["--output", str(output)] if output is not None else ["--format", "html"]),
    ]
    return " ".join(word if word.endswith("/*") else shlex.quote(word) for word in words)
