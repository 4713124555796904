"""Every error mien raises on purpose: one tree, each with a kind, a sentence that says what to do, and an exit code.

```
MienError               exit 1
├── UsageError          exit 2   an option or name that does not exist
├── PhotoError          exit 3   one photo failed; in a run over many it becomes a row
│   ├── PhotoMissing, PhotoUnreadable, PhotoEmpty, NotAnImage, PhotoTruncated, PhotoTooLarge, PhotoTooCostly,
│       PhotoUnsupported
├── VideoError          exit 3   a video or camera that cannot be read, or only in part
├── ModelError          exit 4   a bundle that is missing or malformed
├── MissingExtra        exit 5   a part of mien that is not installed
├── DataError           exit 6   training or evaluation data that cannot be used
└── StoreError          exit 7   a database that cannot be reached or written
```
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar


def install(extra: str) -> str:
    """The command that installs an extra where mien itself came from: its folder, a wheel, or an index."""
    from pathlib import PurePosixPath
    from urllib.parse import unquote, urlsplit

    source = _source()
    if source is None:
        return f"pip install 'mien[{extra}]'"
    if "archive_info" in source:
        wheel = PurePosixPath(unquote(urlsplit(str(source.get("url"))).path)).name
        return f"pip install './{wheel}[{extra}]', where that file lies"
    editable = "-e " if source.get("dir_info", {}).get("editable") else ""
    return f"pip install {editable}'.[{extra}]' in the folder of mien's sources"


def _source() -> dict[str, Any] | None:
    """What pip wrote down of where mien was installed from; None for an index. Without a word of it: a checkout."""
    import json
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        written = distribution("mien").read_text("direct_url.json")
        return None if written is None else dict(json.loads(written))
    except (PackageNotFoundError, OSError, ValueError):
        return {"dir_info": {"editable": True}}


class MienError(Exception):
    """Base of the tree. `str(error)` is a sentence for the user."""

    kind: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1


class UsageError(MienError):
    """An option has a value that cannot be used."""

    kind = "usage"
    exit_code = 2

    def __init__(self, sentence: str, *, option: str | None = None) -> None:
        """Say it.

        Args:
            sentence: what is wrong and what to do.
            option: name of the option in Python, where the sentence does not name it.
        """
        super().__init__(sentence)
        self.option = option

    @classmethod
    def unknown(cls, what: str, name: str, choices: Iterable[str]) -> UsageError:
        """Sentence for an unknown name: the nearest match and all choices.

        >>> str(UsageError.unknown("detector", "mtcn", ["mtcnn", "haar"]))
        "unknown detector 'mtcn': did you mean 'mtcnn'? choices: haar, mtcnn"
        """
        known = sorted(choices)
        name = name if len(name) <= 100 else f"{name[:99]}…"
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return cls(f"unknown {what} {name!r}: {hint}choices: {', '.join(known) or 'none'}")


class PhotoError(MienError):
    """One photo cannot be used; the others go on."""

    kind = "photo"
    exit_code = 3


class PhotoMissing(PhotoError, FileNotFoundError):
    """No file lies at the path; a FileNotFoundError too, for whoever looks for that."""

    kind = "missing"


class PhotoUnreadable(PhotoError):
    """The file exists but cannot be read."""

    kind = "unreadable"


class PhotoEmpty(PhotoError):
    """The file has no bytes."""

    kind = "empty"


class NotAnImage(PhotoError):
    """The bytes are no picture in a known format."""

    kind = "not_an_image"


class PhotoTruncated(PhotoError):
    """The picture breaks off before its end, or its data is damaged."""

    kind = "truncated"


class PhotoTooLarge(PhotoError):
    """The picture has more pixels or bytes than the cap allows."""

    kind = "too_large"


class PhotoTooCostly(PhotoError):
    """Decoding the picture takes more time or memory than is allowed, or than any photo asks for."""

    kind = "too_costly"


class PhotoUnsupported(PhotoError):
    """The format is known but needs something that is not installed; the sentence names the extra."""

    kind = "unsupported"


def photo_error(kind: str, sentence: str) -> PhotoError:
    """The error of a photo again from its kind and sentence, as they come from another process or a file.

    >>> type(photo_error("empty", "no bytes")).__name__, type(photo_error("of a newer mien", "what?")).__name__
    ('PhotoEmpty', 'PhotoError')
    """
    kinds = {known.kind: known for known in _tree(PhotoError)}
    return kinds.get(kind, PhotoError)(sentence)


def _tree(error: type[PhotoError]) -> Iterator[type[PhotoError]]:
    yield error
    for kind in error.__subclasses__():
        yield from _tree(kind)


class VideoError(MienError):
    """A video or a camera cannot be read, or not to its end."""

    kind = "video"
    exit_code = 3


class ModelError(MienError):
    """A model bundle is missing, malformed or made for a newer mien."""

    kind = "model"
    exit_code = 4


class MissingExtra(MienError):
    """A package of an optional extra is not installed."""

    kind = "missing_extra"
    exit_code = 5

    @classmethod
    def named(cls, feature: str, extra: str) -> MissingExtra:
        """Sentence that names the extra to install, e.g. "the service needs the extra 'serve': pip install ..."."""
        return cls(f"{feature} needs the extra {extra!r}: {install(extra)}")


class DataError(MienError):
    """Training or evaluation data cannot be used as given."""

    kind = "data"
    exit_code = 6


class StoreError(MienError):
    """A database cannot be reached, read or written."""

    kind = "store"
    exit_code = 7
