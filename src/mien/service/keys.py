"""API keys: who may come in, by a file that may be changed while the service runs.

A line of the file is a key alone, or its id and the key, or id, key and the day (or moment) after which it counts no
more; `#` begins a comment:

```
Rk3vXq9tLw2mZp7sYb4n
shop-1  Hn8cTf5jWd1xQv6gKr3z
guest   Vb2yNm7kSe4pJt9hLc5w  2027-03-31
```
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mien.errors import UsageError

log = logging.getLogger("mien.service")

SHORTEST = 16
"""Characters of a key at least: with fewer it might be guessed."""
LOOK_SECONDS = 2.0
"""How often it is looked whether the file is another one."""
_LETTERS = re.compile(r"[\x21-\x7e]+")
_ID = re.compile(r"[\w.@-]{1,64}", re.ASCII)
_COMMENT = re.compile(r"(^|\s)#.*")
LARGEST_FILE = 1 << 20


@dataclass(frozen=True, slots=True)
class Key:
    """One key, of which only a hash is kept.

    Attributes:
        name: its id, for the log and for rates.
        digest: SHA-256 of the key.
        until: seconds since 1970 from which on it counts no more; None: it always does.
    """

    name: str
    digest: bytes
    until: float | None = None


class Keys:
    """The keys of a service. Empty: whoever calls is welcome."""

    def __init__(self, given: Iterable[str] = (), file: Path | None = None) -> None:
        """Read them.

        Args:
            given: lines as in a file.
            file: a file of them, read again when it changes.

        Raises:
            UsageError: a key is too short or not of ASCII letters, a day is none, or the file cannot be read.
        """
        self._file = file
        self._given = parse(given)
        self._stamp: tuple[int, ...] = ()
        self._looked = time.monotonic()
        self._keys = self._given
        if file is not None:
            self._stamp = _stamp(file)
            self._keys = [*self._given, *read(file)]

    @property
    def needed(self) -> bool:
        """Whether a caller must name one: also where all have run out."""
        return bool(self._keys) or self._file is not None

    def find(self, given: str, now: Callable[[], float] = time.time) -> Key | None:
        """The key that a caller names, if there is one; takes as long whichever is right."""
        self._refresh()
        digest = hashlib.sha256(given.encode("utf-8", "surrogateescape")).digest()
        found = [key for key in self._keys if hmac.compare_digest(digest, key.digest)]
        return next((key for key in found if key.until is None or now() < key.until), None)

    def _refresh(self) -> None:
        """Read the file again where it is another one; the old keys stay where the new ones cannot be read."""
        if self._file is None or time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        try:
            stamp = _stamp(self._file)
            if stamp == self._stamp:
                return
            keys = read(self._file)
        except UsageError as error:
            if self._stamp:
                log.warning("the API keys stay as they were: %s", error)
            self._stamp = ()
            return
        self._stamp = stamp
        self._keys = [*self._given, *keys]
        log.info("%d API keys were read from %s", len(keys), self._file)


def read(file: Path) -> list[Key]:
    """The keys of a file.

    Raises:
        UsageError: it cannot be read, or something in it is no key; the sentence says which line, and shows no key.
    """
    try:
        with file.open("rb") as stream:
            data = stream.read(LARGEST_FILE + 1)
        lines = data.decode("ascii").splitlines()
    except UnicodeDecodeError:
        raise UsageError(f"{file} holds something that is not ASCII: a key is a line of ASCII characters") from None
    except OSError as error:
        raise UsageError(f"cannot read the API keys in {file}: {error.strerror}") from error
    if len(data) > LARGEST_FILE:
        raise UsageError(f"{file} is too large for a file of API keys")
    keys = parse(lines, f"{file}, line ")
    if not keys:
        raise UsageError(f"{file} holds no API key")
    return keys


def parse(lines: Iterable[str], place: str = "API key ") -> list[Key]:
    """Keys of lines; a key that stands twice is kept once.

    Raises:
        UsageError: a line is none.
    """
    keys: dict[bytes, Key] = {}
    for number, line in enumerate(lines, 1):
        words = _COMMENT.sub("", line).split()
        if not words:
            continue
        if len(words) > 3:
            raise UsageError(f"{place}{number}: a line is a key, or its id and the key, or id, key and last day")
        key = words[min(1, len(words) - 1)]
        if not _LETTERS.fullmatch(key):
            raise UsageError(f"{place}{number}: an API key must be of ASCII characters")
        if len(key) < SHORTEST:
            raise UsageError(
                f"{place}{number}: an API key must have {SHORTEST} characters or more; "
                "make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(24))'"
            )
        digest = hashlib.sha256(key.encode()).digest()
        name = words[0] if len(words) > 1 else digest.hex()[:8]
        if not _ID.fullmatch(name):
            raise UsageError(f"{place}{number}: the id of a key has letters, digits and . _ @ - only")
        keys.setdefault(digest, Key(name, digest, _until(words[2], f"{place}{number}") if len(words) > 2 else None))
    return list(keys.values())


def _until(text: str, place: str) -> float:
    """The end of a day, or a moment, in UTC unless it says else."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{place}: {text!r:.40} is no day like 2027-03-31") from None
    if "T" not in text and ":" not in text:
        moment += timedelta(days=1)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _stamp(file: Path) -> tuple[int, ...]:
    """What changes when a file does; also where a secret is mounted anew behind a link."""
    try:
        status = file.stat()
    except OSError as error:
        raise UsageError(f"cannot read the API keys in {file}: {error.strerror}") from error
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size
