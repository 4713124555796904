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
    ModelName,
    TableOrJson,
    Threads,
)
from mien.cli.output import check_folders
from mien.cli.process import say
from mien.errors import PhotoError, UsageError
from mien.plain import plain

if TYPE_CHECKING:
    from mien.analyzer import Analyzer
    from mien.arrays import Chips
    from mien.estimate.explain import Explanation
    from mien.estimate.maps import MapMaker
    from mien.photos.decode import Picture
    from mien.results import Face, Photo

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
    threads: Threads = 0,
) -> None:
    """Tell which parts of a face its age or gender rests on.

    For each part: its share of the map, what it speaks for, and the answer when that part is blurred.
    """
    from mien.analyzer import Analyzer, Options
    from mien.chips import cut
    from mien.estimate.explain import explain as explain_chips
    from mien.estimate.maps import check_target
    from mien.sinks.records import encode

    check_target(target)
    for what, name, choices in (("method", method, METHODS), ("format", form, FORMATS)):
        if name not in choices:
            raise UsageError.unknown(what, name, choices)
    if output is not None:
        _check_output(output, photo)
    analyzer = Analyzer(model, Options(detector=detector, weights=weights, threads=threads))
    maker = _maker(analyzer, method)
    found, picture = _one_photo(analyzer, photo)
    if face is not None and face > len(found.faces):
        raise UsageError(f"--face is {face}, but the number of faces found in {found.source} is {len(found.faces)}")
    numbers = [face] if face is not None else list(range(1, len(found.faces) + 1))
    faces = [found.faces[number - 1] for number in numbers]
    chips = cut(analyzer, faces, picture)
    told = explain_chips(analyzer.estimator, chips, target, maker)
    titles = [
        f"{_name(found, number)}: {_answer(one, target)}, by {method}"
        for number, one in zip(numbers, faces, strict=True)
    ]
    if not faces:
        say(f"no face was found in {found.source}")
    elif output is not None:
        _save(output, chips, told, titles)
    if form == "json":
        record = found.to_dict() | {
            "faces": [
                {"number": number, **one.to_dict(), "explanation": why.to_dict()}
                for number, one, why in zip(numbers, faces, told, strict=True)
            ]
        }
        typer.echo(encode(record).decode())
    else:
        pages = ("\n".join([title, *_table(why)]) for title, why in zip(titles, told, strict=True))
        typer.echo("\n\n".join(pages), nl=bool(faces))
    close_with(f"{counted(len(faces), 'face')} explained" + ("" if output is None or not faces else f" -> {output}"))


def _maker(analyzer: Analyzer, method: str) -> MapMaker:
    from mien.estimate import explain

    if method in explain.METHODS:
        return explain.make(analyzer.estimator, method, analyzer.threads)
    with needs_extra(f"the method {method}"):
        from mien.learn.audits.explanations.gradients import make, of_model
    return make(of_model(analyzer.estimator), method)


def _one_photo(analyzer: Analyzer, photo: str) -> tuple[Photo, Picture]:
    """The answer for one photo and the picture itself."""
    from contextlib import closing
    from itertools import islice

    with closing(analyzer.stream_with_pictures([photo])) as answers:
        found = list(islice(answers, 2))
    if len(found) != 1:
        raise UsageError(f"{photo} holds several photos or none: give one at a time")
    answer, picture = found[0]
    if answer.error is not None or picture is None:
        raise PhotoError(answer.error.message if answer.error is not None else f"{photo} cannot be decoded")
    return answer, picture


def _name(photo: Photo, number: int) -> str:
    name = plain(Path(photo.source).name)
    return name if len(photo.faces) == 1 else f"{name}, face {number} of {len(photo.faces)}"


def _answer(face: Face, target: str) -> str:
    if target == "age":
        return f"{face.age.years:.1f} years ({face.age.low:.0f} to {face.age.high:.0f})"
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


def _save(output: Path, chips: Chips, told: list[Explanation], titles: list[str]) -> None:
    from PIL import Image

    from mien.drawing import maps
    from mien.sinks import open_output

    settings: dict[str, Any] = {} if output.suffix.lower() == ".png" else {"quality": 92}
    form = {".png": "PNG", ".webp": "WEBP"}.get(output.suffix.lower(), "JPEG")
    with open_output(output) as stream:
        Image.fromarray(maps.draw(chips, told, titles)).save(stream, form, **settings)
