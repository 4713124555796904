"""Flat tables, one row a face: CSV and Parquet, with the same columns in the same order."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, BinaryIO, Self

from mien.errors import MissingExtra
from mien.names import printable
from mien.plain import formula_safe, plain
from mien.results import SCHEMA_VERSION, Face, Photo

POINTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
COLUMNS: dict[str, type] = {
    "schema_version": int,
    "source": str,
    "model": str,
    "width": int,
    "height": int,
    "faces": int,
    "face": int,
    "left": float,
    "top": float,
    "right": float,
    "bottom": float,
    "score": float,
    "age": float,
    "age_median": float,
    "age_low": float,
    "age_high": float,
    "age_level": float,
    "gender": str,
    "gender_probability": float,
    "eyes": float,
    "sharpness": float,
    "turn": float,
    "quality_flags": str,
    **{f"{point}_{axis}": float for point in POINTS for axis in "xy"},
    "error_kind": str,
    "error_message": str,
    "scale": float,
    "turned": int,
    "incomplete": bool,
}
"""Columns of CSV and Parquet. `faces` counts the faces of the photo, `face` numbers them from 0, largest first;
`quality_flags` are separated by spaces, empty for a good view. A photo without a face, or one that failed, has one row
with the columns of a face empty. With `--pmf` follow `age_pmf_0` to `age_pmf_116` (CSV) or the list `age_pmf`
(Parquet)."""

PICTURES = ("annotated", "crop")
"""Further columns, where such pictures are asked for: names of the files, within their folders."""

GROUP = 4096


def rows(photo: Photo, *, pmf: bool = False, pictures: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """The rows of one photo, with the columns of `PICTURES` that are asked for; with `pmf` each has "age_pmf" last."""
    head = {
        "schema_version": SCHEMA_VERSION,
        "source": printable(photo.source),
        "model": photo.model,
        "width": photo.width,
        "height": photo.height,
        "scale": None if photo.scale is None else round(photo.scale, 4),
        "turned": photo.turned,
        "incomplete": photo.incomplete,
        "faces": len(photo.faces),
    }
    tail = {
        "error_kind": photo.error and photo.error.kind,
        "error_message": photo.error and printable(photo.error.message),
    }
    for index, face in enumerate(photo.faces or (None,)):
        middle = {} if face is None else {"face": index, **_flat(face)}
        row = dict.fromkeys(COLUMNS) | head | middle | tail
        row = {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in row.items()}
        named = {"annotated": photo.annotated, "crop": None if face is None else face.crop}
        row |= {name: named[name] for name in pictures}
        if pmf:
            row["age_pmf"] = None if face is None else [round(p, 6) for p in face.age.pmf]
        yield row


def _flat(face: Face) -> dict[str, Any]:
    record = face.to_dict()
    age, gender, quality = record["age"], record["gender"], record["quality"]
    points = zip(POINTS, record["landmarks"] or [], strict=False)
    return {
        **record["box"],
        "score": record["score"],
        "age": age["years"],
        **{f"age_{part}": age[part] for part in ("median", "low", "high", "level")},
        "gender": gender["label"],
        "gender_probability": gender["probability"],
        **{name: quality[name] for name in ("eyes", "sharpness", "turn")},
        "quality_flags": " ".join(quality["flags"]) or None,
        **{f"{name}_{axis}": value for name, point in points for axis, value in zip("xy", point, strict=True)},
    }


def cells(*, terminal: bool, safe: bool) -> Callable[[str], str]:
    """What is done to the words of strangers in a cell of CSV: little, as it is data, unless somebody looks at it."""

    def changed(text: str) -> str:
        shown = plain(text) if terminal else text
        return formula_safe(shown) if safe else shown

    return changed


class CSV:
    """Comma-separated values in UTF-8, the header first."""

    def __init__(
        self, stream: BinaryIO, *, pmf: bool = False, safe: bool = False, pictures: Sequence[str] = ()
    ) -> None:
        """Begin with the header.

        Args:
            stream: where the bytes go.
            pmf: add the age distributions.
            safe: cells that begin like a formula get an apostrophe before it, see `mien.plain.formula_safe`.
            pictures: further columns, of `PICTURES`.
        """
        self._stream = stream
        self._pmf = pmf
        self._pictures = pictures
        self._cell = cells(terminal=stream.isatty(), safe=safe)
        names = [*COLUMNS, *pictures, *(f"age_pmf_{age}" for age in range(117) if pmf)]
        self._put([names])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def write(self, photo: Photo) -> None:
        """Add the rows of one photo."""
        lines = []
        for row in rows(photo, pmf=self._pmf, pictures=self._pictures):
            masses = (row.pop("age_pmf") or [None] * 117) if self._pmf else []
            values = (self._cell(value) if isinstance(value, str) else value for value in row.values())
            lines.append([*values, *masses])
        self._put(lines)

    def _put(self, lines: list[list[Any]]) -> None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")  # so that a lone \r in a name is quoted too
        for line in lines:
            writer.writerow(line)
            text.seek(text.tell() - 2)
            text.write("\n")
            text.truncate()
        self._stream.write(text.getvalue().encode())
        self._stream.flush()


class Parquet:
    """Parquet in row groups of a few thousand faces; needs the extra "parquet"."""

    def __init__(self, stream: BinaryIO, *, pmf: bool = False, pictures: Sequence[str] = ()) -> None:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError as error:
            raise MissingExtra.named("Parquet output", "parquet") from error
        kinds = {int: pa.int32(), float: pa.float32(), str: pa.string(), bool: pa.bool_()}
        fields = [(name, kinds[kind]) for name, kind in COLUMNS.items()]
        fields += [(name, pa.string()) for name in pictures]
        if pmf:
            fields.append(("age_pmf", pa.list_(pa.float32())))
        self._pmf = pmf
        self._pictures = pictures
        self._table = pa.Table
        self._schema = pa.schema(fields)
        self._writer = pq.ParquetWriter(stream, self._schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
        self._writer.close()

    def write(self, photo: Photo) -> None:
        """Add the rows of one photo."""
        self._rows.extend(rows(photo, pmf=self._pmf, pictures=self._pictures))
        if len(self._rows) >= GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(self._table.from_pylist(self._rows, schema=self._schema))
            self._rows.clear()
