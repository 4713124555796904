"""An analyzer that was used, in processes that are forked afterwards, and pickled into others."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import mien
from mien.analyzer import Analyzer, Options
from mien.runtime.sessions import Session

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")

CHILD = """
import os, signal, sys, mien
photo, model, threads, detector, use = sys.argv[1:]
analyzer = mien.load(model, threads=int(threads), detector=detector)
want = analyzer(photo).to_dict(pmf=True)
list(analyzer.stream([photo] * 3))
child = os.fork()
if child == 0:
    signal.alarm(60)
    if use == "use":
        assert analyzer(photo).to_dict(pmf=True) == want
        assert [len(found.faces) for found in analyzer.stream([photo] * 3)] == [len(want["faces"])] * 3
        if os.fork() == 0:  # and once more
            assert analyzer(photo).to_dict(pmf=True) == want
            sys.exit(0)
        assert os.wait()[1] == 0
    sys.exit(0)
status = os.waitpid(child, 0)[1]
assert analyzer(photo).to_dict(pmf=True) == want
print(status)
"""


@pytest.mark.parametrize(("threads", "use"), [(1, "use"), (2, "use"), (3, "use"), (4, "use"), (8, "use"), (3, "leave")])
def test_a_forked_process_answers_and_ends(examples: Path, threads: int, use: str) -> None:
    arguments = [str(examples / "hopper.jpg"), "mien-s", str(threads), "mtcnn", use]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")


@pytest.mark.parametrize("detector", ["haar", "whole"])
def test_so_it_does_with_other_detectors(examples: Path, detector: str) -> None:
    arguments = [str(examples / "hopper.jpg"), "mien-s", "3", detector, "use"]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")


@pytest.fixture
def analyzer(tiny_bundle: Path) -> Analyzer:
    return Analyzer(tiny_bundle, Options(threads=2, level=0.8))


@pytest.mark.parametrize("detector", ["mtcnn", "haar", "whole"])
def test_an_analyzer_is_pickled_and_reopens_its_model(tiny_bundle: Path, examples: Path, detector: str) -> None:
    before = Analyzer(tiny_bundle, Options(detector=detector, level=0.8, threads=1))
    data = pickle.dumps(before)
    assert len(data) < 5000  # no weights in it
    after = pickle.loads(data)
    assert after.options == before.options
    assert after(examples / "hopper.jpg") == before(examples / "hopper.jpg")


def test_a_shipped_model_is_found_by_its_name_elsewhere() -> None:
    data = pickle.dumps(mien.load("mien-s", threads=1))
    assert b"mien-s" in data
    assert b"/models/mien-s" not in data
    assert pickle.loads(data).config.name == "mien-s"


def test_a_model_given_by_a_relative_path_is_found_from_another_folder(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_bundle.parent)
    data = pickle.dumps(Analyzer("./tiny", Options(threads=1)))
    monkeypatch.chdir(tmp_path)
    assert pickle.loads(data).config.name == "tiny"


def test_copies_share_the_network_and_deep_ones_do_not(analyzer: Analyzer) -> None:
    assert copy.copy(analyzer).estimator is analyzer.estimator
    assert copy.deepcopy(analyzer).estimator.session is not analyzer.estimator.session


def test_age_checkers_are_pickled_too(examples: Path) -> None:
    before = mien.AgeChecker(mien.load("mien-s", threads=1), min_age=21)
    after = pickle.loads(pickle.dumps(before))
    assert after(examples / "hopper.jpg").to_dict() == before(examples / "hopper.jpg").to_dict()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # from Python 3.12 on
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_an_analyzer_is_sent_to_a_process_of_any_kind(analyzer: Analyzer, examples: Path, method: str) -> None:
    photo = str(examples / "hopper.jpg")
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply_async(analyzer, (photo,)).get(timeout=100) == analyzer(photo)


def test_a_lost_model_is_told_when_it_is_needed_again(tmp_path: Path) -> None:
    opened: list[int] = []

    def opener() -> object:
        opened.append(1)
        if len(opened) > 1:
            raise mien.MienError("gone")
        return object()

    session = Session(opener)  # type: ignore[arg-type]
    session._abandon()
    with pytest.raises(mien.MienError, match="gone"):
        session.run(None, {})
