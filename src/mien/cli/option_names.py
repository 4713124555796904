"""Errors about options, in words: as the library names them and as typer does; people read them as they typed them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args

from mien.errors import MienError, UsageError


def as_typed(error: MienError, command: Any) -> str:
    """An error's sentence in which "min_face" is "--min-face".

    Args:
        error: what went wrong.
        command: the group of all commands.
    """
    sentence = str(error)
    if not isinstance(error, UsageError):
        return sentence
    spellings = dict(_spellings(command))
    for name, typed in spellings.items():
        if "_" in name:
            sentence = re.sub(rf"(?<![\w./=-]){name}(?![\w./=(-])", typed, sentence)
        else:
            sentence = re.sub(rf"\A{name}(?= (is|must) )", typed, sentence)
    typed = spellings.get(error.option or "", "")
    return sentence if typed in sentence else f"{typed}: {sentence}"


def bad_number(error: Any) -> str | None:
    """A sentence for a number that an option or argument does not take; None for whatever else went wrong.

    Args:
        error: of typer or click, which tell of numbers in the words of their own machinery.
    """
    parameter = getattr(error, "param", None)
    if parameter is None or (allowed := _allowed(parameter)) is None or (value := _given(error)) is None:
        return None
    name = max(parameter.opts, key=len) if parameter.param_type_name == "option" else parameter.human_readable_name
    source = error.ctx and error.ctx.get_parameter_source(parameter.name)
    if source is not None and source.name == "ENVIRONMENT":
        name = str(parameter.envvar)
    return f"{name} must be {allowed}, not {value if _NUMBER.fullmatch(value) else repr(value)}"


_NUMBER = re.compile(r"[-+]?\d+(\.\d*)?")
_OLDER = re.compile(
    r"(?P<quote>['\"]?)(?P<value>.*)(?P=quote) is not (a valid (integer|float)|in the range)", re.DOTALL
)
"""How typer told of numbers while it was built on click."""


def _allowed(parameter: Any) -> str | None:
    """Which numbers a parameter takes, e.g. "a whole number from 0 to 65535"; None where it takes other things."""
    told = getattr(parameter, "type_descriptor", None)
    if told is None:  # typer on click
        name = str(getattr(parameter.type, "name", ""))
        kind: Any = int if name.startswith("integer") else float if name.startswith("float") else None
        least, most = getattr(parameter.type, "min", None), getattr(parameter.type, "max", None)
    else:
        kinds = {told.annotation, *get_args(told.annotation)}
        kind = int if int in kinds else float if float in kinds else None
        least, most = told.parameter_info.min, told.parameter_info.max
    if kind is None:
        return None
    noun = "a whole number" if kind is int else "a number"
    match least, most:
        case None, None:
            return noun
        case _, None:
            return f"{noun} of {least} or more"
        case None, _:
            return f"{noun} of {most} or less"
    return f"{noun} from {least} to {most}"


def _given(error: Any) -> str | None:
    """The value that was refused, as it was typed; None where the error was not about a value."""
    faults = getattr(error.__cause__, "errors", None)
    if faults is not None:
        return str(faults()[0]["input"])
    found = _OLDER.match(str(getattr(error, "message", "")))
    return None if found is None else found["value"]


def _spellings(command: Any) -> Iterator[tuple[str, str]]:
    """Names of options in Python, and the longest way to type each."""
    for inner in getattr(command, "commands", {}).values():
        yield from _spellings(inner)
    for parameter in command.params:
        if parameter.param_type_name == "option":
            yield parameter.name, max(parameter.opts, key=len)
