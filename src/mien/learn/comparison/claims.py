"""What the published systems are, what their papers claim, and which recipes rebuild them.

The claims are those that issue 3 of the project reports; where a paper contradicts itself or leaves open what a figure
means, a note says so. A system's rows are its runs: a run belongs to the row that is named like its recipe.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mien.native import Record

Figure = Literal["mae", "mse", "rmse", "cs5", "age_class", "decade", "accuracy", "precision", "recall", "f1"]
"""Years, squared for the second, for the first three, shares from 0 to 1 for the rest; the last four are of gender,
"female" being positive."""

_CLAIMED: dict[Figure, tuple[str, float, str]] = {
    "mae": ("MAE", 1, " years"),
    "age_class": ("age class", 100, " %"),
    "accuracy": ("gender", 100, " %"),
    "precision": ("precision", 1, ""),
    "recall": ("recall", 1, ""),
    "f1": ("F1", 1, ""),
}
"""Name, factor and unit of what papers state."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One figure that a paper states.

    Attributes:
        figure: what it measures.
        value: years, or a share from 0 to 1.
        data: what it was measured on, as far as we know.
        train: the same figure on the training data, where the paper gives it too.
        note: what to know before comparing with it.
    """

    figure: Figure
    value: float
    data: str = ""
    train: float | None = None
    note: str = ""

    def text(self) -> str:
        """The figure in words.

        >>> Claim("age_class", 0.802, "1,000 test images").text()
        'age class 80.2 %'
        """
        name, factor, unit = _CLAIMED[self.figure]
        return f"{name} {factor * self.value:.4g}{unit}"


@dataclass(frozen=True, slots=True)
class Row:
    """One run of a system.

    Attributes:
        name: of the run, and of its recipe.
        title: in words.
        claims: what the paper says of just this variant; the first of a figure is the one to compare with.
        of: the runs it is made of, where it is no training run of its own.
        mode: how `mien lab combine` makes it of them, "" where it is trained.
    """

    name: str
    title: str
    claims: tuple[Claim, ...] = ()
    of: tuple[str, ...] = ()
    mode: Literal["", "pair", "gated", "mean"] = ""

    def beside(self) -> dict[Figure, Claim]:
        """For each figure that is claimed the claim to compare with."""
        first: dict[Figure, Claim] = {}
        for claim in self.claims:
            first.setdefault(claim.figure, claim)
        return first


@dataclass(frozen=True, slots=True)
class System(Record):
    """A published design, or a group of our own.

    Attributes:
        key: as `run.json` has it.
        title: in words.
        paper: where it comes from.
        says: what the paper claims, as sentences.
        rows: its runs, in the order of the comparison.
        doubts: what the paper leaves open or contradicts.
        published: a paper's own system.
    """

    key: str
    title: str
    paper: str
    says: str
    rows: tuple[Row, ...]
    doubts: tuple[str, ...] = ()
    published: bool = True

    def row(self, name: str) -> Row | None:
        """The row of that name, if the system has it."""
        return next((row for row in self.rows if row.name == name), None)

    def command(self, row: Row) -> str:
        """What makes one of its runs: `mien train`, `mien lab baseline`, or `mien lab combine` with a mode."""
        if row.of:
            return f"mien lab combine {row.mode}"
        return "mien lab baseline" if self.key == "baseline" else "mien train"


_THOUSAND = "1,000 test images"
_HELD_OUT = "the validation part of an 80:20 split"
_ONE_OF_TWO = Claim("accuracy", 0.8809, note="stated for one gender model; which of the two is not said")

SYSTEMS: tuple[System, ...] = (
    System(
        "compact",
        "Compact CNN",
        "paper (a): MTCNN faces, four conv layers, two dense layers",
        "Gender 94.5 % and age class 80.2 % on 1,000 test images, robust to lighting and expression, with "
        "significantly fewer parameters and less training time than existing methods.",
        (
            Row(
                "compact",
                "Compact CNN",
                (
                    Claim("accuracy", 0.945, _THOUSAND),
                    Claim("age_class", 0.802, _THOUSAND, note="the paper does not define its age classes"),
                ),
            ),
        ),
        (
            "The age classes behind 80.2 % are not defined: with few and wide ones it is easy, with 24 of five years "
            "it is not.",
            "The paper trains with Adam in one place and with SGD in another.",
        ),
    ),
    System(
        "regularised",
        "Regularised CNNs and gender-gated experts",
        "paper (b): Haar crops, batch norm and spatial dropout, VGG16 experts behind a gender classifier",
        "Age loss 5.7 in training and 6.7 in validation; gender 92.5 % and 89 %; one gender model 88.09 %; age class "
        "92 %, in the abstract only.",
        (
            Row(
                "regularised-age",
                "Regularised CNN, age",
                (
                    Claim(
                        "mae",
                        6.7,
                        _HELD_OUT,
                        train=5.7,
                        note="the paper says loss; read as MAE, since as a squared error it would mean 2.6 years",
                    ),
                ),
            ),
            Row(
                "regularised-classes",
                "Regularised CNN, age class",
                (Claim("age_class", 0.92, note="in the abstract only; the text contradicts its table"),),
            ),
            Row("regularised-gender", "Regularised CNN, gender", (Claim("accuracy", 0.89, _HELD_OUT, train=0.925),)),
            Row("regularised-both", "Regularised CNN, age and gender"),
            Row("gate-sigmoid", "Gender gate, sigmoid", (_ONE_OF_TWO,)),
            Row("gate-softmax", "Gender gate, softmax", (_ONE_OF_TWO,)),
            Row("expert-women", "Age expert A, women"),
            Row("expert-men", "Age expert B, men"),
            Row("experts", "Experts behind the gate", of=("gate-sigmoid", "expert-women", "expert-men"), mode="gated"),
            Row(
                "experts-softmax",
                "Experts, softmax gate",
                of=("gate-softmax", "expert-women", "expert-men"),
                mode="gated",
            ),
        ),
        (
            "92 % for age classes stands in the abstract only, and the text contradicts its own table.",
            "The gender gates learn from another data set than the experts. Each expert alone is measured on all "
            "faces, also on those of the gender that it never saw.",
        ),
    ),
    System(
        "hybrid",
        "Hybrid CNN + RNN, ensemble",
        "paper (c): pretrained CNN whose feature map an LSTM or GRU reads, members averaged",
        "On UTKFace MAE 4.25, age class 74.4 %, gender 95.3 %, precision 0.96, recall 0.94, F1 0.95 (its previous "
        "model: 4.30, 76.0 %, 95.0 %); on IMDB-WIKI 4.20, 77.5 %, 96.2 %, 0.97, 0.95, 0.96.",
        (
            Row("hybrid-cnn", "CNN alone"),
            Row("hybrid-lstm", "CNN + LSTM"),
            Row("hybrid-gru", "CNN + GRU"),
            Row("hybrid-gru-160", "CNN + GRU, 160 px"),
            Row("hybrid-cnn-lite2", "CNN alone, EfficientNet-Lite2"),
            Row("hybrid-cnn-distribution", "CNN alone, distribution of ages"),
            Row("hybrid-gru-whole", "CNN + GRU, no stage frozen"),
            Row(
                "hybrid-ensemble",
                "Ensemble",
                (
                    Claim("mae", 4.25, "UTKFace"),
                    Claim("age_class", 0.744, "UTKFace", note="the previous model has 76.0 %: more, not less"),
                    Claim("accuracy", 0.953, "UTKFace"),
                    Claim("precision", 0.96, "UTKFace"),
                    Claim("recall", 0.94, "UTKFace"),
                    Claim("f1", 0.95, "UTKFace"),
                    Claim("mae", 4.30, "UTKFace", note="the paper's previous model"),
                    Claim("age_class", 0.760, "UTKFace", note="the paper's previous model"),
                    Claim("accuracy", 0.950, "UTKFace", note="the paper's previous model"),
                    Claim("mae", 4.20, "IMDB-WIKI"),
                    Claim("age_class", 0.775, "IMDB-WIKI"),
                    Claim("accuracy", 0.962, "IMDB-WIKI"),
                    Claim("precision", 0.97, "IMDB-WIKI"),
                    Claim("recall", 0.95, "IMDB-WIKI"),
                    Claim("f1", 0.96, "IMDB-WIKI"),
                ),
                of=("hybrid-gru-whole", "hybrid-cnn-distribution"),
                mode="mean",
            ),
        ),
        ("Its age classes are not defined, and by its own figures the previous model names more of them rightly.",),
    ),
    System(
        "one-or-two",
        "One network or two",
        "paper (d): one combined network at 128 px, or two separate ones at 200 px",
        "Combined: gender 93 % and MAE 7; separate: 87.8 % and 17; the combined network is faster in training and in "
        "inference.",
        (
            Row("combined", "Combined", (Claim("accuracy", 0.93), Claim("mae", 7.0))),
            Row("separate-age", "Separate, age", (Claim("mae", 17.0),)),
            Row("separate-gender", "Separate, gender", (Claim("accuracy", 0.878),)),
            Row(
                "separate",
                "Both separate networks",
                (Claim("mae", 17.0), Claim("accuracy", 0.878)),
                of=("separate-age", "separate-gender"),
                mode="pair",
            ),
        ),
        (
            "An MAE of 17 years is worse than naming the mean age for everyone (14.9 on our test fold): a fault in "
            "training rather than a property of separate networks.",
        ),
    ),
    System(
        "baseline",
        "Baselines",
        "what papers (a) and (b) compare themselves with",
        "Paper (a) prefers its CNN to existing methods, paper (b) its own to Haar, Eigenface and Fisherface; we know "
        "of no figures for them.",
        (
            Row("lbp-svm", "LBP histograms + linear SVM"),
            Row("haar-boost", "Haar-like features + boosting"),
            Row("mlp-pixels", "Shallow MLP on pixels"),
            Row("eigenface", "Eigenface: PCA"),
            Row("fisherface", "Fisherface: PCA + LDA"),
        ),
        published=False,
    ),
    System(
        "mien",
        "mien",
        "ours: MobileNetV1 pretrained on faces, a distribution over ages",
        "No paper: what the systems above became. Its start weights have seen other faces, VGGFace2 and IMDB-WIKI; "
        "those of the systems above have not.",
        (
            Row("mien-m-start", "mien-m, first step"),
            Row("mien-m-polish", "mien-m, second step"),
            Row("mien-m-taught", "mien-m, third step"),
            Row("mien-m-hardened", "mien-m, fourth step"),
            Row("mien-m-whole", "mien-m, the first blocks too"),
            Row("mien-m", "mien-m"),
            Row("mien-m-blended", "mien-m, taught by itself"),
            Row("mien-m-abroad", "mien-m, all collections"),
            Row("mien-m-balanced", "mien-m, rare ages and old prints"),
            Row("mien-m-home", "mien-m, last step"),
            Row("mien-s-low-many", "mien-s of low ranks, more pictures"),
            Row("mien-s-soap", "mien-s, by SOAP"),
            Row("mien-s", "mien-s"),
            Row("mien-s-abroad", "mien-s, all collections"),
        ),
        published=False,
    ),
)
"""In the order of the comparison."""


def find_system(key: str) -> System | None:
    """The system of that key, if there is one."""
    return next((system for system in SYSTEMS if system.key == key), None)


def how_made(name: str) -> str | None:
    """For a run that no recipe trains a sentence with the command that makes it; None for all other names.

    >>> how_made("lbp-svm")
    'lbp-svm is a baseline, which has no recipe: mien lab baseline lbp-svm makes it'
    """
    for system in SYSTEMS:
        row = system.row(name)
        if row is not None and row.of:
            parts = " ".join(f"runs/{part}" for part in row.of)
            return (
                f"{name} is made of other runs, and has no recipe: train {', '.join(row.of)}, then "
                f"{system.command(row)} {parts} --output runs/{name}; or benchmarks/systems.sh {name} does both"
            )
        if row is not None and system.key == "baseline":
            return f"{name} is a baseline, which has no recipe: mien lab baseline {name} makes it"
    return None
