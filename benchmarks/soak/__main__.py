"""A service under attack: honest clients beside hostile ones, for as long as is wished.

    python -m benchmarks.soak --seconds 600

First the honest clients alone, then with others that send all that once stopped the service: slow and endless bodies,
JSON of unknown keys, crowds to explain, answers that nobody reads, floods of connections, costly and fuzzed files. Each
hostile client holds something (bodies, connections, answers) and sends something else meanwhile. Honest ones ask again
as soon as they have their answer, as those of `benchmarks/service.py` do, or after `--pause` seconds.

The service has the settings and the limit of memory of deploy/compose.yaml. It fails where an honest request fails but
with 503 and Retry-After, where a client gets no answer for long, where the 99th percentile of honest answers is more
than three times that of the quiet run, where all processes together have more memory than the limit, or where /readyz
is wrong or slow: it must say yes while honest requests are answered, and no when none was for longer than a photo may
take. All goes to addresses of this machine alone: every client has one of its own (127.0.0.0/8, as Linux has it), as
callers are told apart by address. Run it on an idle machine: the clients share its cores with the service.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from multiprocessing import Process
from pathlib import Path
from typing import Any

import yaml
from benchmarks.service import photo
from benchmarks.soak.attacks import HOLDING, SENDING, attacking
from benchmarks.soak.target import Target

ROOT = Path(__file__).resolve().parents[2]
MEBIBYTE = 1 << 20
MOST_TIMES = 3.0
SLOWEST_READY = 5.0
LONGEST_WITHOUT_ANSWER = 30.0
DECODE_SECONDS = 10.0
"""What a photo may take, by default."""


@dataclass(slots=True)
class Course:
    """What honest clients met with.

    Attributes:
        seconds: of each answer of 200.
        statuses: how often each came; "failed" for a connection that broke.
        bad: statuses that they should not have met with.
        last: when the last answer of 200 came, by the monotonic clock.
        longest: seconds that one client went without an answer of 200.
    """

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    bad: Counter[str] = field(default_factory=Counter)
    last: float = field(default_factory=time.monotonic)
    longest: float = 0.0

    def percentile(self, share: float) -> float:
        """Seconds that a share of the answers took at most."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("inf")


async def honest(target: Target, body: bytes, course: Course, pause: float) -> None:
    """Ask again and again, as told by Retry-After where the service is busy."""
    await asyncio.sleep(random.uniform(0, pause))
    answered = time.monotonic()
    while True:
        begun = time.monotonic()
        try:
            status, told = await target.post("/v1/predict", body)
        except (ConnectionError, asyncio.IncompleteReadError):
            course.statuses["failed"] += 1
            course.bad["failed"] += 1
            await asyncio.sleep(1)
            continue
        course.statuses[str(status)] += 1
        now = time.monotonic()
        course.longest = max(course.longest, now - answered)
        if status == 200:
            course.seconds.append(now - begun)
            course.last = now
            await asyncio.sleep(pause)
            answered = time.monotonic()
        elif status == 503 and (wait := re.search(rb"retry-after: (\d+)", told.lower())):
            await asyncio.sleep(int(wait[1]))
        else:
            course.bad[str(status)] += 1


class Watch:
    """Looks at the service: memory of all its processes, and whether it says rightly that it is ready."""

    def __init__(self, process: int, port: int, course: Course) -> None:
        self._process = process
        self._target = Target(port, "127.0.0.250")
        self._course = course
        self.memory = 0
        self.wrong: list[str] = []
        self.slowest: dict[str, float] = {"/healthz": 0.0, "/readyz": 0.0}

    async def run(self) -> None:
        """Look twice a second."""
        while True:
            self.memory = max(self.memory, sum(map(proportional, family(self._process))))
            for path in self.slowest:
                begun = time.monotonic()
                status = 0
                with suppress(ConnectionError, asyncio.IncompleteReadError, OSError):
                    status, _ = await self._target.post(path, b"", method="GET")
                self.slowest[path] = max(self.slowest[path], time.monotonic() - begun)
                self._judge(path, status, time.monotonic() - begun)
            await asyncio.sleep(0.5)

    def _judge(self, path: str, status: int, took: float) -> None:
        """An answer must tell how it was at some moment while it was on its way."""
        silence = time.monotonic() - self._course.last
        if path == "/healthz" or silence < DECODE_SECONDS:
            right = status == 200
        else:
            right = status == 503 or silence - took < 2 * DECODE_SECONDS
        if not right:
            self.wrong.append(f"{path} {status}, {silence:.1f} s after an honest answer")


def family(process: int) -> list[int]:
    """A process and those that it has started."""
    found = [process]
    for one in found:
        with suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                found.extend(map(int, (task / "children").read_text().split()))
    return found


def proportional(process: int) -> int:
    """Bytes of memory of a process; what it shares with others counts in parts, so that sums are true."""
    with suppress(OSError):
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        return next((int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:")), 0)
    return 0


@dataclass(slots=True)
class Service:
    """What is measured: where it listens, and its process."""

    port: int
    process: int


async def load(
    service: Service, options: argparse.Namespace, attacks: list[str], seconds: float
) -> tuple[Course, Watch]:
    """Let clients loose for a while."""
    course, body = Course(), photo()
    watch = Watch(service.process, service.port, course)
    numbers = count(1)
    tasks = [
        asyncio.create_task(honest(Target(service.port, f"127.0.1.{next(numbers)}"), body, course, options.pause))
        for _ in range(options.clients)
    ]
    tasks.append(asyncio.create_task(watch.run()))
    if attacks:  # in a process of its own: what it makes to send must not delay what is measured here
        attack = Process(target=attacking, args=(service.port, options.hostile, attacks, seconds), daemon=True)
        attack.start()
        await asyncio.sleep(seconds)
        attack.kill()
        attack.join()
    else:
        await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    for ended in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(ended, Exception):
            raise ended
    return course, watch


async def measure(options: argparse.Namespace, service: Service) -> dict[str, Any]:
    """Both runs."""
    await load(service, options, [], min(5, options.quiet))
    await asyncio.sleep(2)  # whoever has left is answered too
    quiet, _ = await load(service, options, [], options.quiet)
    names = options.only or [name for name in (*HOLDING, *SENDING) if name not in options.without]
    attacked, watch = await load(service, options, names, options.seconds)
    return {
        "quiet": told(quiet, options.quiet),
        "attacked": told(attacked, options.seconds),
        "times": attacked.percentile(0.99) / quiet.percentile(0.99),
        "bad": dict(attacked.bad + quiet.bad),
        "memory": watch.memory // MEBIBYTE,
        "wrong": watch.wrong[:20],
        "slowest": watch.slowest,
    }


def told(course: Course, seconds: float) -> dict[str, Any]:
    """What honest clients met with, in figures."""
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "longest": 1.0}
    return {
        **{name: round(course.percentile(share), 3) for name, share in shares.items()},
        "without_answer": round(course.longest, 3),
        "rate": round(len(course.seconds) / seconds, 1),
        "statuses": dict(course.statuses),
    }


def composed() -> tuple[dict[str, str], int]:
    """Environment and MiB of memory that deploy/compose.yaml gives the service."""
    service = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text(encoding="utf-8"))["services"]["mien"]
    return service["environment"], int(service["mem_limit"].removesuffix("g")) << 10


def main() -> None:
    """Start a service, attack it, and say how it was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600, help="of the attack")
    parser.add_argument("--quiet", type=float, default=60, help="seconds of the run before it")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--pause", type=float, default=0, help="seconds until an honest client asks again")
    parser.add_argument("--hostile", type=int, default=8)
    every = sorted({**HOLDING, **SENDING})
    parser.add_argument("--without", nargs="*", default=[], choices=every, help="attacks to leave out")
    parser.add_argument("--only", nargs="*", default=[], choices=every, help="the only attacks")
    parser.add_argument("options", nargs="*", help="of mien serve, after --")
    options = parser.parse_args()
    environment, limit = composed()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        command = [sys.executable, "-m", "mien", "serve", "--port", "0", "--log-level", "warning"]
        command += ["--memory", str(limit), *options.options]
        with (
            log.open("wb") as stream,
            subprocess.Popen(command, stdout=stream, stderr=stream, env=os.environ | environment) as service,
        ):
            try:
                found = asyncio.run(measure(options, Service(listening(service), service.pid)))
            finally:
                service.send_signal(signal.SIGTERM)
        found["log"] = log.read_text()[-2000:]
    print(json.dumps(found, indent=1))
    faults = {
        "an honest request failed": bool(found["bad"]),
        "a client waited too long for an answer": found["attacked"]["without_answer"] > LONGEST_WITHOUT_ANSWER,
        "honest answers took too long": found["times"] > MOST_TIMES,
        "memory passed the limit": found["memory"] > limit,
        "/readyz or /healthz was wrong": bool(found["wrong"]),
        "/readyz or /healthz was slow": max(found["slowest"].values()) > SLOWEST_READY,
        "the log tells of faults": "Traceback" in found["log"],
    }
    for fault, there in faults.items():
        if there:
            print(fault, file=sys.stderr)
    sys.exit(any(faults.values()))


def listening(service: subprocess.Popen[bytes]) -> int:
    """The port of a service once it answers: its log does not tell at this level."""
    while True:
        if service.poll() is not None:
            sys.exit("the service did not start")
        inodes = set()
        with suppress(OSError):
            inodes = {os.readlink(path) for path in Path(f"/proc/{service.pid}/fd").iterdir()}  # noqa: PTH115
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            row = line.split()
            if row[3] == "0A" and f"socket:[{row[9]}]" in inodes:
                return int(row[1].rpartition(":")[2], 16)
        time.sleep(0.1)


if __name__ == "__main__":
    main()
