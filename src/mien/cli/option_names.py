"""Errors of the library name options as Python has them; people read them as they typed them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

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


def _spellings(command: Any) -> Iterator[tuple[str, str]]:
    """Names of options in Python, and the longest way to type each."""
    for inner in getattr(command, "commands", {}).values():
        yield from _spellings(inner)
    for parameter in command.params:
        if parameter.param_type_name == "option":
            yield parameter.name, max(parameter.opts, key=len)
