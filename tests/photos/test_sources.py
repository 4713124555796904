"""Where photos come from: files, folders, globs, lists and bytes on standard input."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import PhotoEmpty, PhotoError, PhotoMissing, PhotoTooLarge, PhotoUnreadable
from mien.names import printable
from mien.photos import IMAGE_SUFFIXES, Item, items, read_file

GOLDEN = Path(__file__).parents[1] / "golden"
POSIX = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")


def plant(folder: Path, *names: str) -> None:
    """Files that hold their own names."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def sources(*inputs: str | Path, stdin: bytes = b"", below: Path | None = None) -> list[str]:
    found = [item.source for item in items(inputs, stdin=io.BytesIO(stdin))]
    return [str(Path(source).relative_to(below)) for source in found] if below else found


def only(*inputs: str | Path, stdin: bytes = b"") -> Item:
    (item,) = items(inputs, stdin=io.BytesIO(stdin))
    return item


@pytest.fixture
def forbidden() -> Iterator[Path]:
    """A folder in which some things may not be read, not even by root, whose rights are given up meanwhile."""
    folder = Path(tempfile.mkdtemp())
    plant(folder, "open.jpg", "closed.jpg", "closed.tar", "locked/a.jpg", "sub/z.jpg")
    folder.chmod(0o755)
    for name in ("closed.jpg", "closed.tar", "locked"):
        (folder / name).chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        (folder / "locked").chmod(0o755)
        shutil.rmtree(folder)


class TestFiles:
    def test_named_files_are_items_whatever_they_are(self, tmp_path: Path) -> None:
        plant(tmp_path, "b.jpg", "notes.txt", ".hidden")
        names = ["notes.txt", "b.jpg", ".hidden", "b.jpg"]
        found = list(items([tmp_path / name for name in names]))
        assert [item.source for item in found] == [str(tmp_path / name) for name in names]
        assert [item.read() for item in found] == [name.encode() for name in names]

    def test_a_single_path_may_stand_alone(self, tmp_path: Path) -> None:
        plant(tmp_path, "a.jpg")
        assert [item.source for item in items(str(tmp_path / "a.jpg"))] == [str(tmp_path / "a.jpg")]
        assert [item.source for item in items(tmp_path / "a.jpg")] == [str(tmp_path / "a.jpg")]

    @pytest.mark.parametrize("name", ["no.jpg", "no/such.jpg", "no.tar", "nul\0byte.jpg", ""])
    def test_missing(self, tmp_path: Path, name: str) -> None:
        item = only(tmp_path / "x" / name if name else str(tmp_path / "x"))
        with pytest.raises(PhotoMissing, match=r"no file lies at .*x.*: check the path"):
            item.read()

    def test_below_a_file_is_nothing(self, tmp_path: Path) -> None:
        plant(tmp_path, "a.jpg")
        with pytest.raises(PhotoMissing):
            only(tmp_path / "a.jpg" / "b.jpg").read()

    def test_a_name_that_is_too_long(self) -> None:
        with pytest.raises(PhotoUnreadable, match="cannot be read"):
            only("x" * 5000).read()

    def test_reading_waits_until_asked_and_may_be_repeated(self, tmp_path: Path) -> None:
        item = only(tmp_path / "later.jpg")
        plant(tmp_path, "later.jpg")
        assert item.read() == item.read() == b"later.jpg"

    def test_too_many_bytes(self, tmp_path: Path) -> None:
        plant(tmp_path, "12345678")
        (item,) = items([tmp_path / "12345678"], max_bytes=7)
        with pytest.raises(PhotoTooLarge, match="8 bytes, more than the limit of 7"):
            item.read()
        (item,) = items([tmp_path / "12345678"], max_bytes=8)
        assert item.read() == b"12345678"

    @POSIX
    def test_endless_devices_are_cut_off(self) -> None:
        (item,) = items(["/dev/zero"], max_bytes=1000)
        with pytest.raises(PhotoTooLarge):
            item.read()

    @POSIX
    def test_a_named_pipe_can_be_read(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(b"through the pipe",))
        writer.start()
        assert only(tmp_path / "pipe").read() == b"through the pipe"
        writer.join()

    def test_a_folder_is_no_photo(self, tmp_path: Path) -> None:
        with pytest.raises(PhotoUnreadable, match="is a folder"):
            read_file(tmp_path)

    @POSIX
    def test_forbidden(self, forbidden: Path) -> None:
        with pytest.raises(PhotoUnreadable, match=r"closed\.jpg may not be read: change its permissions"):
            only(forbidden / "closed.jpg").read()
        with pytest.raises(PhotoUnreadable, match="may not be read"):
            only(forbidden / "closed.tar").read()


class TestFolders:
    def test_pictures_below_in_natural_order(self, tmp_path: Path) -> None:
        plant(
            tmp_path, "a10.jpg", "a2.JPG", "A1.png", "b/1.webp", "b/c/0.heic", "a/z.tiff", "notes.txt", "x.xml", "jpg"
        )
        expected = ["A1.png", "a2.JPG", "a10.jpg", "a/z.tiff", "b/1.webp", "b/c/0.heic"]
        assert sources(tmp_path, below=tmp_path) == expected
        assert sources(str(tmp_path) + "/", below=tmp_path) == expected

    def test_hidden_ones_are_passed_over(self, tmp_path: Path) -> None:
        plant(tmp_path, "a.jpg", "._a.jpg", ".thumbs/a.jpg", ".jpg")
        assert sources(tmp_path, below=tmp_path) == ["a.jpg"]
        assert sources(tmp_path / ".thumbs", below=tmp_path) == [".thumbs/a.jpg"]

    def test_every_suffix_counts_in_any_case(self, tmp_path: Path) -> None:
        for suffix in IMAGE_SUFFIXES:
            plant(tmp_path, "lower" + suffix, "UPPER" + suffix.upper())
        assert len(sources(tmp_path)) == 2 * len(IMAGE_SUFFIXES)

    def test_lazy(self, tmp_path: Path) -> None:
        plant(tmp_path, "1.jpg", "sub/2.jpg")
        found = items([tmp_path, tmp_path / "missing.jpg"])
        assert next(found).source.endswith("1.jpg")
        plant(tmp_path, "sub/3.jpg")
        assert [Path(item.source).name for item in found] == ["2.jpg", "3.jpg", "missing.jpg"]

    @pytest.mark.parametrize("names", [(), ("notes.txt", ".hidden.jpg")])
    def test_without_pictures(self, tmp_path: Path, names: tuple[str, ...]) -> None:
        plant(tmp_path, *names)
        item = only(tmp_path)
        assert item.source == str(tmp_path)
        with pytest.raises(PhotoMissing, match=r"the folder .* holds no pictures"):
            item.read()

    @POSIX
    def test_links_are_followed_and_loops_end(self, tmp_path: Path) -> None:
        plant(tmp_path, "in/a.jpg", "in/sub/b.jpg", "elsewhere/c.jpg")
        (tmp_path / "in" / "up").symlink_to(tmp_path / "in")
        (tmp_path / "in" / "sub" / "up").symlink_to("..")
        (tmp_path / "in" / "self").symlink_to("self")
        (tmp_path / "in" / "self.jpg").symlink_to("self.jpg")
        (tmp_path / "in" / "other").symlink_to(tmp_path / "elsewhere")
        (tmp_path / "in" / "twice").symlink_to(tmp_path / "elsewhere")
        (tmp_path / "in" / "link.jpg").symlink_to(tmp_path / "elsewhere" / "c.jpg")
        expected = ["a.jpg", "link.jpg", "self.jpg", "other/c.jpg", "sub/b.jpg"]
        assert sources(tmp_path / "in", below=tmp_path / "in") == expected

    @POSIX
    def test_a_link_that_leads_nowhere_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
        (tmp_path / "gone").symlink_to("nowhere")
        with pytest.raises(PhotoMissing):
            only(tmp_path).read()

    @POSIX
    def test_pipes_inside_are_passed_over(self, tmp_path: Path) -> None:
        plant(tmp_path, "a.jpg", "folder.jpg/b.jpg")
        os.mkfifo(tmp_path / "pipe.jpg")
        assert sources(tmp_path, below=tmp_path) == ["a.jpg", "folder.jpg/b.jpg"]

    @POSIX
    def test_what_may_not_be_opened_is_told_and_the_rest_goes_on(self, forbidden: Path) -> None:
        found = list(items([forbidden]))
        assert [Path(item.source).name for item in found] == ["closed.jpg", "open.jpg", "locked", "z.jpg"]
        with pytest.raises(PhotoUnreadable, match="locked cannot be opened"):
            found[2].read()
        assert found[3].read() == b"sub/z.jpg"


class TestGlobs:
    def test_matches_in_natural_order(self, tmp_path: Path) -> None:
        plant(tmp_path, "p10.jpg", "p9.jpg", "p9.txt", "q.jpg", ".p1.jpg", "sub/p1.jpg")
        assert sources(f"{tmp_path}/p*", below=tmp_path) == ["p9.jpg", "p10.jpg"]
        assert sources(f"{tmp_path}/p?.jpg", below=tmp_path) == ["p9.jpg"]
        assert sources(f"{tmp_path}/[q]*", below=tmp_path) == ["q.jpg"]

    def test_any_depth_and_folders(self, tmp_path: Path) -> None:
        plant(tmp_path, "a.jpg", "x/b.jpg", "x/y/c.jpg", "x/.h/d.jpg", "z/e.png")
        assert sources(f"{tmp_path}/**/*.jpg", below=tmp_path) == ["a.jpg", "x/b.jpg", "x/y/c.jpg"]
        assert sources(f"{tmp_path}/**/*", below=tmp_path) == ["a.jpg", "x/b.jpg", "x/y/c.jpg", "z/e.png"]
        assert sources(f"{tmp_path}/*", below=tmp_path) == ["a.jpg", "x/b.jpg", "x/y/c.jpg", "z/e.png"]
        assert sources(f"{tmp_path}/x/.*/*", below=tmp_path) == ["x/.h/d.jpg"]
        assert sources(f"{tmp_path}/x/.h/*", below=tmp_path) == ["x/.h/d.jpg"]

    def test_relative(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        plant(tmp_path, "in/a.jpg", "b.jpg")
        monkeypatch.chdir(tmp_path / "in")
        assert sources("*.jpg") == ["a.jpg"]
        assert sources("../*.jpg") == ["../b.jpg"]

    def test_a_file_of_that_name_comes_first(self, tmp_path: Path) -> None:
        plant(tmp_path, "a[1].jpg", "a1.jpg")
        assert sources(f"{tmp_path}/a[1].jpg", below=tmp_path) == ["a[1].jpg"]
        (tmp_path / "a[1].jpg").unlink()
        assert sources(f"{tmp_path}/a[1].jpg", below=tmp_path) == ["a1.jpg"]

    @pytest.mark.parametrize("pattern", ["no*.jpg", "*.txt", "[", "x**y/*"])
    def test_without_pictures(self, tmp_path: Path, pattern: str) -> None:
        plant(tmp_path, "notes.txt")
        with pytest.raises(PhotoMissing, match=r"match|pattern"):
            only(f"{tmp_path}/{pattern}").read()

    @POSIX
    def test_loops_end(self, tmp_path: Path) -> None:
        plant(tmp_path, "a.jpg")
        for name in "xyz":
            (tmp_path / name).symlink_to(tmp_path)
        assert sources(f"{tmp_path}/**/*.jpg", below=tmp_path) == ["a.jpg"]


class TestStandardInput:
    @pytest.mark.parametrize("name", ["orientation_1.jpg", "rgb.png", "plain.gif", "rgb.bmp", "big.tif", "plain.webp"])
    def test_bytes_of_a_picture(self, name: str) -> None:
        data = (GOLDEN / name).read_bytes()
        item = only("-", stdin=data)
        assert item.source == "-"
        assert item.read() == item.read() == data

    @pytest.mark.parametrize(
        "data", [b"%PDF-1.4\n%\xe2\xe3\n1 0 obj\n", b"<html>\n<body>\n</html>\n", b"\x00\x01\x02", b"P6\n1 1\n255\nabc"]
    )
    def test_bytes_of_something_else_are_one_item_too(self, data: bytes) -> None:
        assert only("-", stdin=data).read() == data

    def test_list_of_paths(self, tmp_path: Path) -> None:
        plant(tmp_path, "a b.jpg", "sub/é.jpg", "BMW.jpg")
        lines = [
            f"{tmp_path}/a b.jpg\r\n",
            "\n",
            f"{tmp_path}/sub\n",
            "  \n",
            f"{tmp_path}/BMW.jpg\n",
            "-\n",
            f"{tmp_path}/no.jpg",
        ]
        found = list(items(["-"], stdin=io.BytesIO("".join(lines).encode())))
        assert [item.source.removeprefix(f"{tmp_path}/") for item in found] == [
            *("a b.jpg", "sub/é.jpg", "BMW.jpg", "-", "no.jpg")
        ]
        assert found[1].read() == "sub/é.jpg".encode()

    @pytest.mark.parametrize("text", ["BMW.jpg", "P6.jpg\n", "\ufeffa.jpg\n", "a.jpg"])
    def test_short_lists(self, text: str) -> None:
        assert sources("-", stdin=text.encode()) == [text.strip("\n\ufeff")]

    def test_long_lists_are_read_as_they_come(self) -> None:
        read, write = os.pipe()
        with os.fdopen(read, "rb") as stream, os.fdopen(write, "wb", buffering=0) as feed:
            feed.write(b"no/1.jpg\n" * 8)  # more than is looked at to tell a list from a picture
            found = items(["-"], stdin=stream)
            assert next(found).source == "no/1.jpg"

    def test_nothing(self) -> None:
        with pytest.raises(PhotoEmpty, match="nothing came in"):
            only("-").read()

    def test_too_much(self) -> None:
        (item,) = items(["-"], stdin=io.BytesIO(b"\xff\xd8\xff" + bytes(1000)), max_bytes=100)
        assert len(item.read()) == 101  # which decoding with the same limit refuses

    def test_between_other_inputs(self, tmp_path: Path) -> None:
        plant(tmp_path, "a.jpg", "b.jpg")
        data = (GOLDEN / "rgb.png").read_bytes()
        assert sources(tmp_path / "a.jpg", "-", tmp_path / "b.jpg", stdin=data)[1] == "-"


class TestNames:
    @POSIX
    @pytest.mark.skipif(sys.platform == "darwin", reason="macOS has no undecodable names")
    def test_undecodable_ones_can_be_written_and_read(self, tmp_path: Path) -> None:
        raw = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
        Path(os.fsdecode(raw)).write_bytes(b"coffee")
        for found in ([*items([tmp_path])], [*items([os.fsdecode(raw)])], [*items(["-"], stdin=io.BytesIO(raw))]):
            (item,) = found
            assert item.source == f"{tmp_path}/caf\\udce9.jpg"
            assert json.loads(json.dumps(item.source, ensure_ascii=False).encode("utf-8")) == item.source
            assert item.read() == b"coffee"

    @settings(max_examples=50, derandomize=True, deadline=None)
    @given(st.text(st.characters()) | st.binary().map(os.fsdecode))
    def test_any_name_makes_an_item_or_nothing(self, name: str) -> None:
        assert printable(name).encode("utf-8").decode("utf-8", "strict") == printable(name)
        item = next(items([f"no such folder/{name}"]))
        item.source.encode("utf-8")
        with pytest.raises(PhotoError) as caught:
            item.read()
        str(caught.value).encode("utf-8")


def test_inputs_keep_their_order(tmp_path: Path) -> None:
    plant(tmp_path, "z.jpg", "f/2.jpg", "f/1.jpg", "a.jpg")
    expected = ["z.jpg", "f/1.jpg", "f/2.jpg", "missing.jpg", "a.jpg"]
    found = sources(*(tmp_path / name for name in ("z.jpg", "f", "missing.jpg", "a.jpg")), below=tmp_path)
    assert found == expected
