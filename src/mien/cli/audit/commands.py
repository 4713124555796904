"""`mien lab audit ...`: whether a model's answers can be trusted, one command for each question."""

from __future__ import annotations

import typer

from mien.cli.audit.abstain import abstain
from mien.cli.audit.age_checks import age_checks
from mien.cli.audit.calibration import calibration
from mien.cli.audit.explanations import explanations
from mien.cli.audit.fairness import fairness
from mien.cli.audit.robustness import robustness
from mien.cli.closing import Closed
from mien.cli.explained import ExplainedGroup
from mien.cli.to_file import Printing

audit = typer.Typer(
    name="audit",
    cls=ExplainedGroup,
    help="Measure how far a model can be trusted, one question at a time.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
audit.command(cls=Closed, no_args_is_help=True)(abstain)
audit.command(cls=Printing, name="age-checks", no_args_is_help=True)(age_checks)
audit.command(cls=Closed, no_args_is_help=True)(calibration)
audit.command(cls=Printing, no_args_is_help=True)(robustness)
audit.command(cls=Closed, no_args_is_help=True)(fairness)
audit.command(cls=Printing, no_args_is_help=True)(explanations)
