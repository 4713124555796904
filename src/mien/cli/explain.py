"""`mien explain`: why a face gets its age or gender; `mien audit explanations`: whether such answers can be trusted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.closing import close_with
from mien.cli.closing import number as counted
from mien.cli.learn import needs_extra, read_faces
from mien.cli.process import say
from mien.errors import ModelError, PhotoError, UsageError
from mien.plain import plain
from mien.results import whole

if TYPE_CHECKING:
    from mien.analyzer import Analyzer
    from mien.estimate.explain import Explanation
    from mien.estimate.maps import Chips, MapMaker
    from mien.learn.audits.explanations.gradients import TorchModel
    from mien.learn.data.predictions import ChipEstimator
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
    form: Annotated[str, typer.Option("--format", help="table or json.")] = "table",
    model: Annotated[str, typer.Option(help="Name of a model (see [b]mien models[/b]) or its folder.")] = "mien-m",
    detector: Annotated[
        str, typer.Option(help="mtcnn, haar, yunet, or whole: the picture is an aligned chip.")
    ] = "mtcnn",
    weights: Annotated[Path | None, typer.Option(help="File of the detector's weights, for yunet.")] = None,
    threads: Annotated[int, typer.Option(min=0, help="Cores to use; 0 for all.")] = 0,
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


def explanations(
    model: Annotated[str, typer.Argument(help="Name of a model, its folder, or the folder of a run.")],
    *,
    data: Annotated[Path, typer.Option(help="Labelled chips: a folder or a CSV table.")],
    folds: Annotated[Path | None, typer.Option(help="CSV table of folds, and of labels if it has them.")] = None,
    fold: Annotated[
        str | None, typer.Option(help="Fold to measure on.", show_default="test where the data have folds, else all")
    ] = None,
    faces: Annotated[int, typer.Option(min=2, help="Measure on so many, chosen by age band and gender.")] = 500,
    methods: Annotated[
        list[str] | None,
        typer.Option(help=f"Of {', '.join(METHODS)}; with commas or repeated.", show_default="cam,occlusion"),
    ] = None,
    target: Annotated[str, typer.Option(help="What is explained: age or gender.")] = "age",
    seed: Annotated[int, typer.Option(help="Of the choice of faces, random maps and shuffled weights.")] = 0,
    form: Annotated[str, typer.Option("--format", help="table (Markdown) or json.")] = "table",
    plot: Annotated[Path | None, typer.Option(help="Save the curves there, as PNG, SVG or PDF.")] = None,
    threads: Annotated[int, typer.Option(min=0, help="Cores to use; 0 for all.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Measure whether answers change where the maps say, beside random maps and a blob in the middle."""
    from mien.cli.progress import ProgressBar
    from mien.cli.robustness import open_model
    from mien.cores import physical_cores
    from mien.estimate.maps import check_target
    from mien.learn.audits.robustness.robustness_audit import stratified
    from mien.sinks.records import encode

    with needs_extra("the audit of explanations"):
        import torch

        from mien.learn.audits.explanations.explanation_audit import measure
        from mien.learn.audits.explanations.explanation_plots import plot as draw
    wanted = list(dict.fromkeys(name.strip() for text in methods or ["cam,occlusion"] for name in text.split(",")))
    check_target(target)
    for name in wanted:
        if name not in METHODS:
            raise UsageError.unknown("method", name, METHODS)
    if form not in FORMATS:
        raise UsageError.unknown("format", form, FORMATS)
    if plot is not None and not plot.parent.is_dir():
        raise UsageError(f"there is no folder {plot.parent} to save {plot.name} in")
    cores = threads or physical_cores()
    torch.set_num_threads(cores)
    fold = fold or ("test" if folds else None)
    some = stratified(read_faces(data, folds, fold), faces, seed)
    estimator, name, prepare = open_model(model, some)
    makers, shuffled = _makers(estimator, wanted)
    with ProgressBar(len(some), quiet=quiet) as bar:
        report = measure(
            estimator,
            makers,
            some,
            target=target,
            name=name,
            prepare=prepare,
            shuffled=shuffled,
            threads=cores,
            seed=seed,
            progress=bar.advance,
        )
    if plot is not None:
        draw(report).savefig(plot, dpi=150)
    if form == "json":
        record = report.to_dict()
        record["settings"] |= {"data": str(data), "folds": folds and str(folds), "fold": fold}
        typer.echo(encode(record).decode())
    else:
        typer.echo(report.to_markdown())


def _maker(analyzer: Analyzer, method: str) -> MapMaker:
    from mien.estimate import explain

    if method in explain.METHODS:
        return explain.make(analyzer.estimator, method, analyzer.threads)
    with needs_extra(f"the method {method}"):
        from mien.learn.audits.explanations.gradients import make, of_model
    return make(of_model(analyzer.estimator), method)


def _makers(
    estimator: ChipEstimator, methods: list[str]
) -> tuple[list[MapMaker], Callable[[str, int], MapMaker] | None]:
    """The methods for a model or a run, and for its network with shuffled weights if that can be had in torch."""
    from mien.estimate import explain
    from mien.estimate.estimator import Estimator
    from mien.learn.audits.explanations.gradients import METHODS as GRADIENT_METHODS
    from mien.learn.audits.explanations.gradients import TorchModel, make, of_model
    from mien.learn.comparison.score import RunEstimator

    network: TorchModel | None = None
    if isinstance(estimator, RunEstimator):
        network = TorchModel(estimator.net, estimator.contract)
    elif isinstance(estimator, Estimator):
        try:
            network = of_model(estimator)
        except ModelError as error:
            if set(methods) & set(GRADIENT_METHODS):
                raise
            say(f"no comparison with shuffled weights: {error}")
    makers = []
    for method in methods:
        in_torch = method in GRADIENT_METHODS or (method == "cam" and not isinstance(estimator, Estimator))
        if in_torch and network is not None:
            makers.append(make(network, method))
        else:
            makers.append(explain.make(estimator, method))
    if network is None:
        return makers, None
    plain, ready = network, {}

    def shuffled(method: str, seed: int) -> MapMaker:
        if seed not in ready:
            ready[seed] = plain.shuffled(seed)
        return make(ready[seed], method)

    return makers, shuffled


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
    if not output.parent.is_dir():
        raise UsageError(f"there is no folder {output.parent} to save {output.name} in")
    if output.exists() and Path(photo).exists() and output.samefile(photo):
        raise UsageError(f"--output {output} is the photo itself: choose another name")


def _save(output: Path, chips: Chips, told: list[Explanation], titles: list[str]) -> None:
    from PIL import Image

    from mien import overlay
    from mien.sinks import open_output

    settings: dict[str, Any] = {} if output.suffix.lower() == ".png" else {"quality": 92}
    form = {".png": "PNG", ".webp": "WEBP"}.get(output.suffix.lower(), "JPEG")
    with open_output(output) as stream:
        Image.fromarray(overlay.draw(chips, told, titles)).save(stream, form, **settings)
