"""What every adapter does: reads files' names, answers them one by one, and prints JSON lines with times.

An adapter runs in its peer's own environment, so this module needs nothing but Python. `protocol.cjs` is the same for
Node. Names come on standard input, a line each. What is printed, a JSON object a line:

    {"ready": {"versions": {...}, "settings": "..."}}
    {"file": ..., "faces": [{"box": [left, top, right, bottom], "age": years, "gender": "female" or "male",
     "probability": of that gender}], "seconds": [wall, one a round], "processor": [seconds, likewise]}
    {"file": ..., "error": "..."}                  where the peer fails on that one photo
    {"done": {"peak_bytes": ...}}                  the most memory that was ever resident
    {"unusable": "..."}                            instead of everything else: why this peer cannot run
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

Face = dict[str, Any]


class Unusable(Exception):
    """The peer cannot run here; the sentence says why."""


class Peer:
    """A peer that is loaded.

    Args:
        answer: path of a photo -> its faces. Reading and decoding the file are part of it.
        packages: names of distributions whose versions matter.
        settings: what was set otherwise than by default, in words.
    """

    def __init__(self, answer: Callable[[str], list[Face]], packages: tuple[str, ...], settings: str) -> None:
        self.answer = answer
        self.about = {"versions": {name: version(name) for name in packages}, "settings": settings}


def face(box: tuple[float, ...], age: float, gender: str, probability: float) -> Face:
    """One face in the form that is printed."""
    return {"box": [round(float(edge), 1) for edge in box], "age": round(float(age), 2), "gender": gender,
            "probability": round(float(probability), 4)}  # fmt: skip


def serve(load: Callable[[argparse.Namespace], Peer]) -> None:
    """Load the peer, answer all files on standard input, and say what that took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--whole", action="store_true", help="each picture is one face: do not search for it")
    parser.add_argument("--warm-up", type=int, default=0, help="answers before the clock counts")
    parser.add_argument("--rounds", type=int, default=1, help="times that each file is answered")
    parser.add_argument("--models", help="a folder of model files")
    parser.add_argument(
        "--min-face", type=int, help="smallest face to look for, in pixels, where the tool has a choice"
    )
    options = parser.parse_args()
    files = sys.stdin.read().splitlines()
    try:
        peer = load(options)
    except Unusable as reason:
        say({"unusable": str(reason)})
        sys.exit(1)
    say({"ready": peer.about})
    for number in range(options.warm_up):
        attempt(peer, files[number % len(files)], 1)
    for file in files:
        say(attempt(peer, file, options.rounds))
    say({"done": {"peak_bytes": peak()}})


def attempt(peer: Peer, file: str, rounds: int) -> dict[str, Any]:
    """The faces of one photo, and the time of each round; or the error."""
    faces: list[Face] = []
    wall, processor = [], []
    try:
        for _ in range(rounds):
            start, work = time.perf_counter(), time.process_time()
            faces = peer.answer(file)
            wall.append(time.perf_counter() - start)
            processor.append(time.process_time() - work)
    except Exception as error:  # noqa: BLE001 - whatever a peer raises is a row
        return {"file": file, "error": f"{type(error).__name__}: {error}"}
    return {"file": file, "faces": faces, "seconds": wall, "processor": processor}


def peak() -> int:
    """Bytes that this process had resident at most; not `ru_maxrss`, which remembers the process that started it."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def say(record: dict[str, Any]) -> None:
    """One line of the answer."""
    print(json.dumps(record), flush=True)
