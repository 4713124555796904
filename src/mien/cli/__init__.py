"""The command `mien`. Each command imports what it needs when it runs, so that `mien --help` is quick.

This file imports nothing, so that from the first moment on Ctrl-C and closed streams are dealt with.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from mien.cli import process

if TYPE_CHECKING:
    from mien.cli.commands import app

__all__ = ["app", "main"]


def main() -> None:
    """Entry point of the command `mien`."""
    try:
        process.catch_interrupts()
        process.open_streams()
        from mien.cli.commands import app

        app(prog_name="mien")
    except KeyboardInterrupt:
        process.say("interrupted")
        sys.exit(process.INTERRUPTED)
    finally:
        process.forget_interrupts()


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name != "app":
            raise AttributeError(f"module 'mien.cli' has no attribute {name!r}")
        from mien.cli.commands import app

        globals()["app"] = app
        return app
