"""Base64 in the forms that people send: plain, as MIME with line breaks, URL-safe, without padding, a data: URI."""

from __future__ import annotations

import binascii
import re
from urllib.parse import unquote_to_bytes

_BREAK = re.compile(rb"[ \t]*[\r\n]+[ \t]*")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_ADDRESS = re.compile(rb"[a-z][a-z0-9+.-]{1,20}:", re.IGNORECASE)
_LONGEST_HEAD = 256


def decode(text: bytes) -> bytes:
    r"""The bytes that a text in base64 stands for.

    Args:
        text: base64 (RFC 4648, section 4 or 5), perhaps in lines, perhaps without padding, perhaps in a `data:` URI
            that says `;base64`. A blank within a line is no base64: most often it was a `+`.

    Raises:
        ValueError: it is none of these; the sentence says what is wrong.

    >>> decode(b"aGk="), decode(b"aGk"), decode(b"aG\r\nk=\n"), decode(b"-_-_"), decode(b"data:image/png;base64,aGk=")
    (b'hi', b'hi', b'hi', b'\xfb\xff\xbf', b'hi')
    """
    text = text.strip(b" \t\r\n")
    if text[:5].lower() == b"data:":
        head, comma, _ = text[:_LONGEST_HEAD].partition(b",")
        if not comma or not head.rstrip().lower().endswith(b";base64"):
            raise ValueError("a data: URI must have ';base64,' before its data")
        text = text[len(head) + 1 :]
        if text.find(b"%") >= 0:
            text = unquote_to_bytes(text)
    elif _ADDRESS.match(text):
        raise ValueError("it is an address, and nothing is fetched: send the picture itself in base64")
    if text.find(b"\n") >= 0 or text.find(b"\r") >= 0:
        text = _BREAK.sub(b"", text)
    if text.find(b"-") >= 0 or text.find(b"_") >= 0:
        if text.find(b"+") >= 0 or text.find(b"/") >= 0:
            raise ValueError("it mixes the letters of plain and of URL-safe base64")
        text = text.translate(_URL_SAFE)
    if not text.endswith(b"=") and len(text) % 4 > 1:
        text += b"=" * (-len(text) % 4)
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error as error:
        raise ValueError(_why(str(error))) from None


def _why(fault: str) -> str:
    """What `binascii` says, in words for who sent it."""
    if fault.startswith("Only base64"):
        return "it has letters that base64 does not have"
    if "padding" in fault and fault != "Incorrect padding":
        return "it goes on after its padding"
    return "it breaks off, or letters of it are missing"
