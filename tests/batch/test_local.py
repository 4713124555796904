"""Processes of this machine: what they make, and what happens when they die."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mien.analyzer import Options
from mien.batch import local
from mien.batch.listing import Chunk, chunks
from mien.batch.work import Job, Worker, part_name, read_tally
from mien.errors import MienError, ModelError, UsageError

LIMIT = 1 << 20


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(20):
        Image.fromarray(np.full((32, 32, 3), 10 * number, np.uint8)).save(folder / f"{number}.png")
    (folder / "bad.png").write_bytes(b"no picture")
    return folder


@pytest.fixture
def job(tiny_bundle: Path, tmp_path: Path) -> Job:
    (tmp_path / "parts").mkdir()
    return Job(str(tiny_bundle), "abc", Options(detector="whole", threads=1), str(tmp_path / "parts"))


def divide(folder: Path, size: int) -> list[Chunk]:
    return list(chunks([str(folder)], size, max_bytes=LIMIT))


def test_processes_make_what_one_worker_makes(job: Job, photos: Path, tmp_path: Path) -> None:
    found = divide(photos, 4)
    news = list(local.run(job, iter(found), 2))
    made = dict(one.done for one in news if one.done is not None)
    assert sorted(made) == [0, 1, 2, 3, 4, 5]
    assert sum(one.begun for one in news) == 21
    each = [one.answered for one in news if one.answered is not None]  # told within the chunks, not at their ends
    assert Counter(chunk for chunk, _ in each) == {number: tally.photos for number, tally in made.items()}
    assert (sum(photo.faces for _, photo in each), sum(photo.failed for _, photo in each)) == (20, 1)
    (tmp_path / "alone").mkdir()
    worker = Worker(Job(job.model, "abc", job.options, str(tmp_path / "alone")))
    for chunk in found:
        assert worker.make(chunk) == made[chunk.number] == read_tally(Path(job.folder) / part_name(chunk.number))
        name = part_name(chunk.number)
        assert (tmp_path / "alone" / name).read_bytes() == (Path(job.folder) / name).read_bytes()


def test_a_part_tells_its_model_and_counts(job: Job, photos: Path) -> None:
    (chunk,) = divide(photos, 100)
    Worker(job).make(chunk)
    table = pq.read_table(Path(job.folder) / part_name(0))
    assert table.column("model").to_pylist() == ["tiny"] * 21
    assert set(table.column("model_sha256").to_pylist()) == {"abc"}
    assert table.column("error_kind").to_pylist().count("not_an_image") == 1
    ages = table.column("age").to_pylist()[:20]
    assert ages == sorted(ages)
    assert read_tally(Path(job.folder) / part_name(0)).to_dict() == {
        "photos": 21, "faces": 20, "failures": {"not_an_image": 1}
    }  # fmt: skip


def test_a_process_that_dies_is_replaced(job: Job, photos: Path) -> None:
    found = divide(photos, 4)
    news = local.run(job, iter(found), 2)
    next(news)
    for process in multiprocessing.active_children():
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
    list(news)
    assert all((Path(job.folder) / part_name(chunk.number)).is_file() for chunk in found)


def test_a_photo_that_ends_its_process_twice_is_left_out(job: Job, photos: Path, tmp_path: Path) -> None:
    """The second photo takes a while, so each process is there with the first one in its hands."""
    _slow(tmp_path / "slow.png")
    (tmp_path / "list.txt").write_text(f"{photos}/0.png\n{tmp_path}/slow.png\n{photos}/2.png\n")
    found = list(chunks([str(tmp_path / "list.txt")], 10, max_bytes=LIMIT))
    deaths = 0
    news: Iterator[local.Progress] = local.run(job, iter(found), 1)
    for one in news:
        if one.begun and deaths < 2:
            (process,) = multiprocessing.active_children()
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
            deaths += 1
    table = pq.read_table(Path(job.folder) / part_name(0)).to_pylist()
    assert [row["error_kind"] for row in table] == ["internal", None, None]
    assert "please report" in table[0]["error_message"]


def test_when_only_the_parent_dies_no_photo_is_held_for_the_cause(job: Job, photos: Path, tmp_path: Path) -> None:
    """As `kill -9` of the command does it, or a system that runs out of memory."""
    _slow(tmp_path / "slow.png")
    names = [f"{photos}/{number}.png" for number in range(3)]
    (tmp_path / "list.txt").write_text("\n".join([*names[:2], f"{tmp_path}/slow.png", names[2]]))
    code = f"""
import sys
from mien.analyzer import Options
from mien.batch import local
from mien.batch.listing import chunks
from mien.batch.work import Job
if __name__ == "__main__":
    job = Job({job.model!r}, "abc", Options(detector="whole", threads=1), {job.folder!r})
    for news in local.run(job, chunks([{str(tmp_path / "list.txt")!r}], 10, max_bytes={LIMIT}), 1):
        print(news.begun, flush=True)
"""
    script = tmp_path / "parent.py"
    script.write_text(code)
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE)
    with parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        parent.kill()  # the worker goes on, and finds nobody
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{child}/cmdline").exists() and _alive(child) for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    part = Path(job.folder) / part_name(0)
    assert not part.exists() or not read_tally(part).failures


def _slow(path: Path) -> None:
    """A picture of 49 megapixels, which no process has done in a moment."""
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (7000, 7000), np.uint8)).save(path, compress_level=1)


def _alive(process: str) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_run_that_is_closed_leaves_no_process(job: Job, photos: Path) -> None:
    news = local.run(job, iter(divide(photos, 1)), 2)
    next(news)
    news.close()
    deadline = time.monotonic() + 30
    while multiprocessing.active_children():
        assert time.monotonic() < deadline
    assert not any(path.stat().st_size == 0 for path in Path(job.folder).glob("part-*"))


def test_faults_of_model_and_output_end_the_run(job: Job, photos: Path, tmp_path: Path) -> None:
    found = divide(photos, 10)
    with pytest.raises(ModelError):
        list(local.run(Job(str(tmp_path), "", job.options, job.folder), iter(found), 1))
    with pytest.raises(UsageError, match="cannot write"):
        list(local.run(Job(job.model, "", job.options, str(tmp_path / "absent")), iter(found), 1))


def test_processes_that_always_die(job: Job, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "MOST_DEATHS", 3)
    (tmp := photos.parent / "list.txt").write_text("")
    os.mkfifo(photos.parent / "pipe.png")
    tmp.write_text(f"{photos}/0.png\n{photos.parent}/pipe.png\n")
    found = list(chunks([str(tmp)], 10, max_bytes=LIMIT))
    news = local.run(job, iter(found), 1)
    stop = False

    def kill() -> None:
        while not stop:
            for process in multiprocessing.active_children():
                if process.pid is not None:
                    os.kill(process.pid, signal.SIGKILL)
            time.sleep(0.05)

    killer = Thread(target=kill)
    killer.start()
    try:
        with pytest.raises(MienError, match="again and again"):
            list(news)
    finally:
        stop = True
        killer.join()
