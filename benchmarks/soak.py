"""A service under attack: honest clients beside hostile ones, for as long as is wished.

    python -m benchmarks.soak --seconds 600

First the honest clients alone, then with others that send all that once stopped the service: slow and endless bodies,
JSON of unknown keys, crowds to explain, answers that nobody reads, floods of connections, costly and fuzzed files. It
fails where an honest request fails but with 503 and Retry-After, where the 99th percentile of honest answers is more
than three times that of the quiet run, where memory passes the limit, or where /readyz is wrong or slow. All goes to
addresses of this machine alone: every client has one of its own (127.0.0.0/8, as Linux has it), as callers are told
apart by address.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import random
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from multiprocessing import Process
from pathlib import Path
from typing import Any

from benchmarks.service import photo
from PIL import Image

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
MEBIBYTE = 1 << 20
MOST_TIMES = 3.0
SLOWEST_READY = 5.0
Hostile = Callable[["Target", random.Random], Awaitable[None]]


@dataclass(slots=True)
class Target:
    """The service, seen from one address."""

    port: int
    address: str

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A connection from this address."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(self.address, 0))
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def post(self, path: str, body: bytes, kind: str = "image/jpeg", method: str = "POST") -> tuple[int, bytes]:
        """Status and head of the answer to a request."""
        async with self.connect() as (reader, writer):
            writer.write(head(path, len(body), kind, method) + body)
            with suppress(ConnectionError):
                await writer.drain()
            told = await reader.readuntil(b"\r\n\r\n")
            if found := re.search(rb"content-length: (\d+)", told.lower()):
                await reader.readexactly(int(found[1]))
            return int(told[9:12]), told


def head(path: str, length: int, kind: str = "image/jpeg", method: str = "POST") -> bytes:
    """The headers of a request."""
    return f"{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n".encode()


@dataclass(slots=True)
class Course:
    """What honest clients met with.

    Attributes:
        seconds: of each answer of 200.
        statuses: how often each came; "failed" for a connection that broke.
        bad: statuses that they should not have met with.
    """

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    bad: Counter[str] = field(default_factory=Counter)

    def percentile(self, share: float) -> float:
        """Seconds that a share of the answers took at most."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("inf")


async def honest(target: Target, body: bytes, course: Course) -> None:
    """Ask again and again, as told by Retry-After where the service is busy."""
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
        if status == 200:
            course.seconds.append(time.monotonic() - begun)
        elif status == 503 and (wait := re.search(rb"retry-after: (\d+)", told.lower())):
            await asyncio.sleep(int(wait[1]))
        else:
            course.bad[str(status)] += 1


async def slow_bodies(target: Target, chance: random.Random) -> None:
    """64 requests whose bodies come a few bytes a second."""

    async def one() -> None:
        async with target.connect() as (_, writer):
            writer.write(head("/v1/predict", 14_000))
            for _ in range(35):
                writer.write(bytes(400))
                await asyncio.sleep(1)

    await asyncio.gather(*(one() for _ in range(64)), return_exceptions=True)


async def mute(target: Target, chance: random.Random) -> None:
    """Ask for much and read nothing."""

    async def one() -> None:
        async with target.connect() as (reader, writer):
            reader._transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(head("/openapi.json", 0, method="GET") * 300)
            await asyncio.sleep(20)

    await asyncio.gather(*(one() for _ in range(30)), return_exceptions=True)


async def connections(target: Target, chance: random.Random) -> None:
    """Open connections and say nothing."""

    async def one() -> None:
        async with target.connect():
            await asyncio.sleep(5)

    await asyncio.gather(*(one() for _ in range(300)), return_exceptions=True)


async def unknown_keys(target: Target, chance: random.Random) -> None:
    """20 MiB of JSON that nobody has asked for."""
    await target.post("/v1/predict", UNKNOWN_KEYS, "application/json")


async def large_and_unfinished(target: Target, chance: random.Random) -> None:
    """30 bodies that take memory and then stop."""

    async def one() -> None:
        async with target.connect() as (_, writer):
            writer.write(head("/v1/predict", 20 * MEBIBYTE - 1) + bytes(19 * MEBIBYTE))
            await asyncio.sleep(20)

    await asyncio.gather(*(one() for _ in range(30)), return_exceptions=True)


async def crowds(target: Target, chance: random.Random) -> None:
    """40 wishes to explain a photo with many faces."""
    await asyncio.gather(*(target.post("/v1/explain", CROWD) for _ in range(40)), return_exceptions=True)


async def fuzzed(target: Target, chance: random.Random) -> None:
    """Photos with bytes changed."""
    data = bytearray(chance.choice(SEEDS))
    for _ in range(chance.randrange(1, 30)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    await target.post("/v1/predict", bytes(data), "application/octet-stream")


async def costly(target: Target, chance: random.Random) -> None:
    """Little files that take much time or memory to decode."""
    await target.post("/v1/predict", chance.choice(COSTLY)(), "application/octet-stream")


async def wrong_keys(target: Target, chance: random.Random) -> None:
    """Broken and odd requests one after the other."""
    for number in range(50):
        await target.post(f"/v1/{chance.choice(['predict', 'models', 'x' * 9000])}?k{number}=v", b"x" * 100, "a/b")


ATTACKS: dict[str, Hostile] = {
    "slow": slow_bodies,
    "mute": mute,
    "connections": connections,
    "json": unknown_keys,
    "unfinished": large_and_unfinished,
    "crowds": crowds,
    "fuzzed": fuzzed,
    "costly": costly,
    "odd": wrong_keys,
}


async def hostile(target: Target, names: list[str], seed: int, done: Counter[str]) -> None:
    """One attack after the other."""
    chance = random.Random(seed)
    while True:
        name = chance.choice(names)
        with suppress(ConnectionError, asyncio.IncompleteReadError, OSError, TimeoutError):
            async with asyncio.timeout(60):
                await ATTACKS[name](target, chance)
        done[name] += 1
        await asyncio.sleep(0.05)


def crowd() -> bytes:
    """A photo with 400 faces."""
    portrait = Image.open(EXAMPLES / "hopper.jpg").convert("RGB").resize((90, 100))
    whole = Image.new("RGB", (1800, 2000))
    for left in range(0, 1800, 90):
        for top in range(0, 2000, 100):
            whole.paste(portrait, (left, top))
    return encoded(whole, "JPEG", quality=85)


def encoded(picture: Image.Image, form: str, **options: Any) -> bytes:
    """A picture in a format."""
    stream = io.BytesIO()
    picture.save(stream, form, **options)
    return stream.getvalue()


def directory() -> bytes:
    """A TIFF whose directory has thousands of tags that point at one block."""
    block, tags = 60_000, 8_000
    start = 8 + 2 + 12 * (tags + 4) + 4
    basic = [(256, 4, 1, 8), (257, 4, 1, 8), (262, 3, 1, 1), (273, 4, 1, 8)]
    entries = basic + [(1000 + number, 7, block, start) for number in range(tags)]
    parts = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + parts + bytes(4) + bytes(block)


def scans() -> bytes:
    """A baseline JPEG with thousands of empty scans."""
    data = encoded(Image.new("RGB", (2000, 2000), (90, 90, 90)), "JPEG")
    at = data.index(b"\xff\xda")
    return data[:at] + data[at : at + 14] * 5_000 + data[at:]


CROWD = crowd()
UNKNOWN_KEYS = b'{"photos": []' + b',"kkkkk":0' * 1_900_000 + b"}"
SEEDS = [
    encoded(Image.open(EXAMPLES / "hopper.jpg").convert("RGB").resize((256, 300)), form)
    for form in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
]
COSTLY = [directory, scans]


class Watch:
    """Looks at the service: memory of all its processes, and whether it is ready."""

    def __init__(self, process: int, port: int) -> None:
        self._process = process
        self._target = Target(port, "127.0.0.250")
        self.memory = 0
        self.unready = 0
        self.slowest: dict[str, float] = {"/healthz": 0.0, "/readyz": 0.0}

    async def run(self) -> None:
        """Look twice a second."""
        while True:
            self.memory = max(self.memory, sum(map(resident, family(self._process))))
            for path in self.slowest:
                begun = time.monotonic()
                status = 0
                with suppress(ConnectionError, asyncio.IncompleteReadError, OSError):
                    status, _ = await self._target.post(path, b"", method="GET")
                self.slowest[path] = max(self.slowest[path], time.monotonic() - begun)
                self.unready += status != 200
            await asyncio.sleep(0.5)


def family(process: int) -> list[int]:
    """A process and those that it has started."""
    found = [process]
    for one in found:
        with suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                found.extend(map(int, (task / "children").read_text().split()))
    return found


def resident(process: int) -> int:
    """Bytes of memory of a process."""
    with suppress(OSError):
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


async def load(port: int, options: argparse.Namespace, names: list[str], seconds: float, watch: Watch) -> Course:
    """Let clients loose for a while."""
    course, body = Course(), photo()
    numbers = count(1)
    tasks = [
        asyncio.create_task(honest(Target(port, f"127.0.1.{next(numbers)}"), body, course))
        for _ in range(options.clients)
    ]
    tasks.append(asyncio.create_task(watch.run()))
    if names:  # in a process of its own: what it makes to send must not delay what is measured here
        attack = Process(target=attacking, args=(port, options.hostile, names, seconds), daemon=True)
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
    return course


def attacking(port: int, callers: int, names: list[str], seconds: float) -> None:
    """Hostile clients, for a while; the last thing they do is to say what they did."""

    async def all_of_them() -> None:
        done = Counter[str]()
        tasks = [
            asyncio.create_task(hostile(Target(port, f"127.0.2.{number + 1}"), names, number, done))
            for number in range(callers)
        ]
        await asyncio.sleep(seconds - 1)
        print("attacks:", dict(done), file=sys.stderr, flush=True)
        for task in tasks:
            task.cancel()

    asyncio.run(all_of_them())


async def measure(options: argparse.Namespace, process: int, port: int) -> dict[str, Any]:
    """Both runs."""
    watch = Watch(process, port)
    await load(port, options, [], min(5, options.quiet), watch)
    quiet = await load(port, options, [], options.quiet, watch)
    watch = Watch(process, port)
    names = [name for name in ATTACKS if name not in options.without]
    attacked = await load(port, options, names, options.seconds, watch)
    return {
        "quiet": {"p50": quiet.percentile(0.5), "p99": quiet.percentile(0.99), "statuses": dict(quiet.statuses)},
        "attacked": {
            "p50": attacked.percentile(0.5),
            "p99": attacked.percentile(0.99),
            "statuses": dict(attacked.statuses),
        },
        "times": attacked.percentile(0.99) / quiet.percentile(0.99),
        "rates": [len(quiet.seconds) / options.quiet, len(attacked.seconds) / options.seconds],
        "bad": dict(attacked.bad),
        "memory": watch.memory,
        "unready": watch.unready,
        "slowest": watch.slowest,
    }


def main() -> None:
    """Start a service, attack it, and say how it was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600, help="of the attack")
    parser.add_argument("--quiet", type=float, default=30, help="seconds of the run before it")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--hostile", type=int, default=8)
    parser.add_argument("--without", nargs="*", default=[], choices=sorted(ATTACKS), help="attacks to leave out")
    parser.add_argument("--memory", type=float, default=2048, help="MiB that the service may have in all")
    parser.add_argument("options", nargs="*", help="of mien serve, after --")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        command = [sys.executable, "-m", "mien", "serve", "--port", "0", "--log-level", "warning", *options.options]
        with log.open("wb") as stream, subprocess.Popen(command, stdout=stream, stderr=stream) as service:
            try:
                port = listening(service)
                found = asyncio.run(measure(options, service.pid, port))
            finally:
                service.send_signal(signal.SIGTERM)
        found["log"] = log.read_text()[-2000:]
    print(json.dumps(found, indent=1))
    faults = {
        "an honest request failed": bool(found["bad"]),
        "honest answers took too long": found["times"] > MOST_TIMES,
        "memory passed the limit": found["memory"] > options.memory * MEBIBYTE,
        "/readyz or /healthz was wrong": bool(found["unready"]),
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
