"""The count of one video or camera, from the open source to the database; it goes on where an earlier run was left."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from mien import __version__
from mien.analyzer import Analyzer
from mien.count.bands import USUAL, Bands
from mien.count.run import count, fingerprint
from mien.count.store import Identity, Store
from mien.errors import UsageError
from mien.names import printable
from mien.plain import plain
from mien.video.frames import Clip, Source
from mien.video.records import TrackedFrame
from mien.video.run import Analysis
from mien.video.tracker import TrackerOptions

USUAL_MIN_FACE = 30
"""Pixels, as kept in the database where the analyzer chooses its smallest face."""


@dataclass(frozen=True, slots=True)
class CountOptions:
    """How visitors are counted.

    Attributes:
        name: the source's name in the database; None: the file's name, or e.g. "camera:0".
        interval: length of an interval in seconds.
        bands: of age.
        start: when a file was recorded, in UTC unless it says else; None: its intervals count from its beginning.
    """

    name: str | None = None
    interval: int = 60
    bands: Bands = field(default_factory=lambda: Bands.parse(USUAL))
    start: datetime | None = None

    def __post_init__(self) -> None:
        if self.interval < 1:
            raise UsageError(f"an interval is 1 second or longer, not {self.interval}", option="interval")


class Counting:
    """The count of one source; a context manager whose `run` counts.

    Attributes:
        source: where the frames come from: of a file that was counted in part, from the frame on that is still needed.
        store: the database.
        name: the source's name in it.
    """

    def __init__(
        self,
        source: Source,
        analyzer: Analyzer,
        database: str,
        options: CountOptions | None = None,
        *,
        following: TrackerOptions | None = None,
    ) -> None:
        """Begin to count a source, or go on with it; who counted it before can write no more.

        Args:
            source: an open `mien.video.Clip` or `mien.video.Camera`; it stays the caller's to close.
            analyzer: finds and estimates faces; its `abstain` says which genders count as uncertain.
            database: a URL ("sqlite:///counts.db", "postgresql://user@host/name") or the path of an SQLite file.
            options: how visitors are counted.
            following: how faces are followed.

        Raises:
            UsageError: an option cannot be, or something else was counted under the source's name.
            StoreError: the database cannot be reached or written.
            MissingExtra: PostgreSQL without psycopg.
        """
        options, following = options or CountOptions(), following or TrackerOptions()
        self._clip = source if isinstance(source, Clip) else None
        if self._clip is None and options.start is not None:
            raise UsageError("start is for files: a camera has the clock of this machine", option="start")
        recorded = None if options.start is None else _utc(options.start).timestamp()
        self._origin = datetime.now(UTC).timestamp() if self._clip is None else (recorded or 0.0)
        self._options = options
        identity = _identity(source, analyzer, options, following, recorded)
        self.name = identity.name
        with ExitStack() as opened:
            self.store = opened.enter_context(Store(database))
            self._ledger = self.store.take(identity)
            self.source = source
            if self._clip is not None and self._clip.file is not None and self._ledger.frame and not self.finished:
                self._clip = Clip(self._clip.file, every=self._clip.every, start=self._ledger.frame)
                self.source = opened.enter_context(self._clip)
            self._analysis = Analysis(self.source, analyzer, following)
            self._opened = opened.pop_all()

    @property
    def finished(self) -> bool:
        """Whether the file was counted to its end before, so that there is nothing to do."""
        return self._ledger.finished

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.__exit__(kind, error, trace)

    def run(self, seen: Callable[[TrackedFrame], None] = lambda frame: None) -> int:
        """Count until the source ends. Of a file that is stopped before, open tracks are left to a later run.

        Args:
            seen: called after each frame.

        Returns:
            Visitors of the source in all, those of earlier runs among them.

        Raises:
            VideoError: the source holds no frame.
            StoreError: the database does not answer, or another process counts this source.
        """
        count(
            self._analysis,
            self._ledger,
            bands=self._options.bands,
            seconds=self._options.interval,
            origin=self._origin,
            whole=lambda: self._clip is None or not self._clip.told.is_set(),
            seen=seen,
        )
        return sum(row.visitors for row in self.store.counts(self.name))


def _identity(
    source: Source, analyzer: Analyzer, options: CountOptions, following: TrackerOptions, recorded: float | None
) -> Identity:
    """What a later run must have in common with this one."""
    looking = analyzer.options
    settings: dict[str, Any] = {
        "mien": __version__,
        "start": recorded,
        "every": source.every,
        "survive": following.survive,
        "birth": following.birth,
        "detector": looking.detector,
        "min_face": USUAL_MIN_FACE if looking.min_face is None else looking.min_face,
        "threshold": looking.threshold,
        "abstain": looking.abstain,
        "model": analyzer.config.name,
    }
    file = source.file if isinstance(source, Clip) else None
    return Identity(
        name=plain(printable(options.name or (source.name if file is None else file.name))),
        kind="camera" if file is None else "file",
        clock="offset" if file is not None and recorded is None else "utc",
        seconds=options.interval,
        bands=str(options.bands),
        settings=settings,
        fingerprint=None if file is None else fingerprint(file),
    )


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
