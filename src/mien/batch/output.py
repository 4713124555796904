"""The output of a run: its parts, its listing, and a manifest that says what they were made of.

```
DIR/
  part-00000000.parquet ...    one a chunk, each whole or absent
  _mien/manifest.json          model and its hash, options, sources: a resumed run must agree
  _mien/listing.jsonl          the chunks, fixed when the run began
  _SUCCESS                     there when all parts are
```

A single file is made of such a folder beside it, `.NAME.mien`, which goes away when the file is whole.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from mien import __version__
from mien.batch.listing import Chunk
from mien.batch.work import METADATA, Tally, part_name, read_tally
from mien.errors import UsageError
from mien.names import discard, plain_name
from mien.native import record
from mien.unfinished import create

FORMAT = 1
INSIDE = "_mien"
LISTING = "listing.jsonl"
MANIFEST = "manifest.json"
SUCCESS = "_SUCCESS"


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """What a run is made of; a resumed run must agree in all but the counts.

    Attributes:
        sources: as named by the user.
        cwd: the folder that relative sources start from.
        model: its name.
        model_sha256: of its weights.
        options: how photos are analysed, by name.
        chunk: photos of one chunk.
        column: of Parquet sources.
        version: of mien.
        chunks: how many there are.
        photos: in all.
    """

    sources: tuple[str, ...]
    cwd: str
    model: str
    model_sha256: str
    options: dict[str, Any]
    chunk: int
    column: str | None
    version: str = __version__
    chunks: int = 0
    photos: int = 0

    def to_json(self) -> str:
        """The file's text."""
        return json.dumps({"format": FORMAT, **record(self)}, indent=1)

    @classmethod
    def from_json(cls, text: str, path: Path) -> BatchPlan:
        """Reads what `to_json` wrote to a file.

        Raises:
            UsageError: it is damaged, or of a newer mien.
        """
        try:
            record = json.loads(text)
            if record.pop("format") > FORMAT:
                raise UsageError(f"{path} was written by a newer mien: use that one")
            return cls(**{**record, "sources": tuple(record["sources"])})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"{path} cannot be read ({error}): begin anew in another folder") from error

    def check(self, wanted: BatchPlan) -> None:
        """Refuse to go on with other sources, options or weights.

        Raises:
            UsageError: names what differs.
        """
        for name in ("sources", "model", "model_sha256", "chunk", "column", "version"):
            if getattr(self, name) != getattr(wanted, name):
                raise UsageError(_differs(name, getattr(self, name), getattr(wanted, name)))
        for name in self.options.keys() | wanted.options.keys():
            if self.options.get(name) != wanted.options.get(name):
                raise UsageError(_differs(name, self.options.get(name), wanted.options.get(name)))
        if self.cwd != wanted.cwd and not all(Path(source).is_absolute() for source in self.sources):
            raise UsageError(f"the run was begun in {self.cwd}, where its sources start from: go on there")


class Output:
    """The folder of a run, or the file that it is to become."""

    def __init__(self, path: Path) -> None:
        """Look at what is there already.

        Args:
            path: a folder, or a file that ends in .parquet.
        """
        self.path = path
        self.single = path.suffix.lower() == ".parquet"
        self.folder = path.with_name(f".{path.name}.mien") if self.single else path
        self._inside = self.folder / INSIDE
        self._manifest = self._inside / MANIFEST
        self._listing = self._inside / LISTING

    def finished(self, manifest: BatchPlan) -> bool:
        """Whether everything is done."""
        if self.single:
            return self.path.is_file()
        return (self.folder / SUCCESS).is_file() and not self.missing(manifest)

    def missing(self, manifest: BatchPlan) -> list[int]:
        """Numbers of the chunks whose parts are not there."""
        there = {path.name for path in self.folder.glob("part-*.parquet")}
        return [number for number in range(manifest.chunks) if part_name(number) not in there]

    def begin(self, wanted: BatchPlan, list_chunks: Callable[[], Iterable[Chunk]], *, resume: bool) -> BatchPlan:
        """Make the folder and the listing, or go on with those that are there.

        Args:
            wanted: what the run is to be made of.
            list_chunks: lists the photos; only called where there is no listing yet.
            resume: go on with what was begun.

        Raises:
            UsageError: something is there and is not to be resumed, or was made of something else.
        """
        known = self._known()
        if known is not None:
            if not resume:
                raise UsageError(f"{self.path} was begun before: add --resume to go on with it, or name another output")
            known.check(wanted)
            return known
        if self.folder.is_dir() and any(self.folder.glob("[!._]*")):
            raise UsageError(f"{self.folder} is not empty, and no run of mien's: name another output")
        made = [folder for folder in (self.folder, *self.folder.parents) if not folder.exists()]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"cannot make the folder {self.folder}: {error.strerror}") from error
        try:
            return self._list(wanted, list_chunks())
        except BaseException:
            with suppress(OSError):  # another machine may have begun there
                for folder in made:
                    folder.rmdir()
            raise

    def chunks(self) -> Iterator[Chunk]:
        """The listing."""
        with self._listing.open(encoding="utf-8") as file:
            for line in file:
                yield Chunk.from_json(line)

    def done(self, chunk: int) -> bool:
        """Whether the part of a chunk is there."""
        return (self.folder / part_name(chunk)).is_file()

    def tally(self, numbers: Iterable[int]) -> Tally:
        """What became of the photos of some chunks, whose parts are there."""
        total = Tally()
        for number in numbers:
            total.update(read_tally(self.folder / part_name(number)))
        return total

    def finish(self, manifest: BatchPlan) -> Tally | None:
        """Close the run if every part is there; a single file is put together then.

        Returns:
            What became of all photos; None where parts are missing, or another process is closing the run.

        Raises:
            UsageError: a part is damaged, or the file cannot be written.
        """
        if self.single and self.path.is_file():
            shutil.rmtree(self.folder, ignore_errors=True)  # a run that was killed after its file was whole
            return Tally.from_dict(_described(self.path)["tally"])
        if self.missing(manifest):
            (self.folder / SUCCESS).unlink(missing_ok=True)
            return None
        with _alone(self._inside / "closing") as mine:
            if not mine:
                return None
            total = self.tally(range(manifest.chunks))
            for leftover in (*self.folder.glob(".part-*.tmp"), *self.path.parent.glob(f".{self.path.name}.*.tmp")):
                leftover.unlink(missing_ok=True)
            for leftover in self.folder.glob(f".{INSIDE}.*"):
                shutil.rmtree(leftover, ignore_errors=True)
            if self.single:
                self._join(manifest, total)
            elif not (self.folder / SUCCESS).exists():
                create(self.folder / SUCCESS).close()
        if self.single:
            shutil.rmtree(self.folder, ignore_errors=True)
        return total

    def _known(self) -> BatchPlan | None:
        """The manifest of the run that was begun or finished here."""
        if self.single and self.path.exists():
            return BatchPlan.from_json(json.dumps(_described(self.path)["manifest"]), self.path)
        if not self._manifest.is_file():
            return None
        return BatchPlan.from_json(self._manifest.read_text(encoding="utf-8"), self._manifest)

    def _list(self, wanted: BatchPlan, chunks: Iterable[Chunk]) -> BatchPlan:
        """Write listing and manifest, both or neither. Where several machines do so at once, the first one's hold."""
        draft: Path | None = None
        try:
            draft = Path(tempfile.mkdtemp(prefix=f".{INSIDE}.", dir=self.folder))
            draft.chmod(self.folder.stat().st_mode)
            number = photos = 0
            with (draft / LISTING).open("w", encoding="utf-8") as file:
                for chunk in chunks:
                    file.write(chunk.to_json() + "\n")
                    number, photos = number + 1, photos + chunk.photos
                _sync(file)
            if not number:
                raise UsageError(f"there are no photos in {', '.join(wanted.sources)}")
            with (draft / MANIFEST).open("w", encoding="utf-8") as file:
                file.write(replace(wanted, chunks=number, photos=photos).to_json())
                _sync(file)
            try:
                draft.rename(self._inside)
            except OSError as error:
                if error.errno not in {errno.EEXIST, errno.ENOTEMPTY}:  # another machine's is there
                    raise
        except OSError as error:
            raise UsageError(f"cannot write the listing to {self.folder}: {error.strerror or error}") from error
        finally:
            if draft is not None:
                shutil.rmtree(draft, ignore_errors=True)
        found = BatchPlan.from_json(self._manifest.read_text(encoding="utf-8"), self._manifest)
        found.check(wanted)
        return found

    def _join(self, manifest: BatchPlan, total: Tally) -> None:
        """One file of all parts, a row group a part."""
        import pyarrow.parquet as pq

        record = {"manifest": json.loads(manifest.to_json()), "tally": total.to_dict()}
        metadata = {METADATA: json.dumps(record).encode()}
        part = self.path.with_name(f".{self.path.name}.{uuid.uuid4().hex}.tmp")
        try:
            with plain_name(self.folder / part_name(0)) as name:
                schema = pq.read_schema(name).with_metadata(metadata)
            with create(part) as stream:
                with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
                    for number in range(manifest.chunks):
                        with plain_name(self.folder / part_name(number)) as name:
                            table = pq.read_table(name, partitioning=None)
                        writer.write_table(table.replace_schema_metadata(metadata))
                _sync(stream)
            part.replace(self.path)
        except OSError as error:
            raise UsageError(f"cannot write {self.path}: {error.strerror or error}") from error
        finally:
            discard(part)


def _sync(file: IO[Any]) -> None:
    """Have what was written on the disk."""
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Whether no other process holds this file; it is free again when the process ends, however it ends."""
    try:
        import fcntl
    except ImportError:  # Windows, where a shared disk of many machines is not to be expected
        yield True
        return
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666), "rb+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


def _described(path: Path) -> dict[str, Any]:
    """What a finished file says of its run.

    Raises:
        UsageError: it is none.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with plain_name(path) as name:
            record: dict[str, Any] = json.loads((pq.read_schema(name).metadata or {})[METADATA])
    except (OSError, pa.ArrowInvalid, KeyError, ValueError) as error:
        raise UsageError(f"{path} is there already, and no archive of mien's: name another output") from error
    return record


def _differs(name: str, was: Any, wanted: Any) -> str:
    return f"the run was begun with {name} {was!r}, not {wanted!r}: name another output, or go on as it was begun"
