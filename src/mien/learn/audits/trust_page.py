"""One page that says how far a model can be trusted: what the audits found, as questions and answers."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files

import jinja2
import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

_JPEG = "data:image/jpeg;base64,"


@dataclass(frozen=True, slots=True)
class ChiefFigure:
    """A chief figure at the head of the page."""

    label: str
    number: str
    unit: str
    below: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawing, and what it shows in words for those who do not see it."""

    source: str
    alt: str
    wide: bool = False

    @classmethod
    def of(cls, figure: Figure, alt: str, *, wide: bool = False) -> Picture:
        """A drawing as SVG inside the page; the same drawing gives the same text."""
        stream = io.BytesIO()
        with rc_context({"svg.hashsalt": "mien"}):
            figure.savefig(stream, format="svg", metadata={"Date": None})
        return cls("data:image/svg+xml;base64," + base64.b64encode(stream.getvalue()).decode(), alt, wide)

    @classmethod
    def of_pixels(cls, figure: Figure, alt: str, *, wide: bool = False) -> Picture:
        """A drawing that holds photographs, as JPEG."""
        stream = io.BytesIO()
        figure.savefig(stream, format="jpeg", dpi=100, pil_kwargs={"quality": 85})
        return cls(_JPEG + base64.b64encode(stream.getvalue()).decode(), alt, wide)

    @classmethod
    def of_array(cls, pixels: NDArray[np.uint8], alt: str) -> Picture:
        """A picture RGB uint8 [H, W, 3]."""
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "JPEG", quality=90)
        return cls(_JPEG + base64.b64encode(stream.getvalue()).decode(), alt)


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, or a table whose first row is its header."""

    text: str = ""
    rows: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Detail:
    """What is folded away under a title."""

    title: str
    blocks: tuple[Block, ...]

    @classmethod
    def of_markdown(cls, title: str, text: str) -> Detail:
        """The report that the audit's own command prints."""
        return cls(title, tuple(_blocks(text)))


@dataclass(frozen=True, slots=True)
class Section:
    """One question.

    Attributes:
        anchor: its place on the page.
        name: for the list of contents.
        question: that a user has.
        answer: one to three sentences with the figures in them.
        pictures: that show it.
        details: all the figures.
    """

    anchor: str
    name: str
    question: str
    answer: tuple[str, ...]
    pictures: tuple[Picture, ...] = ()
    details: tuple[Detail, ...] = ()


def to_html(model: str, lede: str, cards: Sequence[ChiefFigure], sections: Sequence[Section], method: str) -> str:
    """The page, in one file.

    Args:
        model: its name.
        lede: what was measured, in a sentence or two.
        cards: chief figures.
        sections: in the order of reading.
        method: how to make the page again.
    """
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    template = environment.from_string((files(__package__) / "trust_page.html.jinja").read_text(encoding="utf-8"))
    style = (files("mien.learn.comparison") / "page.css").read_text(encoding="utf-8")
    return template.render(model=model, lede=lede, cards=cards, sections=sections, method=method, style=style)


def _blocks(text: str) -> Iterator[Block]:
    """Paragraphs and pipe tables of Markdown; headings become paragraphs."""
    rows: list[tuple[str, ...]] = []
    for line in [*text.splitlines(), ""]:
        stripped = line.strip()
        if stripped.startswith("|"):
            cells = tuple(cell.strip().replace("**", "").replace("`", "") for cell in stripped.strip("|").split("|"))
            if set("".join(cells)) - set("-: "):
                rows.append(cells)
            continue
        if rows:
            yield Block(rows=tuple(rows))
            rows = []
        if stripped:
            yield Block(text=stripped.lstrip("#").strip().replace("**", "").replace("`", ""))
