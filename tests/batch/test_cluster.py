"""The engine ray on a cluster of two nodes in this machine: the same parts, also when a worker is killed."""

from __future__ import annotations

import os
import signal
import time
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mien.analyzer import Options
from mien.batch import cluster, local
from mien.batch.listing import Chunk, chunks
from mien.batch.work import Job, part_name

pytestmark = [
    pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray of the extra scale"),
    pytest.mark.filterwarnings("ignore"),  # of Ray's own, which change with every release
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "180")
    import ray
    from ray.cluster_utils import Cluster

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        two = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 1, "include_dashboard": False, "object_store_memory": 100 << 20},
        )
        two.add_node(num_cpus=1, object_store_memory=100 << 20)
        ray.init(address=two.address, log_to_driver=False, configure_logging=False)
        yield two.address
        ray.shutdown()
        two.shutdown()  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number in range(60):
        Image.fromarray(np.full((32, 32, 3), 4 * number, np.uint8)).save(folder / f"{number}.png")
    (folder / "bad.png").write_bytes(b"no picture")
    return folder


def parts(folder: Path, found: list[Chunk]) -> list[bytes]:
    return [(folder / part_name(chunk.number)).read_bytes() for chunk in found]


@pytest.fixture(scope="module")
def undisturbed(tiny_bundle: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("local")
    job = Job(str(tiny_bundle), "abc", Options(detector="whole", threads=1), str(folder))
    found = list(chunks([str(photos)], 4, max_bytes=1 << 20))
    list(local.run(job, iter(found), 1))
    return job, found, parts(folder, found)


def test_two_nodes_make_what_one_process_makes(address: str, undisturbed: Any, tmp_path: Path) -> None:
    import ray

    assert len([node for node in ray.nodes() if node["Alive"]]) == 2  # type: ignore[no-untyped-call]
    job, found, expected = undisturbed
    there = Job(job.model, job.model_sha256, job.options, str(tmp_path))
    news = list(cluster.run_on(address, there, iter(found), 2))
    assert sorted(one.done[0] for one in news if one.done) == [chunk.number for chunk in found]
    assert sum(one.begun for one in news) == 61
    assert sum(one.done[1].failures["not_an_image"] for one in news if one.done) == 1
    assert parts(tmp_path, found) == expected


def test_nobody_is_asked_or_told_about_the_run(
    address: str, undisturbed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray Data's usage collector would ask Prometheus at once, from a thread that outlives the run."""
    asked: list[str] = []

    class Asked(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    with HTTPServer(("127.0.0.1", 0), Asked) as server:
        listening = Thread(target=server.serve_forever, daemon=True)
        listening.start()
        monkeypatch.setenv("RAY_PROMETHEUS_HOST", f"http://127.0.0.1:{server.server_port}")
        for name in cluster.QUIET:
            monkeypatch.delenv(name, raising=False)
        job, found, _ = undisturbed
        there = Job(job.model, job.model_sha256, job.options, str(tmp_path))
        list(cluster.run_on(address, there, iter(found), 2))
        time.sleep(1.0)
        server.shutdown()
        listening.join()
    assert not asked


def test_a_killed_worker_changes_nothing(address: str, undisturbed: Any, tmp_path: Path) -> None:
    job, found, expected = undisturbed
    there = Job(job.model, job.model_sha256, job.options, str(tmp_path))
    killed = Event()

    def kill() -> None:
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and not killed.is_set():
            if any(tmp_path.glob("part-*")):
                for process in Path("/proc").glob("[0-9]*/cmdline"):
                    try:
                        name = process.read_bytes()
                    except OSError:
                        continue
                    if name.startswith(b"ray::") and b"MapWorker" in name:
                        os.kill(int(process.parent.name), signal.SIGKILL)
                        killed.set()
                        return
            time.sleep(0.005)

    killer = Thread(target=kill)
    killer.start()
    list(cluster.run_on(address, there, iter(found), 1))
    killer.join()
    assert killed.is_set()
    assert parts(tmp_path, found) == expected
