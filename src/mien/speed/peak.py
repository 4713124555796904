"""The most arithmetic this machine does a second, measured: the roof that the networks' rates are held against."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from mien.errors import MienError

_SIDE = 1024
_PROGRAM = f"""
import json, time
import numpy as np
matrix = np.random.default_rng(0).standard_normal(({_SIDE}, {_SIDE}), dtype=np.float32)
matrix @ matrix
seconds = []
while len(seconds) < 10 or (sum(seconds) < 1 and len(seconds) < 200):
    start = time.perf_counter()
    matrix @ matrix
    seconds.append(time.perf_counter() - start)
print(json.dumps(min(seconds)))
"""
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def matrix_rate(threads: int) -> float:
    """Multiply-adds a second of a float32 product of two matrices of a thousand rows, at best of many.

    It runs in a process of its own, since NumPy's library must know its threads before it starts.

    Args:
        threads: cores to use.

    Raises:
        MienError: the process failed.
    """
    environment = {**os.environ, **dict.fromkeys(_THREADS, str(threads))}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], check=False, capture_output=True, text=True, env=environment
    )
    if done.returncode:
        raise MienError(f"the machine's rate could not be measured: {done.stderr.strip().splitlines()[-1:]}")
    seconds: float = json.loads(done.stdout)
    return _SIDE**3 / seconds
