"""Options that several commands have: each is named, typed and explained here, once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from mien.errors import UsageError

if TYPE_CHECKING:
    from mien.analyzer import Options
    from mien.looking import Rotation

# The analyzer's.
ModelName = Annotated[str, typer.Option(help="Name of a model (see [b]mien models[/b]) or its folder.")]
DetectorName = Annotated[str, typer.Option(help="mtcnn, haar, yunet, or whole: every picture is an aligned chip.")]
VideoDetectorName = Annotated[str, typer.Option(help="mtcnn, haar or yunet.")]
DetectorWeights = Annotated[Path | None, typer.Option(help="File of the detector's weights, for yunet.")]
MinFace = Annotated[
    int | None,
    typer.Option(
        help="Smallest face to look for, in pixels of the photo.", show_default="30, or an 80th of the longer side"
    ),
]
MinFaceOfFrame = Annotated[
    int | None,
    typer.Option(
        help="Smallest face to look for, in pixels of the frame.", show_default="30, or an 80th of the longer side"
    ),
]
Side = Annotated[
    str,
    typer.Option(
        metavar="PIXELS|full|auto", help="Longer side that big photos are reduced to; auto: as --min-face needs."
    ),
]
Rotate = Annotated[
    str,
    typer.Option(
        metavar="auto|0|90|180|270",
        help="Degrees to turn photos clockwise by; auto: tried where nothing sure is found upright.",
    ),
]
Threshold = Annotated[
    float | None, typer.Option(help="Least score of a face, 0 to 1.", show_default="the detector's own")
]
MaxFaces = Annotated[
    int | None, typer.Option(help="Keep only the so many largest faces of a photo.", show_default="all")
]
Level = Annotated[float, typer.Option(help="Share of true ages that the age intervals hold.")]
Abstain = Annotated[
    float, typer.Option(metavar="P", help="Call a gender 'uncertain' where its probability is below P.")
]
Mirror = Annotated[bool, typer.Option("--mirror", help="Average with the mirror image: better, slower.")]
AnalyzerThreads = Annotated[int, typer.Option(help="Cores to use; 0 for all.")]

# What is written, and where.
Pmf = Annotated[bool, typer.Option("--pmf", help="Add the probability of each year 0..116.")]
SafeCells = Annotated[
    bool, typer.Option("--safe-cells", help="In CSV, put ' before what a spreadsheet would take for a formula.")
]
OutputFile = Annotated[
    Path | None, typer.Option("--output", "-o", help="File to write.", show_default="standard output")
]
RunOutput = Annotated[Path, typer.Option(help="Folder of the new run.")]
TableOrJson = Annotated[str, typer.Option("--format", help="table or json.")]
MarkdownOrJson = Annotated[str, typer.Option("--format", help="table (Markdown) or json.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no summary.")]

# Videos and cameras.
CameraName = Annotated[
    str | None, typer.Option(help="A camera instead: 0 for the first, or its device or rtsp:// address.")
]
Reconnect = Annotated[
    float, typer.Option(metavar="SECONDS", help="Try for so long to reach a camera that is lost, or not there yet.")
]
Every = Annotated[int, typer.Option(metavar="N", help="Analyse each Nth frame only.")]
Survive = Annotated[float, typer.Option(help="Seconds that a track outlasts its face being hidden.")]
Birth = Annotated[int, typer.Option(help="Frames in a row that must show a face before it is a track.")]

# Models and labelled faces.
Model = Annotated[str, typer.Argument(help="Name of a model or its folder.")]
ModelOrRun = Annotated[str, typer.Argument(help="Name of a model, its folder, or the folder of a run.")]
Data = Annotated[Path, typer.Option(help="Labelled chips: a folder or a CSV table.")]
DataRoot = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Folder that holds data/ and pretrained/: what $MIEN_DATA stands for in recipes.",
        show_default="the environment's MIEN_DATA",
    ),
]
Folds = Annotated[Path | None, typer.Option(help="CSV table of folds, and of labels if it has them.")]
Fold = Annotated[
    str | None,
    typer.Option(help="Fold to measure on, or all.", show_default="test where the data have folds, else all"),
]
TrainFold = Annotated[str | None, typer.Option(help="Fold to take.", show_default="train with --folds")]
Predictions = Annotated[
    Path | None,
    typer.Option(help="Answers saved by [b]mien evaluate --predictions[/b] for that fold; the model need not run."),
]
MinFaces = Annotated[int, typer.Option(min=2, help="A group with fewer faces is named, but not measured.")]
Threads = Annotated[int, typer.Option(min=0, help="Cores to use; 0 for all.")]


def analyzer_options(
    *, side: str = "auto", rotate: str = "auto", decode: dict[str, Any] | None = None, **options: Any
) -> Options:
    """The analyzer's options from those of a command.

    Args:
        side: what --side says.
        rotate: what --rotate says.
        decode: further options of decoding, see `mien.DecodeOptions`.
        options: the others, as `mien.Options` has them.

    Raises:
        UsageError: one of them cannot be.
    """
    from mien.analyzer import Options
    from mien.photos.decode import DecodeOptions

    decoding = DecodeOptions(target_side=side_of(side), **(decode or {}))
    return Options(rotate=rotation(rotate), decode=decoding, **options)


def side_of(word: str) -> int | Literal["auto"] | None:
    """What --side says: a number of pixels, "auto", or "full" for no reduction.

    >>> side_of("1024"), side_of("auto"), side_of("full")
    (1024, 'auto', None)

    Raises:
        UsageError: anything else.
    """
    if word == "auto":
        return "auto"
    if word == "full":
        return None
    if not word.isdecimal() or int(word) < 1:
        raise UsageError(f"--side is {word!r}: give a number of pixels, full or auto")
    return int(word)


def rotation(word: str) -> Rotation:
    """What --rotate says: a quarter turn, or "auto".

    >>> rotation("270"), rotation("auto")
    (270, 'auto')

    Raises:
        UsageError: anything else.
    """
    if word not in {"auto", "0", "90", "180", "270"}:
        raise UsageError(f"--rotate is {word!r}: give auto, 0, 90, 180 or 270")
    return cast("Rotation", word if word == "auto" else int(word))
