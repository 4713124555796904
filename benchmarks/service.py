"""Load on `mien serve`: answers a second, their times and the memory, with and without batches across requests.

Needs wrk (Debian's package of that name) and the extra serve. Run it on an idle machine:

    .venv/bin/python benchmarks/service.py

Clients send a 640x480 JPEG with one face, made from a portrait of examples/, over and over. The baseline is the same
service answering one request after the other, each with all cores for the network; the load is the same.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from PIL import Image

import mien
from mien.runtime.cores import physical_cores

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
WARM_UP = 8

SCRIPT = """
local body = io.open("{body}", "rb"):read("*a")
wrk.method = "POST"
wrk.path = "/v1/predict"
wrk.body = body
wrk.headers["Content-Type"] = "multipart/form-data; boundary=x"
local threads = {{}}
function setup(thread) table.insert(threads, thread) end
function init(args) statuses = {{}} end
function response(status, headers, body)
   local key = tostring(status)
   statuses[key] = (statuses[key] or 0) + 1
end
function done(summary, latency, requests)
   local all = {{}}
   for _, thread in ipairs(threads) do
      for key, count in pairs(thread:get("statuses")) do all[key] = (all[key] or 0) + count end
   end
   local parts = {{}}
   for key, count in pairs(all) do table.insert(parts, string.format('"%s": %d', key, count)) end
   io.write(string.format('FIGURES {{"statuses": {{%s}}, "seconds": %.3f, "p50": %.4f, "p99": %.4f, ' ..
      '"longest": %.4f, ' ..
      '"errors": %d}}\\n', table.concat(parts, ", "), summary.duration / 1e6, latency:percentile(50) / 1e6,
      latency:percentile(99) / 1e6, latency.max / 1e6,
      summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
"""


def main() -> None:
    """Measure both ways of working and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--format", choices=("table", "json"), default="table")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt-get install wrk")
    cores = physical_cores()
    ways = {
        "batches across requests": [],
        "one request after the other": ["--workers", "1", "--max-batch", "1", "--threads", str(cores)],
    }
    figures: dict[str, Any] = {
        "version": mien.__version__,
        "date": time.strftime("%Y-%m-%d"),
        "machine": platform.processor() or platform.machine(),
        "cores": cores,
        "clients": options.clients,
        "ways": {name: measure(arguments, options.clients, options.seconds) for name, arguments in ways.items()},
    }
    print(json.dumps(figures, indent=1) if options.format == "json" else table(figures))


def measure(arguments: list[str], clients: int, seconds: int) -> dict[str, Any]:
    """One run: a fresh service, a warm-up, then the load."""
    with tempfile.TemporaryDirectory() as folder:
        body, script, log = (Path(folder) / name for name in ("body", "load.lua", "log"))
        body.write_bytes(
            b'--x\r\nContent-Disposition: form-data; name="photos"; filename="a.jpg"\r\n\r\n'
            + photo()
            + b"\r\n--x--\r\n"
        )
        script.write_text(SCRIPT.format(body=body))
        command = [sys.executable, "-m", "mien", "serve", "--port", "0", *arguments]
        with log.open("wb") as stream, subprocess.Popen(command, stdout=stream, stderr=stream) as service:
            try:
                address = wait_for(log, service)
                load(script, address, clients, WARM_UP)
                time.sleep(3)  # for what the warm-up has left
                watched = Memory(service.pid)
                found = load(script, address, clients, seconds)
                found["memory"] = watched.stop()
            finally:
                service.send_signal(signal.SIGTERM)
    found["rate"] = found["statuses"].get("200", 0) / found["seconds"]
    return found


def photo() -> bytes:
    """A 640x480 JPEG with one face."""
    portrait = Image.open(EXAMPLES / "hopper.jpg").convert("RGB")
    portrait.thumbnail((480, 480))
    scene = Image.new("RGB", (640, 480), (90, 96, 104))
    scene.paste(portrait, (160, 0))
    stream = io.BytesIO()
    scene.save(stream, "JPEG", quality=90)
    return stream.getvalue()


def wait_for(log: Path, service: subprocess.Popen[bytes]) -> str:
    """The address of a service once it is ready."""
    while not (found := re.search(r"listens at (http://\S+)", log.read_text())):
        if service.poll() is not None:
            sys.exit(log.read_text())
        time.sleep(0.1)
    return found[1]


def load(script: Path, address: str, clients: int, seconds: int) -> dict[str, Any]:
    """Let wrk send requests for a while."""
    ended = subprocess.run(
        ["wrk", "-t", "1", "-c", str(clients), "-d", f"{seconds}s", "--timeout", "60s", "-s", str(script), address],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(ended.stdout.split("FIGURES ", 1)[1].splitlines()[0])
    return found


class Memory:
    """Watches the resident memory of a process."""

    def __init__(self, process: int) -> None:
        self._file = Path(f"/proc/{process}/statm")
        self._seen: list[float] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._done.wait(0.5):
            self._seen.append(int(self._file.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6)

    def stop(self) -> dict[str, float]:
        """Megabytes: means of the first and last tenth of the time, and the most."""
        self._done.set()
        self._thread.join()
        tenth = max(1, len(self._seen) // 10)
        return {
            "start": sum(self._seen[:tenth]) / tenth,
            "end": sum(self._seen[-tenth:]) / tenth,
            "most": max(self._seen),
        }


def table(figures: dict[str, Any]) -> str:
    """The figures as Markdown."""
    lines = [
        f"mien {figures['version']}, {figures['clients']} clients on {figures['cores']} cores, {figures['date']}",
        "",
        "| way of working | answers/s | ratio | p50 s | p99 s | longest s | statuses | memory MB: start, end, most |",
        "|---|---:|---:|---:|---:|---:|---|---|",
    ]
    baseline = figures["ways"]["one request after the other"]["rate"] or float("nan")
    for name, one in figures["ways"].items():
        statuses = ", ".join(f"{count} x {status}" for status, count in sorted(one["statuses"].items()))
        broken = f", {one['errors']} broken" if one["errors"] else ""
        memory = ", ".join(f"{one['memory'][key]:.0f}" for key in ("start", "end", "most"))
        lines.append(
            f"| {name} | {one['rate']:.1f} | {one['rate'] / baseline:.2f} | {one['p50']:.2f} | {one['p99']:.2f} | "
            f"{one['longest']:.2f} | {statuses}{broken} | {memory} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
