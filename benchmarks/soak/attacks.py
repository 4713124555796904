"""What hostile clients do."""

from __future__ import annotations

import asyncio
import io
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.soak.target import Target, head
from PIL import Image
from tests.photos.costly_files import everything

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
MEBIBYTE = 1 << 20
Hostile = Callable[[Target, random.Random], Awaitable[None]]


def attacking(port: int, callers: int, names: list[str], seconds: float) -> None:
    """Hostile clients, for a while; the last thing they do is to say what they did."""
    ways = [{name: way for name, way in all_ways.items() if name in names} for all_ways in (HOLDING, SENDING)]

    async def all_of_them() -> None:
        done = Counter[str]()
        tasks = [
            asyncio.create_task(hostile(Target(port, f"127.0.2.{number + 1}"), way, random.Random(number), done))
            for number in range(callers)
            for way in ways
        ]
        await asyncio.sleep(seconds - 1)
        used = time.process_time()
        print(f"attacks: {dict(done)}, {used:.0f} s of processor", file=sys.stderr, flush=True)
        for task in tasks:
            task.cancel()

    asyncio.run(all_of_them())


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
            writer.write(head("/v1/predict", 20 * MEBIBYTE - 1))
            writer.write(ZEROS)
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
    await target.post("/v1/predict", chance.choice(COSTLY), "application/octet-stream")


async def heavy(target: Target, chance: random.Random) -> None:
    """Photos as large as they may be, of the kinds that take most."""
    await target.post("/v1/predict", chance.choice(HEAVY), "application/octet-stream")


async def odd(target: Target, chance: random.Random) -> None:
    """Broken and odd requests one after the other."""
    for number in range(50):
        await target.post(f"/v1/{chance.choice(['predict', 'models', 'x' * 9000])}?k{number}=v", b"x" * 100, "a/b")


HOLDING: dict[str, Hostile] = {
    "slow": slow_bodies,
    "mute": mute,
    "connections": connections,
    "unfinished": large_and_unfinished,
}
SENDING: dict[str, Hostile] = {
    "json": unknown_keys,
    "crowds": crowds,
    "fuzzed": fuzzed,
    "costly": costly,
    "heavy": heavy,
    "odd": odd,
}


async def hostile(target: Target, attacks: dict[str, Hostile], chance: random.Random, done: Counter[str]) -> None:
    """One attack after the other."""
    while attacks:
        name = chance.choice(list(attacks))
        with suppress(ConnectionError, asyncio.IncompleteReadError, OSError, TimeoutError):
            async with asyncio.timeout(60):
                await attacks[name](target, chance)
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


CROWD = crowd()
UNKNOWN_KEYS = b'{"photos": []' + b',"kkkkk":0' * 1_900_000 + b"}"
SEEDS = [
    encoded(Image.open(EXAMPLES / "hopper.jpg").convert("RGB").resize((256, 300)), form)
    for form in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
]
COSTLY = list(everything().values())
PLAIN = Image.new("RGB", (6000, 4000), (90, 90, 90))
HEAVY = [
    encoded(PLAIN, "WEBP", lossless=True, method=0, quality=0),
    encoded(PLAIN.convert("F"), "TIFF", compression="tiff_deflate"),
    encoded(PLAIN.convert("RGBA"), "PNG"),
    encoded(PLAIN, "JPEG", progressive=True),
]
ZEROS = bytes(19 * MEBIBYTE)
