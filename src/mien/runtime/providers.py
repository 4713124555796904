"""Which part of ONNX Runtime runs the age network: its own CPU kernels, or OpenVINO's where that wheel is installed.

`onnxruntime-openvino` takes the place of `onnxruntime`, so the choice belongs to the environment and not to a photo:
the variable MIEN_PROVIDER makes it for every command. The detectors always run on the CPU kernels, since OpenVINO
compiles a network anew for each size of picture.
"""

from __future__ import annotations

import os

from mien.errors import ModelError, UsageError
from mien.runtime.sessions import CPU, Provider, available_providers

VARIABLE = "MIEN_PROVIDER"
NAMES = {"cpu": CPU, "openvino": "OpenVINOExecutionProvider"}


def providers(threads: int) -> list[Provider]:
    """The providers to open a network with.

    Args:
        threads: cores that one run may use.

    Raises:
        UsageError: MIEN_PROVIDER names none that mien knows.
        ModelError: it names one that this ONNX Runtime lacks.
    """
    name = os.environ.get(VARIABLE) or "cpu"
    if name not in NAMES:
        raise UsageError.unknown(VARIABLE, name, NAMES)
    if NAMES[name] not in available_providers():
        raise ModelError(
            f"{VARIABLE} is {name}, which this ONNX Runtime cannot run: in an environment of its own, "
            "`pip uninstall onnxruntime` and `pip install onnxruntime-openvino`"
        )
    if name == "openvino":
        return [(NAMES[name], {"device_type": "CPU", "num_of_threads": str(threads)}), NAMES["cpu"]]
    return [NAMES["cpu"]]
