r"""Names of files as C libraries take them: in UTF-8, while a file's name on Linux may be any bytes.

Python keeps such bytes as lone surrogates ("caf\udce9.mp4"). OpenCV dies of them, ONNX Runtime, Arrow and safetensors
raise what nobody understands. There the library is given another way to the same file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mien.errors import MienError, UsageError

_OPEN_FILES = Path("/proc/self/fd")
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,3}(.*)", re.DOTALL)


@contextmanager
def plain_name(path: str | Path, fault: type[MienError] = UsageError) -> Iterator[str]:
    """The absolute name of a file or folder that exists, fit for a C library as long as the context lasts.

    Args:
        path: of a file or folder.
        fault: what to raise.

    Raises:
        MienError: of the kind asked for, where the system knows no other way to the file.
        OSError: it is not there or may not be read.
    """
    name = str(Path(path).resolve())
    if is_plain(name):
        yield name
        return
    if not _OPEN_FILES.is_dir():
        raise fault(f"the name {printable(name)} cannot be used, it is no valid Unicode: rename the file or its folder")
    handle = os.open(name, os.O_RDONLY)
    try:
        yield str(_OPEN_FILES / str(handle))
    finally:
        os.close(handle)


def is_plain(name: str) -> bool:
    r"""Whether a name can be written in UTF-8.

    >>> is_plain("Zoë.mp4"), is_plain("caf\udce9.mp4")
    (True, False)
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(name: str) -> str:
    r"""A file's name as valid Unicode; bytes of it that are not become escapes.

    >>> printable("caf\udce9.jpg")
    'caf\\udce9.jpg'
    """
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def discard(part: Path) -> None:
    """Remove an unfinished file; where the system refuses that (a read-only file system), nothing was made there."""
    with suppress(OSError):
        part.unlink(missing_ok=True)


def is_address(name: str) -> bool:
    """Whether a name is an address on the network, or a file's in the form of one; `Path` makes "//" in it "/".

    >>> [is_address(name) for name in ("https://a.org/b.jpg", "https:/a.org/b.jpg", "file:///b.jpg")]
    [True, True, True]
    >>> [is_address(name) for name in ("b.jpg", "C:/b.jpg", "a/http://b")]
    [False, False, False]
    """
    return _ADDRESS.match(name) is not None


def absent(name: str) -> str:
    """The sentence for a file that is not there.

    >>> absent("party.jpg")
    'no file lies at party.jpg: check the path'
    >>> absent("https://a.org/party.jpg")
    'no file lies at https://a.org/party.jpg, which is an address; mien reads files: download it first'
    >>> absent("file:///tmp/party.jpg")
    'no file lies at file:///tmp/party.jpg, which is an address; mien reads files: give the path /tmp/party.jpg'
    """
    shown = printable(name)
    found = _ADDRESS.match(shown)
    if found is None:
        return f"no file lies at {shown}: check the path"
    scheme, rest = found.groups()
    if scheme.lower() == "file":
        way, shown = f"give the path /{rest.rpartition('//')[2].lstrip('/')}", f"{scheme}:///{rest.lstrip('/')}"
    else:
        way, shown = "download it first", f"{scheme}://{rest}"
    return f"no file lies at {shown}, which is an address; mien reads files: {way}"
