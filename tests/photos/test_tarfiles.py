"""Archives: order, rules, memory, damage."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
import tarfile
import tracemalloc
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import PhotoError, PhotoMissing, PhotoTooLarge, PhotoTruncated
from mien.photos import Item, items

FORMS = pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tgz", ".TAR"])


def pack(path: Path, members: dict[str, bytes], **options: int) -> Path:
    mode = "w:gz" if path.suffix in {".gz", ".tgz"} else "w"
    with tarfile.open(path, mode, **options) as tar:  # type: ignore[call-overload]
        for name, data in members.items():
            add(tar, name, data)
    return path


def add(tar: tarfile.TarFile, name: str, data: bytes, kind: bytes = tarfile.REGTYPE) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.type = len(data), kind
    tar.addfile(member, io.BytesIO(data))


def contents(path: Path) -> dict[str, bytes]:
    return {item.source.removeprefix(f"{path}::"): item.read() for item in items([path])}


@FORMS
def test_pictures_in_the_order_they_have(tmp_path: Path, suffix: str) -> None:
    members = {"z.jpg": b"1" * 700, "notes.txt": b"2", "a/b10.PNG": b"3", "a/b2.png": b"", "./c.webp": b"5" * 5000}
    path = pack(tmp_path / f"set{suffix}", members)
    assert list(contents(path).items()) == [
        *(("z.jpg", b"1" * 700), ("a/b10.PNG", b"3"), ("a/b2.png", b""), ("./c.webp", b"5" * 5000))
    ]
    assert next(items([path])).source == f"{path}::z.jpg"


@FORMS
def test_items_may_be_read_late_twice_and_in_any_order(tmp_path: Path, suffix: str) -> None:
    path = pack(tmp_path / f"set{suffix}", {f"{at}.jpg": bytes([at]) * 600 for at in range(9)})
    found = list(items([path]))
    for at in (8, 0, 3, 3):
        assert found[at].read() == bytes([at]) * 600


@FORMS
def test_hidden_linked_and_special_members_are_passed_over(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"set{suffix}"
    with tarfile.open(path, "w:gz" if "g" in suffix else "w") as tar:
        add(tar, "._a.jpg", b"resource fork")
        add(tar, "folder.jpg", b"", tarfile.DIRTYPE)
        add(tar, "a.jpg", b"picture")
        for name, kind in (
            ("soft.jpg", tarfile.SYMTYPE),
            ("hard.jpg", tarfile.LNKTYPE),
            ("pipe.jpg", tarfile.FIFOTYPE),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "a.jpg"
            tar.addfile(member)
    assert contents(path) == {"a.jpg": b"picture"}


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_and_foreign_names(tmp_path: Path, form: int) -> None:
    name = "ordner/" * 12 + "größe 写真.jpg"
    assert contents(pack(tmp_path / "set.tar", {name: b"x"}, format=form)) == {name: b"x"}


def test_undecodable_names_are_shown_escaped(tmp_path: Path) -> None:
    path = pack(tmp_path / "set.tar", {"caf\udce9.jpg": b"x"}, format=tarfile.GNU_FORMAT)
    assert contents(path) == {"caf\\udce9.jpg": b"x"}


def test_a_plain_archive_with_the_suffix_of_a_compressed_one_and_the_other_way_round(tmp_path: Path) -> None:
    plain = pack(tmp_path / "set.tar", {"a.jpg": b"x"})
    packed = pack(tmp_path / "set.tgz", {"a.jpg": b"x"})
    swapped = packed.read_bytes()
    packed.write_bytes(plain.read_bytes())
    plain.write_bytes(swapped)
    assert contents(plain) == contents(packed) == {"a.jpg": b"x"}


@FORMS
def test_without_pictures(tmp_path: Path, suffix: str) -> None:
    path = pack(tmp_path / f"set{suffix}", {"notes.txt": b"x"})
    (item,) = items([path])
    assert item.source == str(path)
    with pytest.raises(PhotoMissing, match="holds no pictures"):
        item.read()


@FORMS
def test_large_members_are_refused_and_the_others_go_on(tmp_path: Path, suffix: str) -> None:
    path = pack(tmp_path / f"set{suffix}", {"a.jpg": b"x" * 101, "b.jpg": b"y" * 100})
    large, small = items([path], max_bytes=100)
    with pytest.raises(PhotoTooLarge, match="101 bytes"):
        large.read()
    assert small.read() == b"y" * 100


@FORMS
def test_memory_is_flat(tmp_path: Path, suffix: str) -> None:
    path = pack(tmp_path / f"set{suffix}", {f"{at}.jpg": bytes(1 << 19) for at in range(20)})
    tracemalloc.start()
    assert sum(len(item.read()) for item in items([path])) == 10 << 20
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 << 20


def broken(path: Path) -> tuple[list[Item], str]:
    """The items before the damage and the sentence about it."""
    *whole, last = items([path])
    assert last.source == str(path)
    with pytest.raises(PhotoTruncated) as caught:
        last.read()
    return whole, str(caught.value)


class TestDamage:
    @pytest.mark.parametrize(
        "data", [b"", b"no archive", bytes(range(256)) * 8, b"\x1f\x8b", gzip.compress(b"no archive", mtime=0)]
    )
    def test_no_archive_at_all(self, tmp_path: Path, data: bytes) -> None:
        (tmp_path / "set.tar").write_bytes(data)
        whole, sentence = broken(tmp_path / "set.tar")
        assert whole == []
        assert "damaged after 0 pictures" in sentence

    @FORMS
    def test_breaks_off_inside_a_member(self, tmp_path: Path, suffix: str) -> None:
        noise = Random(1).randbytes(20_000)
        path = pack(tmp_path / f"set{suffix}", {"a.jpg": noise, "b.jpg": noise[::-1]})
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * 0.7)])
        whole, sentence = broken(path)
        assert whole[0].read() == noise
        assert "copy or download it again" in sentence

    def test_the_member_that_breaks_off_says_so(self, tmp_path: Path) -> None:
        path = pack(tmp_path / "set.tar", {"a.jpg": b"x" * 2000})
        path.write_bytes(path.read_bytes()[:1000])
        (item,), _ = broken(path)
        with pytest.raises(PhotoTruncated, match=r"set\.tar::a\.jpg breaks off"):
            item.read()

    @FORMS
    def test_a_damaged_header_is_not_taken_for_the_end(self, tmp_path: Path, suffix: str) -> None:
        path = pack(tmp_path / f"set{suffix}", {"a.jpg": b"x", "b.jpg": b"y", "c.jpg": b"z"})
        packed = path.suffix in {".gz", ".tgz"}
        data = bytearray(gzip.decompress(path.read_bytes()) if packed else path.read_bytes())
        data[1024:1034] = b"0123456789"
        path.write_bytes(gzip.compress(data) if packed else data)
        whole, sentence = broken(path)
        assert [item.read() for item in whole] == [b"x"]
        assert "damaged after 1 pictures" in sentence

    def test_gone_between_listing_and_reading(self, tmp_path: Path) -> None:
        path = pack(tmp_path / "set.tar", {"a.jpg": b"x"})
        (item,) = items([path])
        path.unlink()
        with pytest.raises(PhotoError, match="cannot be read"):
            item.read()

    @settings(max_examples=80, deadline=timedelta(seconds=20), derandomize=True)
    @given(st.data())
    def test_any_damage_gives_items(self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
        folder = tmp_path_factory.mktemp("damaged")
        suffix = data.draw(st.sampled_from([".tar", ".tgz"]))
        form = data.draw(st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
        path = pack(folder / f"set{suffix}", {f"{at}{'ä' * 90}.jpg": bytes([at]) * 90 for at in range(3)}, format=form)
        raw = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 5))):
            at = data.draw(st.integers(0, len(raw) - 1))
            raw[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
        path.write_bytes(raw)
        for item in items([path], max_bytes=1 << 20):
            item.source.encode("utf-8")
            try:
                assert len(item.read()) <= 1 << 20
            except (PhotoTruncated, PhotoMissing, PhotoTooLarge):
                continue


BLOCK = 512


def header(name: str, kind: bytes, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    return member.tobuf(tarfile.GNU_FORMAT)


ZEROS = gzip.compress(bytes(30 << 20), 1)


def packed(path: Path, head: bytes, times: int = 0) -> Path:
    """A compressed archive with so many times 30 MiB of zeros at its end; gzip files may follow each other in one."""
    path.write_bytes(gzip.compress(head, 1) + ZEROS * times)
    return path


COSTLY = {
    "a name": header("././@LongLink", tarfile.GNUTYPE_LONGNAME, 600 << 20),
    "a link": header("././@LongLink", tarfile.GNUTYPE_LONGLINK, 600 << 20),
    "attributes": header("a", tarfile.XHDTYPE, 600 << 20),
    "attributes of all": header("a", tarfile.XGLTYPE, 600 << 20),
}


@pytest.mark.skipif(sys.platform != "linux", reason="measures as Linux does")
def test_headers_of_gigabytes_are_a_failed_row(tmp_path: Path) -> None:
    """In a process of its own with little memory, since a header that is read takes as much as it claims."""
    paths = [packed(tmp_path / f"{name}.tar.gz", head, 20) for name, head in COSTLY.items()]
    digits = b"1" * (200 << 10)
    paths.append(packed(tmp_path / "digits.tar.gz", header("a", tarfile.XHDTYPE, len(digits)) + digits))
    names = b"".join(header("@", tarfile.GNUTYPE_LONGNAME, 2) + b"a\0" + bytes(BLOCK - 2) for _ in range(3000))
    paths.append(packed(tmp_path / "names.tar.gz", names))
    sparse = bytearray(header("a.jpg", tarfile.GNUTYPE_SPARSE, 9))
    sparse[482] = 1
    sparse[148:156] = b"%06o\0 " % (sum(sparse) - sum(sparse[148:156]) + 8 * 32)
    entries = (b"%011o\0" % 9 * 42 + b"\1" + bytes(7)) * 20_000
    paths.append(packed(tmp_path / "sparse.tar.gz", bytes(sparse) + entries))
    code = """
import resource, sys
from mien.errors import PhotoError
from mien.photos import items
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    for item in items([path]):
        try:
            item.read()
        except PhotoError as error:
            print(error.kind)
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_maxrss - before >> 10, used.ru_utime + used.ru_stime)
"""
    words = [sys.executable, "-c", code, *map(str, paths)]
    *kinds, figures = subprocess.run(words, capture_output=True, text=True, check=True, timeout=240).stdout.splitlines()
    megabytes, seconds = map(float, figures.split())
    assert kinds == ["truncated"] * len(paths)
    assert megabytes < 32
    assert seconds < 5


def test_names_as_long_as_they_come(tmp_path: Path) -> None:
    name = "/".join(["n" * 200] * 20) + ".jpg"
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        assert contents(pack(tmp_path / "set.tar.gz", {name: b"x"}, format=form)) == {name: b"x"}
