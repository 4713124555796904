"""Cameras that are lost, fall silent, send noise or come back."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from mien.cli import app
from mien.errors import UsageError, VideoError
from mien.video import camera as room
from mien.video.camera import Camera
from mien.video.frames import Frame


@pytest.fixture(scope="module")
def cameras() -> ModuleType:
    spec = importlib.util.spec_from_file_location("cameras", Path(__file__).with_name("cameras.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "SILENCE", 1.0)
    monkeypatch.setattr(room, "SHORTEST_PAUSE", 0.05)
    monkeypatch.setattr(room, "TICK", 0.05)


def watch(camera: Camera) -> list[Frame]:
    with camera:
        return list(camera)


def test_a_connection_that_ends_is_a_lost_camera(cameras: Any) -> None:
    with cameras.NetworkCamera(cameras.numbered(8)) as sender:
        camera = Camera(sender.address)
        frames = watch(camera)
    assert cameras.number_of(frames[-1].pixels) == 7
    assert frames[-1].index == 7
    assert camera.shortfall is not None
    assert "gives no more frames" in camera.shortfall
    assert "secret" not in camera.shortfall


def test_a_camera_that_falls_silent_is_lost(cameras: Any) -> None:
    with cameras.NetworkCamera(cameras.numbered(8), stall_after=5) as sender:
        camera = Camera(sender.address)
        begun = time.monotonic()
        frames = watch(camera)
    assert cameras.number_of(frames[-1].pixels) == 4
    assert time.monotonic() - begun < 5
    assert camera.shortfall is not None


@pytest.mark.parametrize("fault", ["noise", "cut", "empty"])
def test_bad_frames_are_passed_over_and_counted(cameras: Any, fault: str) -> None:
    bad = dict.fromkeys((4, 5, 6), fault)
    with cameras.NetworkCamera(cameras.numbered(14), bad=bad, pause=0.06) as sender:
        camera = Camera(sender.address, max_frames=14)
        frames = watch(camera)
    seen = [cameras.number_of(frame.pixels) for frame in frames]
    assert not set(seen) & set(bad)
    assert max(seen) == 13
    assert len(seen) >= 8  # where the machine is busy, some are dropped since a newer one is there
    assert [frame.index for frame in frames] == seen  # those that were lost count
    assert camera.lost == 3
    assert camera.shortfall is None


@pytest.mark.parametrize(
    ("how", "code", "told"),
    [
        ({}, 3, "gives no more frames"),
        ({"stall_after": 8}, 3, "gives no more frames"),
        ({"bad": {3: "noise", 5: "empty"}, "stall_after": 8}, 3, "gives no more frames"),
        ({"bad": {3: "noise", 4: "cut", 5: "empty"}}, 0, "3 frames of"),
    ],
    ids=["drop", "stall", "corrupt and stall", "corrupt"],
)
def test_the_exit_code_says_what_became_of_a_camera(
    cameras: Any, tiny_bundle: Path, *, how: dict[str, Any], code: int, told: str
) -> None:
    with cameras.NetworkCamera(cameras.numbered(12), pause=0.06, **how) as sender:
        fixed = ["video", "--camera", sender.address, "--model", str(tiny_bundle), "--threads", "1", "--max-frames"]
        done = CliRunner().invoke(app, [*fixed, "12" if code == 0 else "40"])
    assert done.exit_code == code, done.output
    assert told in done.stderr
    assert "secret" not in done.stderr


def test_being_told_to_stop_is_no_loss(cameras: Any) -> None:
    with cameras.NetworkCamera(cameras.numbered(30), stall_after=20) as sender, Camera(sender.address) as camera:
        for frame in camera:
            if frame.index >= 3:
                camera.stop()
        assert camera.shortfall is None


def test_a_silent_camera_can_be_stopped_at_once(cameras: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "SILENCE", 20.0)
    with cameras.NetworkCamera(cameras.numbered(12), stall_after=10) as sender:
        camera = Camera(sender.address)
        threading.Timer(0.5, camera.stop).start()
        begun = time.monotonic()
        watch(camera)
        assert time.monotonic() - begun < 6
    assert camera.shortfall is None


@pytest.mark.parametrize("with_command", [True, False])
def test_a_process_ends_well_while_a_camera_is_silent(cameras: Any, tiny_bundle: Path, *, with_command: bool) -> None:
    """Inside of OpenCV the thread that reads cannot be broken off; ending there would abort the process."""
    script = (
        "import sys, mien.video.camera as room\n"
        "room.SILENCE = 3.0\n"
        "frames = iter(room.Camera(sys.argv[1]))\n"
        "print(next(frames).index, flush=True)\n"
    )
    ours = ["-c", script]
    theirs = ["-m", "mien", "video", "--model", str(tiny_bundle), "--threads", "1", "--camera"]
    with cameras.NetworkCamera([np.full((64, 64, 3), 99, np.uint8)] * 12, stall_after=10) as sender:
        command = [sys.executable, *(theirs if with_command else ours), sender.address]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
            if with_command:
                while not sender.silent.wait(0.1):
                    pass
                time.sleep(0.5)
                begun = time.monotonic()
                running.send_signal(signal.SIGINT)
            errors = running.communicate(timeout=60)[1]
    if with_command:
        assert time.monotonic() - begun < 8
        assert running.returncode == 130
        assert errors == b"mien: interrupted: what was read until then is written\n"
    else:
        assert (running.returncode, b"terminate" in errors) == (0, False)


def test_a_lost_camera_is_reached_again(cameras: Any) -> None:
    with cameras.NetworkCamera(cameras.numbered(5)) as sender:
        camera = Camera(sender.address, reconnect=20)
        frames: list[Frame] = []
        with camera:
            for frame in camera:
                frames.append(frame)
                if camera.reconnected == 2 and not frame.blank:
                    camera.stop()
    assert camera.reconnected == 2
    assert sender.connections >= 3
    assert camera.shortfall is None
    seconds = [frame.seconds for frame in frames]
    assert seconds == sorted(set(seconds))
    assert any(frame.blank for frame in frames)
    indices = [frame.index for frame in frames if not frame.blank]
    assert indices == sorted(set(indices))
    assert indices[-1] >= 10


def test_patience_has_an_end(cameras: Any) -> None:
    with cameras.NetworkCamera(cameras.numbered(5), most=1) as sender:
        camera = Camera(sender.address, reconnect=0.6)
        frames = watch(camera)
    assert frames[-1].blank
    assert camera.shortfall is not None
    assert "could not be reached again within 0.6 seconds" in camera.shortfall
    assert sender.connections > 2  # the pauses grow, and there was more than one try


def test_a_camera_may_come_later(cameras: Any) -> None:
    with cameras.NetworkCamera(cameras.numbered(5)) as sender:
        address, port = sender.address, sender.port
    with pytest.raises(VideoError, match="does not open"):
        Camera(address)
    later: list[Any] = []
    timer = threading.Timer(0.3, lambda: later.append(cameras.NetworkCamera(cameras.numbered(5), port=port)))
    timer.start()
    camera = Camera(address, reconnect=20, max_frames=3)
    assert [frame.index for frame in watch(camera)][-1] == 2
    timer.join()
    later[0].__exit__()


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf")])
def test_impossible_patience(wrong: float) -> None:
    with pytest.raises(UsageError, match="must be 0 or more"):
        Camera(0, reconnect=wrong)
