"""Words of strangers for a terminal or a log: a file's name must not steer the one nor forge lines of the other."""

from __future__ import annotations

import re

CONTROLS = "\x00-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
"""Control characters of one and two bytes (U+009B begins what ESC [ does), line separators, marks that turn the order
of letters around, and letters that are not seen. Joiners (U+200C, U+200D) are kept: Persian and emoji need them."""
_REST = "\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"

_BLANKS = re.compile(r"[\t\n\r ]+")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_UNSEEN = re.compile(f"[{CONTROLS}{_REST}]")


def plain(text: str, instead: str = "\ufffd") -> str:
    r"""A text on one line, without characters that are not letters but orders.

    >>> plain("caf\u00e9 \x9b31m.jpg"), plain("a\u202egpj.exe"), plain("a\nb", "")
    ('café �31m.jpg', 'a�gpj.exe', 'a b')
    """
    return _UNSEEN.sub(instead, _BLANKS.sub(" ", text))


def plain_lines(text: str) -> str:
    """`plain` for a text of several lines, which keeps its lines and indentation."""
    return _UNSEEN.sub(lambda found: found[0] if found[0] == "\n" else "\ufffd", text.expandtabs())


def escaped(text: str) -> str:
    r"""A text of JSON with such characters as escapes, which is the same JSON.

    >>> escaped('"a\x9b\u202e"')
    '"a\\u009b\\u202e"'
    """
    if text.isascii() and "\x7f" not in text:
        return text
    return _UNSEEN.sub(lambda found: found[0] if found[0] in "\n\r\t" else _escape(found[0]), text)


def formula_safe(cell: str) -> str:
    """A cell of CSV that no spreadsheet takes for a formula: what begins like one gets an apostrophe before it.

    >>> formula_safe("=1+1"), formula_safe("-2"), formula_safe("a=b.jpg")
    ("'=1+1", "'-2", 'a=b.jpg')
    """
    return f"'{cell}" if cell.lstrip(" ").startswith(_FORMULA) else cell


def _escape(letter: str) -> str:
    data = letter.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{data[at]:02x}{data[at + 1]:02x}" for at in range(0, len(data), 2))
