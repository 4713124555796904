"""How the absence of an extra is told: by a command that works where mien came from."""

from __future__ import annotations

import importlib.metadata
import json
from typing import Any

import pytest

from mien.errors import MissingExtra, install


class Installed:
    """What pip has written down of an installation."""

    def __init__(self, source: Any) -> None:
        self._source = source

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return self._source if self._source is None or isinstance(self._source, str) else json.dumps(self._source)


FOLDER: dict[str, Any] = {"url": "file:///home/me/mien", "dir_info": {}}
WHEEL = {"url": "file:///home/me/my%20wheels/mien-1.2.3-py3-none-any.whl", "archive_info": {}}
SOURCES = "in the folder of mien's sources"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (FOLDER, f"pip install '.[serve]' {SOURCES}"),
        (FOLDER | {"dir_info": {"editable": True}}, f"pip install -e '.[serve]' {SOURCES}"),
        (WHEEL, "pip install './mien-1.2.3-py3-none-any.whl[serve]', where that file lies"),
        (None, "pip install 'mien[serve]'"),
        ("not JSON", f"pip install -e '.[serve]' {SOURCES}"),
    ],
)
def test_the_command_fits_where_mien_came_from(source: Any, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: Installed(source))
    assert install("serve") == told
    assert "/home/me" not in told  # strangers read it too: the service says it of HEIC
    assert str(MissingExtra.named("the service", "serve")) == f"the service needs the extra 'serve': {told}"


def test_an_unpacked_copy_is_a_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(name: str) -> Any:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", lacking)
    assert install("heif") == f"pip install -e '.[heif]' {SOURCES}"
