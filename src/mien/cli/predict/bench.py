"""`mien bench`: what each step costs on this machine and these photos, against what the machine could do."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from mien.cli.closing import close_with, number
from mien.cli.options import DetectorName, DetectorWeights, MinFace, ModelName, Quiet, TableOrJson
from mien.cli.process import say
from mien.errors import UsageError

FORMS = ("table", "json")


def bench(
    sources: Annotated[
        list[str], typer.Argument(metavar="PHOTO...", help="Photos, folders, globs or tars; all are held in memory.")
    ],
    *,
    model: ModelName = "mien-m",
    detector: DetectorName = "mtcnn",
    weights: DetectorWeights = None,
    min_face: MinFace = None,
    threads: Annotated[int, typer.Option(min=1, help="Cores that one photo may use.")] = 1,
    repeats: Annotated[int, typer.Option(min=1, help="Rounds over all photos; the median counts.")] = 5,
    limit: Annotated[int, typer.Option(min=1, help="Use only so many photos.")] = 100,
    form: TableOrJson = "table",
    quiet: Quiet = False,
) -> None:
    """Measure every step of the main job on your photos: time, multiply-adds, and share of the machine's peak."""
    from itertools import islice

    from mien.analyzer import Analyzer, Options
    from mien.cli.progress import ProgressBar
    from mien.photos.sources import items
    from mien.speed.peak import matrix_rate
    from mien.speed.roofline import measure

    if form not in FORMS:
        raise UsageError.unknown("format", form, FORMS)
    options = Options(detector=detector, min_face=min_face, weights=weights, threads=threads)
    analyzer = Analyzer(model, options)
    photos = list(islice(items(sources, max_bytes=options.decode.max_bytes), limit))
    peak = matrix_rate(threads)
    with ProgressBar(len(photos) * (repeats + 1), quiet=quiet) as bar:
        measured = measure(analyzer, photos, peak=peak, repeats=repeats, progress=bar.advance)
    close_with(f"{number(measured.photos, 'photo')} measured in {number(repeats, 'round')}")
    if measured.failed:
        say(f"{measured.failed} of {len(photos)} photos cannot be read and were left out")
    typer.echo(json.dumps(measured.to_dict(), indent=2) if form == "json" else measured.to_table())
