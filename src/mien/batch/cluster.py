"""The engine of many machines: the same chunks and parts, handed out by Ray Data to actors that hold the model.

Sources and output must lie where every machine sees them under the same path.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from mien.batch.listing import Chunk
from mien.batch.local import Progress
from mien.batch.work import Job, Tally, Worker
from mien.errors import MienError, MissingExtra, UsageError

QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DATA_USAGE_DISABLED": "1"}
"""Unless told not to, Ray reports to its makers how it is used, and Ray Data asks localhost:9090 about the cluster
every ten seconds until the process ends. What the user's environment says goes before."""


class Maker:
    """One actor: loads the model once, and makes parts."""

    def __init__(self, job: Job, cwd: str) -> None:
        os.chdir(cwd)  # relative sources start from there
        self._worker = Worker(job)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Tallies of the chunks whose parts were made.

        Args:
            batch: "chunk": their lines of the listing.

        Returns:
            "number", "photos", "faces" and "failures" of each.
        """
        done: dict[str, list[Any]] = {"number": [], "photos": [], "faces": [], "failures": []}
        for line in batch["chunk"]:
            chunk = Chunk.from_json(str(line))
            tally = self._worker.make(chunk)
            done["number"].append(chunk.number)
            done["photos"].append(tally.photos)
            done["faces"].append(tally.faces)
            done["failures"].append(" ".join(tally.failures.elements()))
        return done


def run_on(address: str | None, job: Job, chunks: Iterator[Chunk], processes: int) -> Generator[Progress]:
    """Make the parts of chunks on a Ray cluster.

    Args:
        address: of the cluster; None for one of this machine, started and ended with the run.
        job: what to do.
        chunks: those whose parts are missing.
        processes: actors, each with one core; 0 for one for each core of the cluster.

    Yields:
        News after each part.

    Raises:
        MissingExtra: Ray is not installed.
        UsageError: there is no cluster at the address.
        MienError: the actors cannot do it, say why.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtra.named("the engine ray", "scale") from error
    ours = not ray.is_initialized()
    if ours:
        try:
            ray.init(address=address, log_to_driver=False, include_dashboard=False, configure_logging=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise UsageError(f"no Ray cluster answers at {address}: {error}") from error
    try:
        lines = [{"chunk": chunk.to_json()} for chunk in chunks]
        if not lines:
            return
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        made = ray.data.from_items(lines, override_num_blocks=len(lines)).map_batches(
            Maker,
            batch_size=1,
            fn_constructor_args=(job, str(Path.cwd())),
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=processes or max(1, _cores(ray))),
            num_cpus=1,
        )
        for row in _rows(made):
            tally = Tally(int(row["photos"]), int(row["faces"]), Counter(str(row["failures"]).split()))
            yield Progress(begun=tally.photos, done=(int(row["number"]), tally))
    finally:
        if ours:
            ray.shutdown()


def _rows(made: Any) -> Iterator[dict[str, Any]]:
    """The answers of the actors; their faults in mien's words."""
    from ray.exceptions import RayError

    try:
        yield from made.iter_rows()
    except RayError as error:
        cause = getattr(error, "cause", None)
        raise (cause if isinstance(cause, MienError) else MienError(f"the Ray cluster failed: {error}")) from error


def _cores(ray: Any) -> int:
    return int(ray.cluster_resources().get("CPU", 1))
