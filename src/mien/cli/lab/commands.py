"""`mien lab ...`: what those use who develop models; and the names that its commands had at the top before."""

from __future__ import annotations

from typing import Any

import typer

from mien.cli.audit.commands import audit
from mien.cli.closing import Closed
from mien.cli.explained import ExplainedGroup
from mien.cli.lab.baselines import baseline
from mien.cli.lab.compare import compare, systems
from mien.cli.lab.figures import figures
from mien.cli.lab.runs import combine, crossfit, score, slim, split
from mien.cli.learn.train import average, card
from mien.cli.process import say
from mien.cli.to_file import Printing

COMMANDS = {
    "Around training runs": (split, crossfit, slim, average, combine, score, card),
    "Published systems": (systems, baseline, compare, figures),
}
WITHOUT_ARGUMENTS = (systems,)

lab = typer.Typer(
    name="lab",
    cls=ExplainedGroup,
    help="The laboratory of those who develop models: steps around training runs, comparisons, audits.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Moved(Closed):
    """A command under its former name."""

    def invoke(self, ctx: Any) -> Any:
        """Say the new name, and do the same."""
        _tell_new_name(ctx)
        return super().invoke(ctx)


class MovedPrinting(Printing):
    """A command that prints, under its former name."""

    def invoke(self, ctx: Any) -> Any:
        """Say the new name, and do the same."""
        _tell_new_name(ctx)
        return super().invoke(ctx)


class MovedGroup(ExplainedGroup):
    """A group of commands under its former name."""

    def invoke(self, ctx: Any) -> Any:
        """Say the new name, and do the same."""
        _tell_new_name(ctx)
        return super().invoke(ctx)


def _tell_new_name(ctx: Any) -> None:
    name = ctx.info_name
    say(f"mien {name} is now mien lab {name}; its former name works for this version and no longer")


def register(app: typer.Typer) -> None:
    """Add `lab` to the command line and, hidden, the names that its commands had before."""
    for panel, commands in COMMANDS.items():
        for command in commands:
            needs_words = command not in WITHOUT_ARGUMENTS
            now, former = (Printing, MovedPrinting) if command is systems else (Closed, Moved)
            lab.command(cls=now, rich_help_panel=panel, no_args_is_help=needs_words)(command)
            app.command(cls=former, hidden=True, no_args_is_help=needs_words)(command)
    lab.add_typer(audit, rich_help_panel="Trust")
    app.add_typer(lab, rich_help_panel="For developers of models")
    app.add_typer(audit, cls=MovedGroup, hidden=True)
