"""A whole archive, all the way: sources and options -> listing -> parts, by one of the engines -> what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from mien.analyzer import Options
from mien.batch.listing import Chunk, chunks
from mien.batch.local import Progress
from mien.batch.local import run as run_here
from mien.batch.output import BatchPlan, Output
from mien.batch.work import Job, Tally
from mien.errors import UsageError
from mien.estimate import bundle
from mien.runtime.cores import physical_cores

ENGINES = ("local", "ray")

Engine = Callable[[Job, Iterator[Chunk], int], Generator[Progress]]


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several machines' shares: every `number`-th chunk from the `index`-th on.

    >>> Shard.parse("2/8"), Shard.parse(None)
    (Shard(index=2, number=8), Shard(index=0, number=1))
    """

    index: int = 0
    number: int = 1

    @classmethod
    def parse(cls, text: str | None) -> Shard:
        """The shard that "I/N" names; None is the whole.

        Raises:
            UsageError: it names none.
        """
        if text is None:
            return cls()
        index, _, number = text.partition("/")
        if not (index.isdecimal() and number.isdecimal() and int(index) < int(number)):
            raise UsageError(f"a shard is I/N with I from 0 to N-1, for example 0/4 to 3/4, not {text!r}")
        return cls(int(index), int(number))

    def takes(self, chunk: int) -> bool:
        """Whether a chunk, by its number, is of this share."""
        return chunk % self.number == self.index


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an archive, or of a shard of it.

    Attributes:
        tally: photos, faces and failures by kind.
        whole: whether every part is there; false where those of other shards are missing.
    """

    tally: Tally
    whole: bool


class Archive:
    """A run over an archive, begun or taken up again.

    Attributes:
        output: where the parts are.
        plan: what the run is made of, and how many photos and chunks it has.
        finished: whether all was done before, so that there is nothing to do.
    """

    def __init__(
        self,
        sources: Sequence[str],
        output: Path,
        *,
        model: str = "mien-m",
        options: Options | None = None,
        chunk: int = 500,
        column: str | None = None,
        shard: Shard | None = None,
        pmf: bool = False,
        annotate: Path | None = None,
        resume: bool = False,
    ) -> None:
        """List the photos, or go on with a listing that is there.

        Args:
            sources: folders, globs, tars, Parquet files, lists of paths (.txt), photos.
            output: a folder for the parts, or a file that ends in .parquet.
            model: its name or folder.
            options: how photos are analysed; None: as `mien.load` does, with one thread a process.
            chunk: most photos of one part.
            column: of Parquet files; None to choose by name.
            shard: the share of this machine; None: all.
            pmf: keep the probability of each year.
            annotate: folder for annotated pictures, one folder a part; None for none.
            resume: go on with a run that was begun, or begin it.

        Raises:
            UsageError: nothing is there to do, or something is in the way: it was begun before and is not to be
                resumed, or was made of something else.
            ModelError: the model cannot be read.
        """
        options = options or Options(threads=1)
        found = bundle.read(bundle.find(model))
        wanted = BatchPlan(
            sources=tuple(sources),
            cwd=str(Path.cwd()),
            model=found.config.name,
            model_sha256=found.sha256(),
            options={**asdict(options), "pmf": pmf, "annotate": str(annotate) if annotate else None},
            chunk=chunk,
            column=column,
        )
        self.output = Output(output)
        largest = options.decode.max_bytes

        def listed() -> Iterator[Chunk]:
            return chunks(sources, chunk, column=column, max_bytes=largest)

        self.plan = self.output.begin(wanted, listed, resume=resume)
        self.finished = self.output.finished(self.plan)
        self._shard = shard or Shard()
        self._job = Job(
            str(found.folder.resolve()),
            wanted.model_sha256,
            options,
            str(self.output.folder.resolve()),
            pmf=pmf,
            annotate=str(annotate.resolve()) if annotate else None,
        )

    def missing(self) -> list[int]:
        """Numbers of the chunks of this shard whose parts are not there."""
        return [number for number in self.output.missing(self.plan) if self._shard.takes(number)]

    @property
    def left(self) -> int:
        """Photos that are still to be done, at most."""
        return min(self.plan.photos, len(self.missing()) * self.plan.chunk)

    def run(self, engine: Engine | None = None, processes: int = 0) -> Generator[Progress]:
        """Make the parts that are missing. Closing the generator ends the work; parts that are done stay.

        Args:
            engine: of `choose_engine`; None: processes of this machine.
            processes: each with one core; 0 for one a core.

        Yields:
            News, often.

        Raises:
            UsageError: no cluster answers at the address.
            MissingExtra: a package of the engine's extra is not installed.
            MienError: the model or an output fails, or one chunk ends its process again and again.
        """
        missing = set(self.missing())
        wanted = (one for one in self.output.chunks() if one.number in missing)
        with closing((engine or choose_engine())(self._job, wanted, processes)) as news:
            yield from news

    def close(self) -> Outcome:
        """Close the run if every part is there.

        Raises:
            UsageError: a part is damaged, or the file cannot be written.
        """
        total = self.output.finish(self.plan)
        if total is not None:
            return Outcome(total, whole=True)
        mine = filter(self._shard.takes, range(self.plan.chunks))
        return Outcome(self.output.tally(mine), whole=False)


class Course:
    """What became of the photos of a run so far, from its news."""

    def __init__(self) -> None:
        self.done = Tally()
        """Photos of the parts that are there."""
        self._open: dict[int, Tally] = {}  # chunks that are worked on

    def hear(self, news: Progress) -> None:
        """Take in what a run yields."""
        if news.answered is not None:
            chunk, one = news.answered
            self._open.setdefault(chunk, Tally()).update(Tally(1, one.faces, Counter(["any"] * one.failed)))
        if news.again is not None:
            self._open.pop(news.again, None)
        if news.done is not None:
            self._open.pop(news.done[0], None)
            self.done.update(news.done[1])

    def now(self) -> Tally:
        """All photos so far, those of chunks that are not done among them."""
        total = Tally()
        for one in (self.done, *self._open.values()):
            total.update(one)
        return total


def choose_engine(name: str = "local", address: str | None = None) -> Engine:
    """What makes the parts.

    Args:
        name: "local": processes of this machine; "ray": a Ray cluster.
        address: of the cluster; None for one of its own.

    Raises:
        UsageError: an unknown engine, or an address for one that has none.
    """
    if name not in ENGINES:
        raise UsageError.unknown("engine", name, ENGINES)
    if address is not None and name != "ray":
        raise UsageError("--address is for --engine ray")
    if name == "local":
        return lambda job, chunks, processes: run_here(job, chunks, processes or physical_cores())
    from mien.batch.cluster import run_on

    return lambda job, chunks, processes: run_on(address, job, chunks, processes)
