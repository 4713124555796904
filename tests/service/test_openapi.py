"""schemathesis against the service's own description: whatever is sent, the answers are as described."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.service.test_server import Service

pytestmark = pytest.mark.skipif(find_spec("schemathesis") is None, reason="needs the extra dev")

HERE = Path(__file__).parent


def test_schemathesis_finds_nothing_wrong(tiny_bundle: Path, tmp_path: Path) -> None:
    service = Service(tiny_bundle, tmp_path / "serve", "--log-level", "info")
    try:
        ended = subprocess.run(
            [
                *(
                    str(Path(sys.executable).with_name("schemathesis")),
                    "--config-file",
                    str(HERE / "schemathesis.toml"),
                ),
                *("run", f"http://127.0.0.1:{service.port}/openapi.json"),
                *("--max-examples", "25", "--seed", "1", "--no-color"),
            ],
            env={**os.environ, "SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(HERE)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout[-6000:] + ended.stderr[-2000:]
        assert "7 selected / 7 total" in ended.stdout
        assert service.healthy()
    finally:
        service.stop()
