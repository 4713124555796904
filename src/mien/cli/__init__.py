"""The command `mien`. Each command imports what it needs when it runs, so that `mien --help` is quick.

This file imports nothing, so that from the first moment on Ctrl-C and closed streams are dealt with.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mien.cli.commands import app

__all__ = ["app", "main"]


def main() -> None:
    """Entry point of the command `mien`."""
    try:
        from mien.cli.interrupts import catch_interrupts

        catch_interrupts()
        from mien.cli.process import leave, open_streams

        open_streams()
        from mien.cli.commands import app

        try:
            app(prog_name="mien")
        except SystemExit as end:
            leave(end.code)
            raise
    except KeyboardInterrupt:
        from mien.cli.interrupts import INTERRUPTED
        from mien.cli.process import say

        say("interrupted")
        raise SystemExit(INTERRUPTED) from None
    finally:
        from mien.cli.interrupts import forget_interrupts

        forget_interrupts()


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name != "app":
            raise AttributeError(f"module 'mien.cli' has no attribute {name!r}")
        from mien.cli.commands import app

        globals()["app"] = app
        return app
