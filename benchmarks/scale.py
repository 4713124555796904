"""What a billion photos take on a given cluster, computed from the rates that `benchmarks/batch.py` measured.

    .venv/bin/python benchmarks/batch.py --json batch.json
    .venv/bin/python benchmarks/scale.py batch.json --machines 1,10,100 --cores 16 --price 0.04

Chunks share nothing, so the rate of a core is taken times the number of cores; cores beside each other, as measured,
already share their memory and its bus. What grows with the cluster and is not in the rates is printed beside: the bytes
a second that the store of the photos must give out, and what is written.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOUR = 3600.0


@dataclass(frozen=True)
class Need:
    """What a number of photos takes.

    Attributes:
        hours: of wall time.
        core_hours: of all cores together.
        price: in whatever unit the price of a core's hour has.
        read: bytes a second from the store of the photos, all machines together.
        written: bytes of Parquet.
    """

    hours: float
    core_hours: float
    price: float
    read: float
    written: float


def need(run: dict[str, Any], *, photos: float, cores: int, price: float, size: float | None = None) -> Need:
    """Compute it.

    Args:
        run: one entry of the benchmark's "runs".
        photos: how many there are to do.
        cores: of the cluster.
        price: of one core for an hour.
        size: bytes of a photo; None for the benchmark's.

    >>> run = {"rate": 50.0, "processes": 2, "bytes_read": 1e5, "bytes_written": 100.0}
    >>> need(run, photos=9e6, cores=10, price=0.5)
    Need(hours=10.0, core_hours=100.0, price=50.0, read=25000000.0, written=900000000.0)
    """
    rate = run["rate"] / run["processes"] * cores
    hours = photos / rate / HOUR
    each = run["bytes_read"] if size is None else size
    return Need(hours, hours * cores, hours * cores * price, rate * each, photos * run["bytes_written"])


def main() -> None:
    """Read the rates and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rates", type=Path, help="what `benchmarks/batch.py --json` wrote")
    parser.add_argument("--photos", type=float, default=1e9)
    parser.add_argument("--machines", default="1,10,100", help="numbers of machines, by commas")
    parser.add_argument("--cores", type=int, default=16, help="of a machine; physical ones")
    parser.add_argument("--price", type=float, default=0.04, help="of one core for an hour")
    parser.add_argument("--megabytes", type=float, help="of a photo; without it the benchmark's own")
    options = parser.parse_args()
    rates = json.loads(options.rates.read_text(encoding="utf-8"))
    size = None if options.megabytes is None else options.megabytes * 1e6
    print(
        f"{options.photos:,.0f} photos; rates of mien {rates['version']}, {rates['date']}, on {rates['cores']} cores; "
        f"machines of {options.cores} cores, {options.price:g} a core and hour\n"
    )
    print("| photos | machines | photos a second | days | core hours | price | to be read, MB/s | to be written, GB |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for name, run in rates["runs"].items():
        if run["failed"] or run["processes"] < rates["cores"]:
            continue  # runs that were there for another comparison
        for machines in map(int, options.machines.split(",")):
            cores = machines * options.cores
            found = need(run, photos=options.photos, cores=cores, price=options.price, size=size)
            cells = (
                f"{options.photos / found.hours / HOUR:,.0f}",
                f"{found.hours / 24:,.1f}",
                f"{found.core_hours:,.0f}",
                f"{found.price:,.0f}",
                f"{found.read / 1e6:,.0f}",
                f"{found.written / 1e9:,.0f}",
            )
            print(f"| {name} | {machines} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
