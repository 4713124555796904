"""One chunk -> one part: a Parquet file that is there whole or not at all. The same for every engine."""

from __future__ import annotations

import json
import os
import queue
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mien import __version__
from mien.analyzer import Analyzer, Options
from mien.batch.listing import Chunk
from mien.errors import MissingExtra, PhotoError, UsageError
from mien.names import discard, plain_name
from mien.native import Record
from mien.photos.item import Item
from mien.results import SCHEMA_VERSION, Photo
from mien.sinks.rows import COLUMNS, rows
from mien.unfinished import create

AHEAD = 4
"""Photos that are read from disk while others are worked on."""

METADATA = b"mien"
"""Key of the record in a part's Parquet metadata."""


@dataclass(frozen=True, slots=True)
class Job:
    """Settings that every worker of a run needs; they can be sent to other processes.

    Attributes:
        model: folder of the model.
        model_sha256: of its weights.
        options: how photos are analysed.
        folder: where the parts go.
        pmf: keep the probability of each year.
        annotate: folder for annotated pictures, one folder a part; None for none.
    """

    model: str
    model_sha256: str
    options: Options
    folder: str
    pmf: bool = False
    annotate: str | None = None


@dataclass(slots=True)
class Tally(Record):
    """Counts of photos, faces and failures."""

    photos: int = 0
    faces: int = 0
    failures: Counter[str] = field(default_factory=Counter)

    def add(self, photo: Photo) -> None:
        """Count one photo."""
        self.photos += 1
        self.faces += len(photo.faces)
        if photo.error is not None:
            self.failures[photo.error.kind] += 1

    def update(self, other: Tally) -> None:
        """Add the counts of another tally."""
        self.photos += other.photos
        self.faces += other.faces
        self.failures.update(other.failures)

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Tally:
        """The tally that a record of `to_dict` describes."""
        return cls(record["photos"], record["faces"], Counter(record["failures"]))

    def to_dict(self) -> dict[str, Any]:
        """A record of native types."""
        return {"photos": self.photos, "faces": self.faces, "failures": dict(sorted(self.failures.items()))}


@dataclass(frozen=True, slots=True)
class Answered:
    """One photo of a chunk that is done, though the chunk is not."""

    faces: int
    failed: bool


def part_name(chunk: int) -> str:
    """File name of a chunk's part."""
    return f"part-{chunk:08d}.parquet"


class Worker:
    """Makes parts; holds the model, loaded once."""

    def __init__(self, job: Job) -> None:
        """Load the model.

        Raises:
            MissingExtra: pyarrow is not installed.
            ModelError: the model cannot be loaded.
        """
        try:
            import pyarrow as pa
        except ImportError as error:
            raise MissingExtra.named("batch", "parquet") from error
        kinds = {int: pa.int32(), float: pa.float32(), str: pa.string(), bool: pa.bool_()}
        fields = [(name, kinds[kind]) for name, kind in COLUMNS.items()]
        self._pictures = () if job.annotate is None else ("annotated",)
        fields += [(name, pa.string()) for name in self._pictures]
        fields += [("model_sha256", pa.string())] + [("age_pmf", pa.list_(pa.float32()))] * job.pmf
        self._schema = pa.schema(fields)
        self._job = job
        self._analyzer = Analyzer(job.model, job.options)

    def make(
        self,
        chunk: Chunk,
        announce: Callable[[int], None] = lambda number: None,
        deadly: frozenset[int] = frozenset(),
        answered: Callable[[Answered], None] = lambda one: None,
    ) -> Tally:
        """Make the part of a chunk.

        Args:
            chunk: its photos.
            announce: told the number of each photo within the chunk before it is looked at.
            deadly: numbers of photos that ended the process of a worker: they get a failure.
            answered: told of each photo that has its answer.

        Raises:
            UsageError: the part cannot be written.
        """
        tally = Tally()
        found: list[dict[str, Any]] = []
        folder = self._annotated(chunk)
        with ExitStack() as stack:
            ahead = stack.enter_context(closing(_read_ahead(chunk.open(self._job.options.decode.max_bytes))))
            photos = _announced(ahead, announce, deadly)
            answers = stack.enter_context(closing(self._analyzer.stream_with_pictures(photos)))
            for photo, picture in answers:
                tally.add(photo)
                if folder is not None and picture is not None:
                    drawn = folder.write(photo, picture.pixels)
                    photo = replace(photo, annotated=f"{drawn.parent.name}/{drawn.name}")  # noqa: PLW2901
                told = rows(photo, pmf=self._job.pmf, pictures=self._pictures)
                found += [row | {"model_sha256": self._job.model_sha256} for row in told]
                answered(Answered(len(photo.faces), photo.error is not None))
        self._write(chunk.number, found, tally)
        return tally

    def _annotated(self, chunk: Chunk) -> Any:
        if self._job.annotate is None:
            return None
        from mien.sinks.pictures import AnnotatedFolder

        return AnnotatedFolder(Path(self._job.annotate) / Path(part_name(chunk.number)).stem)

    def _write(self, number: int, found: list[dict[str, Any]], tally: Tally) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        record = {
            "version": __version__,
            "schema_version": SCHEMA_VERSION,
            "model": self._analyzer.config.name,
            "model_sha256": self._job.model_sha256,
            "chunk": number,
            **tally.to_dict(),
        }
        table = pa.Table.from_pylist(found, schema=self._schema.with_metadata({METADATA: json.dumps(record)}))
        target = Path(self._job.folder) / part_name(number)
        part = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
        try:
            with create(part) as stream:
                pq.write_table(table, stream, compression="zstd")
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(target)
        except OSError as error:
            raise UsageError(f"cannot write {target}: {error.strerror or error}") from error
        finally:
            discard(part)


def read_tally(part: Path) -> Tally:
    """What a part says of its photos.

    Raises:
        UsageError: it is no part of an archive, or is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with plain_name(part) as name:
            record = json.loads((pq.read_schema(name).metadata or {})[METADATA])
        return Tally.from_dict(record)
    except (OSError, pa.ArrowInvalid, KeyError, ValueError) as error:
        raise UsageError(f"{part} is no whole part of an archive: remove it, and run again with --resume") from error


_DEADLY = "a process of mien ended while it worked on this photo, please report it"


def _announced(photos: Iterator[Item], announce: Callable[[int], None], deadly: frozenset[int]) -> Iterator[Item]:
    for number, item in enumerate(photos):
        if number in deadly:
            yield Item(item.source, _dead)
        else:
            yield Item(item.source, _then(announce, number, item.read))


def _then(announce: Callable[[int], None], number: int, read: Callable[[], bytes]) -> Callable[[], bytes]:
    def reading() -> bytes:
        data = read()
        announce(number)
        return data

    return reading


def _dead() -> bytes:
    raise _Deadly(_DEADLY)


class _Deadly(PhotoError):
    """A photo that ended a worker."""

    kind = "internal"


def _read_ahead(photos: Iterator[Item]) -> Generator[Item]:
    """The same items with their bytes read by a thread, a few ahead."""
    waiting: queue.Queue[Item | BaseException | None] = queue.Queue(AHEAD)
    stop = threading.Event()

    def put(entry: Item | BaseException | None) -> bool:
        while not stop.is_set():
            try:
                waiting.put(entry, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def reading() -> None:
        try:
            for item in photos:
                if not put(_held(item)):
                    return
            put(None)
        except BaseException as error:  # noqa: BLE001 - raised where the items are used
            put(error)

    thread = threading.Thread(target=reading, name="mien-reader", daemon=True)
    thread.start()
    try:
        while (entry := waiting.get()) is not None:
            if isinstance(entry, BaseException):
                raise entry
            yield entry
    finally:
        stop.set()
        thread.join()


def _held(item: Item) -> Item:
    try:
        data = item.read()
    except Exception as error:  # noqa: BLE001 - raised where the photo is looked at
        return Item(item.source, _raising(error))
    return Item(item.source, lambda: data)


def _raising(error: Exception) -> Callable[[], bytes]:
    def read() -> bytes:
        raise error

    return read
