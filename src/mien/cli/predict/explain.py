"""`mien explain`: which parts of a face its age or gender rests on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.closing import close_with
from mien.cli.closing import number as counted
from mien.cli.extras import needs_extra
from mien.cli.options import (
    DetectorName,
    DetectorWeights,
    MinFace,
    ModelName,
    Rotate,
    Side,
    TableOrJson,
    Threads,
    analyzer_options,
)
from mien.cli.output import check_folders
from mien.cli.process import say
from mien.errors import UsageError
from mien.plain import plain
from mien.results import whole

if TYPE_CHECKING:
    from mien.analyzer import Analyzer
    from mien.estimate.explain import Explanation
    from mien.estimate.maps import MapMaker
    from mien.explained import ExplainedPhoto
    from mien.results import Photo

FORMATS = ("table", "json")
PICTURES = (".png", ".jpg", ".jpeg", ".webp")
METHODS = ("cam", "occlusion", "gradcam", "gradcam++", "layercam")


def explain(
    photo: Annotated[str, typer.Argument(help="A photo, or '-' for standard input.")],
    *,
    target: Annotated[str, typer.Option(help="What to explain: age or gender.")] = "age",
    method: Annotated[
        str, typer.Option(help="occlusion or cam; with the extra train also gradcam, gradcam++ or layercam.")
    ] = "occlusion",
    face: Annotated[
        int | None, typer.Option(min=1, help="Which face, 1 being the largest (in records face 0).", show_default="all")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Save the map over the face there, as PNG, JPEG or WebP.")
    ] = None,
    form: TableOrJson = "table",
    model: ModelName = "mien-m",
    detector: DetectorName = "mtcnn",
    weights: DetectorWeights = None,
    min_face: MinFace = None,
    side: Side = "auto",
    rotate: Rotate = "auto",
    threads: Threads = 0,
) -> None:
    """Tell which parts of a face its age or gender rests on.

    For each part: its share of the map, what it speaks for, and the answer when that part is blurred.
    """
    from mien.analyzer import Analyzer
    from mien.estimate.maps import check_target

    check_target(target)
    for what, name, choices in (("method", method, METHODS), ("format", form, FORMATS)):
        if name not in choices:
            raise UsageError.unknown(what, name, choices)
    if output is not None:
        _check_output(output, photo)
    _check_one(photo)
    options = analyzer_options(
        side=side, rotate=rotate, detector=detector, weights=weights, min_face=min_face, threads=threads
    )
    analyzer = Analyzer(model, options)
    told = analyzer.explain(photo, target=target, method=_method(analyzer, method), face=face)
    titles = [
        f"{_name(told.photo, number)}: {_answer(told.photo, number, target)}, by {method}" for number in told.numbers
    ]
    if not told.numbers:
        say(f"no face was found in {told.photo.source}")
    elif output is not None:
        _save(output, told, titles)
    typer.echo(_text(told, titles, form), nl=form == "json" or bool(told.numbers))
    place = "" if output is None or not told.numbers else f" -> {output}"
    close_with(f"{counted(len(told.numbers), 'face')} explained{place}")


def _check_one(photo: str) -> None:
    """Refuse a folder or an archive of several photos, or of none.

    Raises:
        UsageError: it is not one photo.
    """
    from itertools import islice

    from mien.photos.sources import items

    if photo != "-" and len(list(islice(items([photo]), 2))) != 1:
        raise UsageError(f"{photo} holds several photos or none: give one at a time")


def _text(told: ExplainedPhoto, titles: list[str], form: str) -> str:
    from mien.sinks.records import encode

    if form == "json":
        return encode(told.to_dict()).decode()
    return "\n\n".join("\n".join([title, *_table(why)]) for title, why in zip(titles, told.explanations, strict=True))


def _method(analyzer: Analyzer, name: str) -> str | MapMaker:
    """A method by its name; what needs torch is made here."""
    from mien.estimate import explain

    if name in explain.METHODS:
        return name
    with needs_extra(f"the method {name}"):
        from mien.learn.audits.explanations.gradients import make, of_model
    return make(of_model(analyzer.estimator), name)


def _name(photo: Photo, number: int) -> str:
    name = plain(Path(photo.source).name)
    return name if len(photo.faces) == 1 else f"{name}, face {number} of {len(photo.faces)}"


def _answer(photo: Photo, number: int, target: str) -> str:
    face = photo.faces[number - 1]
    if target == "age":
        return f"{face.age.years:.1f} years ({whole(face.age.low)} to {whole(face.age.high)})"
    return f"{face.gender.label}, {face.gender.percent}"


def _table(why: Explanation) -> list[str]:
    """Parts of the face in lines, columns aligned."""
    hidden = "age when blurred" if why.target == "age" else "female when blurred"
    rows = [("part", "share", "speaks for", hidden)]
    rows += [
        (part.name, f"{100 * part.share:.0f} %", why.speaks_for(part), why.changed(part.hidden)) for part in why.regions
    ]
    rows.append(("everything", "", "", why.changed(why.veiled)))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return [
        f"{part:<{widths[0]}}  {share:>{widths[1]}}  {side:<{widths[2]}}  {answer:>{widths[3]}}"
        for part, share, side, answer in rows
    ] + ([why.note] if why.note else [])


def _check_output(output: Path, photo: str) -> None:
    if output.suffix.lower() not in PICTURES:
        raise UsageError(f"{output.name} must end in {', '.join(PICTURES)}")
    check_folders(output)
    if output.exists() and Path(photo).exists() and output.samefile(photo):
        raise UsageError(f"--output {output} is the photo itself: choose another name")


def _save(output: Path, told: ExplainedPhoto, titles: list[str]) -> None:
    from PIL import Image

    from mien.drawing import maps
    from mien.sinks import open_output

    settings: dict[str, Any] = {} if output.suffix.lower() == ".png" else {"quality": 92}
    form = {".png": "PNG", ".webp": "WEBP"}.get(output.suffix.lower(), "JPEG")
    with open_output(output) as stream:
        Image.fromarray(maps.draw(told.chips, told.explanations, titles)).save(stream, form, **settings)
