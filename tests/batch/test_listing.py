"""Every photo is in one chunk, and a chunk written down gives the same photos when it is read."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.batch.listing import Chunk, chunks
from mien.errors import PhotoError, UsageError
from mien.photos.item import Address

LIMIT = 1000


def listed(*sources: object, size: int = 3, column: str | None = None) -> list[Chunk]:
    return list(chunks([str(source) for source in sources], size, column=column, max_bytes=LIMIT))


def read(found: list[Chunk]) -> list[tuple[str, bytes | str]]:
    """Names and bytes, or kinds of failure, of all photos, by chunks that went through JSON."""
    answers: list[tuple[str, bytes | str]] = []
    for chunk in found:
        for item in Chunk.from_json(chunk.to_json()).open(LIMIT):
            try:
                answers.append((item.source, item.read()))
            except PhotoError as error:
                answers.append((item.source, error.kind))
    return answers


def archive(path: Path, names: list[str]) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".tgz" else "w") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(name)
            tar.addfile(info, io.BytesIO(name.encode()))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(7):
        (tmp_path / "photos" / str(number % 2)).mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / str(number % 2) / f"{number}.jpg").write_bytes(b"photo %d" % number)
    return tmp_path / "photos"


def test_a_folder(folder: Path) -> None:
    found = listed(folder)
    assert [chunk.photos for chunk in found] == [3, 3, 1]
    assert [chunk.number for chunk in found] == [0, 1, 2]
    assert read(found) == [
        (str(folder / str(number % 2) / f"{number}.jpg"), b"photo %d" % number) for number in (0, 2, 4, 6, 1, 3, 5)
    ]


def test_archives(tmp_path: Path) -> None:
    names = [f"{number}.jpg" for number in range(5)]
    plain, packed = archive(tmp_path / "a.tar", names), archive(tmp_path / "b.tgz", names)
    (tmp_path / "loose.jpg").write_bytes(b"loose")
    assert [chunk.photos for chunk in listed(*[tmp_path / "loose.jpg"] * 7)] == [3, 3, 1]
    found = listed(plain, packed, plain)
    assert [chunk.photos for chunk in found] == [3, 2, 5, 3, 2]  # what is packed stays together
    sources = [plain] * 5 + [packed] * 5 + [plain] * 5
    assert read(found) == [(f"{path}::{name}", name.encode()) for path, name in zip(sources, names * 3, strict=True)]


def test_an_archive_named_twice(tmp_path: Path) -> None:
    path = archive(tmp_path / "b.tgz", ["a.jpg", "b.jpg"])
    assert [data for _, data in read(listed(path, path))] == [b"a.jpg", b"b.jpg"] * 2


def test_an_archive_that_was_changed_since(tmp_path: Path) -> None:
    path = archive(tmp_path / "b.tgz", ["a.jpg", "b.jpg", "c.jpg"])
    found = listed(path)
    archive(path, ["a.jpg", "x.jpg"])
    assert read(found) == [
        (f"{path}::a.jpg", b"a.jpg"),
        (f"{path}::b.jpg", "truncated"),
        (f"{path}::c.jpg", "truncated"),
    ]


def test_what_cannot_be_had_is_listed_too(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "large.jpg").write_bytes(bytes(LIMIT + 1))
    found = listed(tmp_path / "absent.jpg", tmp_path / "empty", tmp_path / "large.jpg")
    assert [kind for _, kind in read(found)] == ["missing", "missing", "too_large"]


def test_a_list_of_paths(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"\ufeff{folder}/0/0.jpg\r\n\n{folder}/1/3.jpg\n", encoding="utf-8")
    assert [data for _, data in read(listed(tmp_path / "list.txt"))] == [b"photo 0", b"photo 3"]


def test_names_that_are_no_unicode(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    (tmp_path / name).write_bytes(b"x")
    (tmp_path / "list.txt").write_bytes(os.fsencode(str(tmp_path / name)) + b"\n")
    for source in (tmp_path, tmp_path / "list.txt"):
        ((source_name, data),) = read(listed(source))
        assert data == b"x"
        source_name.encode()


class TestTables:
    def test_bytes(self, tmp_path: Path) -> None:
        values = [b"a", None, b"", b"d", b"e"]
        pq.write_table(pa.table({"id": range(5), "image": values}), tmp_path / "t.parquet", row_group_size=2)
        found = listed(tmp_path / "t.parquet")
        assert [chunk.photos for chunk in found] == [3, 2]
        name = str(tmp_path / "t.parquet")
        assert read(found) == [(f"{name}::{row}", value or "empty") for row, value in enumerate(values)]

    def test_of_hugging_face(self, tmp_path: Path) -> None:
        (tmp_path / "x.jpg").write_bytes(b"on disk")
        rows = [{"bytes": b"a", "path": "a.jpg"}, {"bytes": None, "path": "x.jpg"}, {"bytes": b"c", "path": None}, None]
        pq.write_table(pa.table({"image": rows}), tmp_path / "t.parquet")
        name = str(tmp_path / "t.parquet")
        assert read(listed(name, size=4)) == [
            (f"{name}::0::a.jpg", b"a"),
            (str(tmp_path / "x.jpg"), b"on disk"),
            (f"{name}::2", b"c"),
            (f"{name}::3", "empty"),
        ]

    def test_paths(self, folder: Path) -> None:
        paths = ["0/0.jpg", str(folder / "1/1.jpg"), "absent.jpg"]
        pq.write_table(pa.table({"file": paths}), folder / "t.parquet")
        assert [data for _, data in read(listed(folder / "t.parquet"))] == [b"photo 0", b"photo 1", "missing"]

    def test_a_column_by_name(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"image": [b"a"], "thumb": [b"b"]}), tmp_path / "t.parquet")
        assert read(listed(tmp_path / "t.parquet", column="thumb"))[0][1] == b"b"
        with pytest.raises(UsageError, match="did you mean 'thumb'"):
            listed(tmp_path / "t.parquet", column="thum")

    def test_paths_of_other_kinds_and_globs(self, folder: Path) -> None:
        for number, kind in enumerate((pa.large_string(), pa.dictionary(pa.int32(), pa.string()))):
            table = pa.table({"path": pa.array(["0/0.jpg"], pa.string()).cast(kind)})
            pq.write_table(table, folder / f"t{number}.parquet")
        assert [data for _, data in read(listed(folder / "t?.parquet"))] == [b"photo 0"] * 2
        with pytest.raises(UsageError, match="no files match"):
            listed(folder / "x*.parquet")

    @pytest.mark.parametrize(
        "kind",
        [
            pa.dictionary(pa.int32(), pa.binary()),
            pa.binary(4),
            pa.large_binary(),
            pa.binary_view(),
        ],
        ids=str,
    )
    def test_bytes_of_other_kinds(self, tmp_path: Path, kind: pa.DataType) -> None:
        values = [b"one1", b"two2", None, b"one1"]
        if pa.types.is_dictionary(kind):
            plain = pa.array(["one1", "two2"]).cast(kind.value_type)
            cells = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 0], kind.index_type), plain)
        else:
            cells = pa.array(values, kind)
        pq.write_table(pa.table({"image": cells}), tmp_path / "t.parquet", row_group_size=3)
        assert pq.read_schema(tmp_path / "t.parquet").field("image").type == cells.type
        assert [data for _, data in read(listed(tmp_path / "t.parquet"))] == [value or "empty" for value in values]

    def test_a_damaged_page_costs_its_own_rows_only(self, tmp_path: Path) -> None:
        path = tmp_path / "t.parquet"
        values = [bytes([row]) * 1000 for row in range(6)]
        pq.write_table(pa.table({"jpg": values}), path, row_group_size=2, compression="none", use_dictionary=False)
        data = bytearray(path.read_bytes())
        start = pq.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
        data[start : start + 40] = b"\xff" * 40
        path.write_bytes(data)
        found = [value if isinstance(value, str) else value[:1] for _, value in read(listed(path, size=6))]
        assert found == [b"\0", b"\1", "unreadable", "unreadable", b"\4", b"\5"]

    def test_no_photos(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"id": [1]}), tmp_path / "t.parquet")
        with pytest.raises(UsageError, match="--column"):
            listed(tmp_path / "t.parquet")
        with pytest.raises(UsageError, match="neither bytes nor paths"):
            listed(tmp_path / "t.parquet", column="id")
        (tmp_path / "no.parquet").write_bytes(b"no")
        with pytest.raises(UsageError, match="no Parquet file"):
            listed(tmp_path / "no.parquet")
        with pytest.raises(UsageError, match="cannot read"):
            listed(tmp_path / "absent.parquet")

    @settings(deadline=None, max_examples=30)
    @given(st.integers(0, 40), st.integers(1, 9), st.integers(1, 50))
    def test_every_row_once(self, rows: int, group: int, size: int) -> None:
        import tempfile

        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "t.parquet"
            pq.write_table(pa.table({"jpg": pa.array([b"%d" % row for row in range(rows)], pa.binary())}), path,
                           row_group_size=group)  # fmt: skip
            found = listed(path, size=size)
            assert [data for _, data in read(found)] == [b"%d" % row for row in range(rows)]
            assert all(chunk.photos <= size for chunk in found)


def test_standard_input_is_no_archive() -> None:
    with pytest.raises(UsageError, match="standard input"):
        listed("-")
    with pytest.raises(UsageError, match="cannot read the list"):
        listed("absent.txt")


names = st.text(st.characters(codec="utf-8"), max_size=20)
addresses = st.builds(
    Address, st.sampled_from(["file", "cut", "packed", "failing"]), names, st.integers(0), st.integers(0), names
)


@given(st.integers(0), st.lists(st.tuples(names, addresses), max_size=5))
def test_a_line_gives_back_the_chunk(number: int, entries: list[tuple[str, Address]]) -> None:
    chunk = Chunk(number, len(entries), tuple(entries))
    assert "\n" not in chunk.to_json()
    assert Chunk.from_json(chunk.to_json()) == chunk
