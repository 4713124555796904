"""`mien lab figures`: how each system prepares a photo, and its network, drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.extras import needs_extra


def figures(
    recipes: Annotated[
        list[str] | None, typer.Argument(help="Recipes to draw.", show_default="those of all systems")
    ] = None,
    *,
    output: Annotated[Path, typer.Option(help="Folder for the pictures.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of the recipes.")
    ] = None,
    photos: Annotated[
        list[Path] | None,
        typer.Option("--photo", help="Photo of a face; may be repeated.", show_default="the sample portraits"),
    ] = None,
    form: Annotated[str, typer.Option("--format", help="png, svg or pdf.")] = "png",
) -> None:
    """Draw the papers' figures for every system: from a photo to the network's input, and the network's layers."""
    with needs_extra("drawing"):
        from mien.learn.figures.paper_figures import write_figures
    write_figures(output, recipes, settings=settings or (), photos=photos or (), form=form, report=typer.echo)
