import pytest

from mien.runtime.protocol_buffers import LENGTH_DELIMITED, fields

MESSAGE = b"\x08\x96\x01" + b"\x11" + bytes(8) + b"\x1a\x03abc" + b"\x25" + bytes(4)
"""Field 1 a number (150), 2 eight bytes, 3 the text "abc", 4 four bytes."""


def test_each_field_is_told_with_the_place_of_its_value() -> None:
    found = list(fields(MESSAGE))
    assert found == [(1, 0, 1, 3), (2, 1, 4, 12), (3, LENGTH_DELIMITED, 14, 17), (4, 5, 18, 22)]
    _, _, start, end = found[2]
    assert MESSAGE[start:end] == b"abc"
    assert list(fields(memoryview(MESSAGE))) == found


@pytest.mark.parametrize("end", [2, 7, 13, 14, 16, 20])
def test_what_breaks_off_is_no_message(end: int) -> None:
    with pytest.raises((ValueError, IndexError)):
        list(fields(MESSAGE[:end]))


@pytest.mark.parametrize("damaged", [b"\x0b", b"\x00\x01", b"\x08" + b"\xff" * 11])
def test_groups_fields_without_a_number_and_endless_numbers_are_refused(damaged: bytes) -> None:
    with pytest.raises(ValueError, match=r"wire type 3|damaged|too many bytes"):
        list(fields(damaged))
