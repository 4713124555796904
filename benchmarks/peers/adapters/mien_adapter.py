"""mien, as its README uses it: `mien.load(threads=1)`, then one call a photo."""

from __future__ import annotations

import argparse

from benchmarks.peers.adapters.protocol import Face, Peer, face, serve

import mien


def load(options: argparse.Namespace) -> Peer:
    """The model that ships, with its default detector or none."""
    limits = {"min_face": options.min_face} if options.min_face else {}
    analyzer = mien.load(threads=1, abstain=0.5, detector="whole" if options.whole else "mtcnn", **limits)

    def answer(path: str) -> list[Face]:
        return [
            face(
                (found.box.left, found.box.top, found.box.right, found.box.bottom),
                found.age.years,
                found.gender.label,
                found.gender.probability,
            )
            for found in analyzer(path).faces
        ]

    settings = f"threads=1, min_face={analyzer.options.min_face}"
    return Peer(answer, ("mien", "onnxruntime", "opencv-python-headless", "numpy"), settings)


if __name__ == "__main__":
    serve(load)
