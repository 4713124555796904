"""The database of counts, by SQLAlchemy: SQLite, or PostgreSQL by URL, through the same statements.

Two tables. `mien_sources` has one row a source: what it is, and how far it was counted. `mien_counts` has the visitors
by source, interval, age band and gender. Counts grow only together with `mien_sources.visitors`, in one transaction,
and only if that number is the one this process knows: a visitor can be neither lost nor counted twice, whenever a
process is killed. `mien_sources.run` fences off a process that another one has taken over from.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from mien.errors import MissingExtra, StoreError, UsageError
from mien.names import printable
from mien.native import UNWRITTEN, Record, also, record

try:
    import sqlalchemy as sa
    from sqlalchemy import exc
except ImportError as error:  # pragma: no cover - the extra is part of the development install
    raise MissingExtra.named("counting visitors", "count") from error

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

SCHEMA_VERSION = 1
"""Version of the two tables; raised when a column changes its name or meaning."""

PATIENCE = (0.5, 1, 2, 4, 8)
"""Seconds to wait before each new attempt where the database does not answer."""

T = TypeVar("T")

_BUSY = 30.0

_META = sa.MetaData()
_ATTEMPTS = 20
SOURCES = sa.Table(
    "mien_sources",
    _META,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("schema_version", sa.Integer, nullable=False),
    sa.Column("name", sa.String(400), nullable=False, unique=True),
    sa.Column("kind", sa.String(10), nullable=False),
    sa.Column("clock", sa.String(10), nullable=False),
    sa.Column("seconds", sa.Integer, nullable=False),
    sa.Column("bands", sa.String(400), nullable=False),
    sa.Column("settings", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.String(80)),
    sa.Column("run", sa.BigInteger, nullable=False),
    sa.Column("frame", sa.BigInteger, nullable=False),
    sa.Column("settled", sa.BigInteger, nullable=False),
    sa.Column("visitors", sa.BigInteger, nullable=False),
    sa.Column("finished", sa.Boolean, nullable=False),
)
COUNTS = sa.Table(
    "mien_counts",
    _META,
    sa.Column("source_id", sa.Integer, sa.ForeignKey("mien_sources.id"), primary_key=True),
    sa.Column("start", sa.BigInteger, primary_key=True),
    sa.Column("band", sa.String(20), primary_key=True),
    sa.Column("gender", sa.String(20), primary_key=True),
    sa.Column("visitors", sa.BigInteger, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Identity:
    """Identity of a count: source, settings and model. A continued run must have the same.

    Attributes:
        name: the source's name in the database.
        kind: "file" or "camera".
        clock: "utc": intervals start at seconds since 1970; "offset": at seconds since the file's beginning.
        seconds: length of an interval.
        bands: names of the age bands.
        settings: what else the counts of a file depend on; it is taken up only with the same.
        fingerprint: of the file's bytes; None for a camera.
    """

    name: str
    kind: str
    clock: str
    seconds: int
    bands: str
    settings: Mapping[str, Any]
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class Visitor:
    """The interval, age band and gender in which one visitor is counted."""

    start: int
    band: str
    gender: str


@dataclass(frozen=True, slots=True)
class Count(Record):
    """Visitors of one source in one interval, of one age band and gender.

    Attributes:
        source: its name.
        clock: "utc" or "offset".
        start: of the interval, seconds since 1970 or since the file's beginning.
        seconds: its length.
        band: e.g. "25-34".
        gender: "female", "male" or "uncertain".
        visitors: how many.
    """

    source: str
    clock: str
    start: int = field(metadata=UNWRITTEN)
    seconds: int
    band: str
    gender: str
    visitors: int

    @property
    @also("start", before="clock")
    def begins(self) -> str:
        """Start of the interval as text: ISO 8601 in UTC, or hours, minutes and seconds from the beginning of the file.

        >>> Count("shop.mp4", "offset", 3660, 60, "0-12", "female", 1).begins
        '01:01:00'
        >>> Count("camera:0", "utc", 1763800000, 60, "0-12", "female", 1).begins
        '2025-11-22T08:26:40Z'
        """
        if self.clock == "utc":
            return datetime.fromtimestamp(self.start, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"{self.start // 3600:02d}:{self.start // 60 % 60:02d}:{self.start % 60:02d}"

    def to_dict(self) -> dict[str, Any]:
        """A record of native types."""
        return {"schema_version": SCHEMA_VERSION, **record(self)}


class Store:
    """An open database of visitor counts."""

    def __init__(self, database: str) -> None:
        """Connect, and make the tables where they are not there.

        Args:
            database: a URL ("sqlite:///counts.db", "postgresql://user@host/name") or the path of an SQLite file.

        Raises:
            UsageError: the URL is none, or of another database.
            StoreError: it cannot be reached or written.
            MissingExtra: PostgreSQL without psycopg.
        """
        self._engine, self.name = _engine(database)
        for attempt in range(_ATTEMPTS):
            try:
                _META.create_all(self._engine)
            except exc.SQLAlchemyError as error:
                if attempt < _ATTEMPTS - 1 and "already exists" in str(error):
                    time.sleep(0.02)  # others are making the same tables, one after the other
                    continue
                self._engine.dispose()
                raise StoreError(f"the database {self.name} cannot be used: {_told(error)}") from error
            else:
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._engine.dispose()

    def take(self, identity: Identity) -> Ledger:
        """Begin to count a source, or go on where it was left; who counted it before can write no more.

        Raises:
            UsageError: something else was counted under its name.
            StoreError: the database cannot be reached or written.
        """
        return self._retried(lambda connection: self._take(connection, identity))

    def _take(self, connection: Connection, identity: Identity) -> Ledger:
        settings = json.dumps(dict(identity.settings), sort_keys=True)
        fenced = sa.update(SOURCES).where(SOURCES.c.name == identity.name).values(run=SOURCES.c.run + 1)
        if connection.execute(fenced).rowcount == 0:
            row: dict[str, Any] = {
                "schema_version": SCHEMA_VERSION,
                **{name: getattr(identity, name) for name in ("name", "kind", "clock", "seconds", "bands")},
                "settings": settings,
                "fingerprint": identity.fingerprint,
                **{"run": 1, "frame": 0, "settled": 0, "visitors": 0, "finished": False},
            }
            connection.execute(sa.insert(SOURCES).values(row))
        row = dict(connection.execute(sa.select(SOURCES).where(SOURCES.c.name == identity.name)).mappings().one())
        if row["schema_version"] != SCHEMA_VERSION:
            raise StoreError(f"the database {self.name} was made by another version of mien: use another one")
        _check_same(identity, row, settings)
        return Ledger(self, row)

    def counts(self, source: str | None = None, seconds: int | None = None) -> list[Count]:
        """All counts, in the order of source, time, band and gender.

        Args:
            source: only of this one.
            seconds: join intervals to longer ones of this length, a multiple of what is stored.

        Raises:
            UsageError: no such source, or no such multiple.
            StoreError: the database cannot be read.
        """

        def read(connection: Connection) -> list[Mapping[str, Any]]:
            names = list(connection.execute(sa.select(SOURCES.c.name)).scalars())
            if source is not None and source not in names:
                raise UsageError.unknown("source", source, names)
            joined = sa.select(SOURCES, COUNTS.c.start, COUNTS.c.band, COUNTS.c.gender, COUNTS.c.visitors.label("here"))
            chosen = joined.join_from(SOURCES, COUNTS)
            if source is not None:
                chosen = chosen.where(SOURCES.c.name == source)
            return [dict(row) for row in connection.execute(chosen).mappings()]

        totals: Counter[tuple[Any, ...]] = Counter()
        order: dict[tuple[str, str], int] = {}
        for row in self._retried(read):
            length = seconds or row["seconds"]
            if length < 1 or length % row["seconds"]:
                raise UsageError(f"intervals of {row['seconds']} s cannot be joined to {length} s: take a multiple")
            start = row["start"] // length * length
            totals[row["name"], row["clock"], start, length, row["band"], row["gender"]] += row["here"]
            order |= {(row["name"], band): place for place, band in enumerate(row["bands"].split(","))}
        counts = [
            Count(name, clock, start, length, band, gender, visitors)
            for (name, clock, start, length, band, gender), visitors in totals.items()
        ]
        return sorted(counts, key=lambda c: (c.source, c.start, order.get((c.source, c.band), 0), c.gender))

    def _retried(self, work: Callable[[Connection], T]) -> T:
        """Do some work in one transaction; where the database does not answer, wait and do it anew."""
        for wait in (*PATIENCE, None):
            try:
                with self._engine.begin() as connection:
                    return work(connection)
            except (exc.OperationalError, exc.InterfaceError, exc.IntegrityError) as error:
                if wait is None:
                    raise StoreError(f"the database {self.name} does not answer: {_told(error)}") from error
                time.sleep(wait)
            except exc.SQLAlchemyError as error:
                raise StoreError(f"the database {self.name} cannot be used: {_told(error)}") from error
        raise AssertionError("unreachable")


class Ledger:
    """The state of counting one source, and the only way to write counts.

    Attributes:
        frame: index of the frame from which on a file is to be analysed.
        again: so many visitors from there on are counted already, and to be passed over.
        finished: whether the file was counted to its end.
    """

    def __init__(self, store: Store, row: Mapping[str, Any]) -> None:
        self._file = row["kind"] == "file"
        self.frame: int = row["frame"] if self._file else 0
        self.again: int = row["visitors"] - row["settled"] if self._file else 0
        self.finished: bool = row["finished"]
        self._store = store
        self._id: int = row["id"]
        self._run: int = row["run"]
        self._visitors: int = row["visitors"]
        self._name: str = row["name"]

    def add(self, visitors: Sequence[Visitor]) -> None:
        """Count some visitors, all or none of them; those that an earlier run counted are passed over.

        Raises:
            StoreError: the database does not answer, or another process counts this source.
        """
        passed = min(self.again, len(visitors))
        self.again -= passed
        fresh = Counter(visitors[passed:])
        if not fresh:
            return
        target = self._visitors + fresh.total()

        def write(connection: Connection) -> None:
            if not self._advance(connection, {"visitors": target}):
                return
            for visitor, number in fresh.items():
                _increase(connection, self._id, visitor, number)

        self._store._retried(write)
        self._visitors = target

    def settle(self, frame: int) -> None:
        """No track is open: a later run may begin at this frame of a file, and needs nothing from before."""
        if self._file and self.again == 0:
            values = {"frame": frame, "settled": self._visitors}
            self._store._retried(lambda connection: self._advance(connection, values))

    def finish(self) -> None:
        """The source is counted to its end, which a camera never has."""
        values = {"finished": self._file, "settled": self._visitors}
        self._store._retried(lambda connection: self._advance(connection, values))

    def _advance(self, connection: Connection, values: Mapping[str, Any]) -> bool:
        """Write how far the source is counted; False where that was written already and only its answer was lost."""
        mine = (SOURCES.c.id == self._id, SOURCES.c.run == self._run)
        known = SOURCES.c.visitors == self._visitors
        if connection.execute(sa.update(SOURCES).where(*mine, known).values(**values)).rowcount == 1:
            return True
        now = connection.execute(sa.select(SOURCES.c.visitors).where(*mine)).scalar()
        if now is not None and now == values.get("visitors"):
            return False
        raise StoreError(f"another process counts {self._name} now: this one ends; nothing is counted twice")


def _increase(connection: Connection, source: int, visitor: Visitor, number: int) -> None:
    """More visitors in a cell; the update of the source's row before it keeps others out until the transaction ends."""
    key = {"source_id": source, "start": visitor.start, "band": visitor.band, "gender": visitor.gender}
    cell = sa.update(COUNTS).where(*(COUNTS.c[name] == value for name, value in key.items()))
    if connection.execute(cell.values(visitors=COUNTS.c.visitors + number)).rowcount == 0:
        connection.execute(sa.insert(COUNTS).values(**key, visitors=number))


def _check_same(identity: Identity, row: Mapping[str, Any], settings: str) -> None:
    name = identity.name
    if row["kind"] != identity.kind or row["fingerprint"] != identity.fingerprint:
        raise UsageError(f"another {row['kind']} was counted as {name!r}: choose a name for this one with --name")
    wanted = (identity.clock, identity.seconds, identity.bands)
    if (row["clock"], row["seconds"], row["bands"]) != wanted:
        raise UsageError(
            f"{name!r} was counted with --interval {row['seconds']} --bands {row['bands']} on the clock "
            f"{row['clock']!r}: take the same, or another --name"
        )
    if identity.kind == "file" and row["settings"] != settings:
        before, now = json.loads(row["settings"]), json.loads(settings)
        other = ", ".join(f"{key} {value}" for key, value in before.items() if now.get(key) != value)
        raise UsageError(f"{name!r} was begun with {other}: go on with the same, or take another --name")


def _engine(database: str) -> tuple[sa.Engine, str]:
    """An engine, and the database's name without its password."""
    text = database if "://" in database else f"sqlite:///{database}"
    try:
        url = sa.make_url(text)
    except exc.ArgumentError:
        raise UsageError(
            "a database is given as sqlite:///counts.db, postgresql://user@host/name or the path of an SQLite file"
        ) from None
    named = url if url.database is None else url.set(database=printable(url.database))
    shown = named.render_as_string(hide_password=True)
    backend = "postgresql" if url.drivername == "postgres" else url.get_backend_name()
    if backend == "sqlite":
        folder = Path(url.database).parent if url.database else None
        if folder is None or url.database == ":memory:":
            raise UsageError(f"{shown} names no file to keep counts in: take e.g. sqlite:///counts.db")
        if not folder.is_dir():
            raise UsageError(f"the folder of {shown} does not exist")
        return sa.create_engine(url, connect_args={"timeout": _BUSY}), shown
    if backend == "postgresql":
        try:
            engine = sa.create_engine(url.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
        except ImportError as error:
            raise MissingExtra.named("PostgreSQL", "count") from error
        return engine, shown
    raise UsageError.unknown("database", backend, ("postgresql", "sqlite"))


def _told(error: exc.SQLAlchemyError) -> str:
    """The first line of what the database says."""
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
