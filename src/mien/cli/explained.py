"""The help of every command, and what is said where one is typed wrongly, in plain words."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any, get_args, get_origin

from typer.core import TyperCommand, TyperGroup, TyperOption

KINDS: dict[str, str] = {"int": "N", "float": "X", "str": "TEXT", "Path": "PATH", "datetime": "TIME", "bool": ""}
"""What stands beside an option that names no better word for what it takes."""

CLICK_KINDS = {"integer": "int", "float": "float", "text": "str", "path": "Path", "datetime": "datetime"}
"""How typer below 0.25 calls the types."""


class Explained(TyperCommand):
    """A command whose help tells a default for each option, "none" where there is nothing without it.

    What options and arguments take stands there in plain words: PHOTO... or N, not {photos...}... or <int range>. Flags
    have nothing beside them. An environment variable is named only where it is not called as its option is.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        """As every command is made."""
        super().__init__(*arguments, **settings)
        self.help = flowing(self.help or "")
        taken = {name for option in self.params for name in option.opts}
        for option in self.params:
            if "--output" in option.opts and "-o" not in taken:
                option.opts.append("-o")  # of every command
            if isinstance(option, TyperOption):
                option.show_envvar = option.envvar not in (None, f"MIEN_{(option.name or '').upper()}")
                if not option.required and option.default is None:
                    told = isinstance(option.show_default, str) or "default" in (option.help or "")
                    option.show_default = option.show_default if told or option.show_default is False else "none"

    def get_params(self, ctx: Any) -> Any:
        """All options and arguments, also those that a kind of command adds: each with what it takes."""
        return [_name_kind(option) for option in super().get_params(ctx)]

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """[OPTIONS], and the arguments: in brackets those that may be left out."""
        arguments = [one for one in self.get_params(ctx) if _is_argument(one)]
        words = [one.metavar if one.required else f"[{one.metavar}]" for one in arguments]
        return ["[OPTIONS]", *map(str, words)]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read what was typed; what cannot be is said in plain words."""
        typed = list(args)
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            if isinstance(getattr(error, "message", None), str):
                error.message = _in_words(error, typed)  # type: ignore[attr-defined]
            raise


class ExplainedGroup(TyperGroup):
    """The same for a group of commands."""

    def get_params(self, ctx: Any) -> Any:
        """All options, also those of shell completion, which typer adds last."""
        return [_hush_flag(option) for option in super().get_params(ctx)]

    def get_help_option(self, ctx: Any) -> Any:
        """As every group has it, and as the other flags are."""
        return _hush_flag(super().get_help_option(ctx))


def flowing(text: str) -> str:
    r"""A text whose paragraphs are one line each, to be broken where the terminal ends and not where the source does.

    >>> flowing("One.\n\nTwo\nlines.")
    'One.\n\nTwo lines.'
    """
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in inspect.cleandoc(text).split("\n\n"))


def _is_argument(option: Any) -> bool:
    return bool(option.param_type_name == "argument")


def _hush_flag(option: Any) -> Any:
    """Let nothing stand beside a flag, which takes nothing."""
    if getattr(option, "is_flag", False):
        option.metavar = ""
    return option


def _name_kind(option: Any) -> Any:
    """Name what an option or argument takes, unless its author has."""
    if _is_argument(option):
        name = (option.metavar or option.name).strip("[]").removesuffix("...").upper()
        option.metavar = f"{name}..." if option.nargs == -1 else name
        if hasattr(option, "display_type_rich"):  # of typer from 0.25 on: "<list[str]>" beside the name
            option.display_type_rich = _nothing
    elif option.metavar is None:
        ranged = any(getattr(option, end, None) is not None for end in ("min", "max"))
        option.metavar = "X" if ranged else KINDS.get(_kind(option))  # beside a range, which typer writes as x>=1
    return _hush_flag(option)


def _nothing(ctx: Any) -> None:
    """What an argument has beside its name."""


def _kind(option: Any) -> str:
    """Name of the type of an option, or of each of its values."""
    described = getattr(option, "type_descriptor", None)
    if described is None:
        return CLICK_KINDS.get(option.type.name.removesuffix(" range"), "")
    kind = described.annotation
    kind = get_args(kind)[0] if get_origin(kind) is list else kind
    return getattr(kind, "__name__", "")


def _in_words(error: Any, typed: list[str]) -> str:
    """What click or pydantic says of a wrong command line, as a person would.

    Args:
        error: with a `message`, which is for people; wrong numbers are told by `mien.cli.option_names`.
        typed: the words after the command.
    """
    said = str(error.message)
    if hasattr(error, "option_name"):
        file = next((word for word in typed if word.startswith("-") and _lies_there(word)), None)
        return said if file is None else f"{said.rstrip('.')}. To give the file of that name, type ./{file}"
    if unknown := re.search(r"('.*') does not match the formats? '%", said):
        return (
            f"{unknown[1]} is not a time: give it as 2026-05-01T12:00:00, or with the zone, 2026-05-01T12:00:00+02:00."
        )
    return said


def _lies_there(word: str) -> bool:
    try:
        return Path(word).exists()
    except (OSError, ValueError):
        return False
