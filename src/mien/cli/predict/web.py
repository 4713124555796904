"""`mien web`: the page that works in the browser alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def web(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write; any web server can serve it.")],
    *,
    model: Annotated[
        list[str] | None,
        typer.Option(help="Model to offer; repeat for more, the first is the default.", show_default="mien-m, mien-s"),
    ] = None,
) -> None:
    """Write a page that works in the visitor's browser alone: no picture leaves the device.

    Serve the folder over https, or on this machine: python -m http.server -d OUT. `mien serve --web OUT` serves it with
    a switch between this device and the server.
    """
    from mien.web import site

    index = site.write(out, model or ["mien-m", "mien-s"])
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    typer.echo(f"{index}: the page and its models, {size / 1e6:.0f} MB. Try it: python -m http.server -d {out}")
