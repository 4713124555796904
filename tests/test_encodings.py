"""The JSON of every kind of record, byte for byte as it was when each class still wrote it by hand (encodings.json)."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.age_check import AgeCheck, FaceCheck
from mien.batch.work import Tally
from mien.count.store import Count
from mien.estimate.age_check import AgeChecks, Rule
from mien.estimate.bundle import BundleConfig
from mien.estimate.calibrate import Band, Calibration
from mien.estimate.explain import Explanation, Region
from mien.explained import ExplainedPhoto
from mien.faces.align import CropContract
from mien.learn.audits.age_checks.age_check_audit import AgeCheckReport, Cell, Challenge, LimitReport
from mien.learn.audits.calibration.abstain import AbstainReport, AbstainRow
from mien.learn.audits.calibration.calibration_figures import (
    Ages,
    Bin,
    CalibrationGroup,
    Genders,
    Level,
    Selection,
    WidthComparison,
)
from mien.learn.audits.calibration.calibration_report import CalibrationReport
from mien.learn.audits.explanations.explanation_report import Curves, ExplanationReport, Faithfulness, Randomised
from mien.learn.audits.fairness.fairness_report import FairnessGroup, FairnessReport, Gap, Partition
from mien.learn.audits.robustness.robustness_report import Change, Figures, RobustnessReport, Shift
from mien.learn.baselines.baseline import PixelScale, Trial
from mien.learn.comparison.claims import SYSTEMS
from mien.learn.data.predictions import Predictions
from mien.learn.evaluation.evaluate import Report, Subset
from mien.learn.evaluation.home_and_abroad import Abroad, Entry
from mien.learn.evaluation.measuring import Evaluation
from mien.learn.evaluation.metrics import Interval
from mien.learn.evaluation.paired import Difference, PairedReport
from mien.learn.evaluation.through_detector import CropEffect, ThroughReport
from mien.results import Age, Box, Face, Failure, Gender, Photo, Quality
from mien.speed.roofline import Bench, Step
from mien.video.records import Seen, Track

KNOWN: dict[str, Any] = json.loads(Path(__file__).with_name("encodings.json").read_text(encoding="utf-8"))


def interval(value: float) -> Interval:
    return Interval(value, value - 0.1234567, value + 0.1234567)


def none(*_: object) -> Any:
    return None


AGE = Age(31.26, 30.0, 20.04, 44.449, 0.9, (0.12345678, 0.87654322))
GENDER = Gender(0.123456, 0.6)
QUALITY = Quality(23.456, 0.0123456, -12.34, ("small", "turned"))
FACE = Face(
    Box(10.26, 20, 40.04, 60.99), 0.98765, ((1.25, 2.34), (3.0, 4.0)), AGE, GENDER, QUALITY, "crops/hopper-1.png"
)
BARE = Face(Box(0, 0, 1, 1), None, None, AGE, Gender(0.5), Quality(1.0, 0.5, None))
PHOTO = Photo("a/Zoë.jpg", "mien-m", 640, 480, (FACE, BARE), None, 0.123456, 90, True, "seen/Zoë.png")
FAILED = Photo("b.jpg", "mien-m", error=Failure("truncated", "the file ends too early"))
REGIONS = (Region("eyes", 0.123456, -0.0123456, 31.26789), Region("mouth", 0.5, 0.5, 30))
WHY = Explanation("age", "cam", 31.26789, 31.1, np.array([[0.123456789, -2.0], [3, math.pi]]), True, 0.5, REGIONS)
GROUPS = ((0.5, 0.512345678), (0.9, 0.91))
CALIBRATION = Calibration(1.0123456789, 0.9, GROUPS, (Band(30.0, GROUPS),), ((0.9, 0.95),))
CONTRACT = CropContract(128, ((1.25, 2.0), (3.5, 4.0), (5.0, 6.0), (7.0, 8.0), (9.0, 10.123456789)))
FIGURES = {"mae": interval(4.56789123), "bias": Interval(math.nan, -math.inf, 0.5)}
REPORT = Report(
    "mien-m",
    {"listed": 3, "evaluated": 2},
    {"interval_level": 0.9, "point": "median"},
    {"all": Subset(3, 2, FIGURES, {})},
)
EMPTY = Report("mien-m", {}, {}, {})
THROUGH = ThroughReport(
    "mtcnn",
    4,
    ("a.png",),
    none(),
    {"all": CropEffect(4, *map(interval, (1.0, 2.0, 1.0)))},
    {"found": CropEffect(3, *map(interval, (0.9, 0.8, -0.1)))},
)
AGAINST = PairedReport(
    "old",
    "new",
    (
        Difference("all", "mae", 10, 4.123456789, 4.0, Interval(-0.123456789, -0.2, -0.1)),
        Difference("coral", "cs5", 5, 0.5, 0.6, interval(0.1)),
    ),
)
ANSWERS = Predictions(
    np.array(["a.png"]), np.full((1, 117), 1 / 117, np.float32), np.array([0.5], np.float32), missed=("b.png",)
)
BINS = (Bin(10, 0.5123456, interval(0.6)), Bin(5, 0.9, interval(1.0)))
SELECTION = Selection({0.5: interval(0.1), 1.0: interval(0.2)}, interval(0.15), 0.0123456789, 0.25)
BAND = CalibrationGroup("20-29", 12, interval(0.9), interval(14.0), interval(0.8))
FEW = CalibrationGroup("70+", 2)
WIDTH = WidthComparison(
    7.1234567, 100, interval(0.9), interval(0.8), interval(0.7), 6.1234567, interval(0.9), interval(0.95)
)
AGES = Ages(
    BAND,
    {"estimated age": (BAND, FEW)},
    (Level(0.123456789, interval(0.5), interval(10.0)),),
    WIDTH,
    interval(3.0),
    interval(4.0),
    (interval(0.1),),
    SELECTION,
)
GENDERS = Genders(20, {"ece": interval(0.01)}, BINS, {"female": BINS[0]}, SELECTION)
GROUP = FairnessGroup("Black, female", 50, 49, 48, FIGURES, 41.26, {"mae": interval(5.0)}, ("60+",))
GAP = Gap(interval(1.0), 0.123456789, "a", "b", "a", "b")
PARTITION = Partition((GROUP, FairnessGroup("none", 0, 0, 0, {})), {"mae": GAP}, {}, 3)
CELL = Cell(30, interval(0.5), interval(0.25), None)
RULE = Rule(18, 0.9123456789, 0.1)
LIMIT = LimitReport(RULE, {"below": CELL}, {"all": {17: CELL}}, (Challenge(25, 0.0123456789, 0.9),))
FAITH = Faithfulness("random 8x8", *map(interval, (0.1, -0.2, 0.3, -0.4, 0.5, 0.6)))
CURVES = Curves(np.array([0.0, 1.23456789]), np.array([2.0, 0.5]))

RECORDS: dict[str, Any] = {
    "box": FACE.box,
    "age": AGE,
    "gender": GENDER,
    "quality": QUALITY,
    "face": FACE,
    "bare face": BARE,
    "failure": FAILED.error,
    "photo": PHOTO,
    "failed photo": FAILED,
    "face check": FaceCheck("pass", 0.123456789, "old enough", FACE),
    "age check": AgeCheck(
        "unsure",
        "two faces",
        (FaceCheck("fail", 0.1, "too young", BARE),),
        PHOTO,
        {"min_age": 18, "pass_above": 0.912345678},
    ),
    "failed age check": AgeCheck("error", "the file ends too early", (), FAILED, {"min_age": 18}),
    "count": Count("shop.mp4", "offset", 3660, 60, "0-12", "female", 1),
    "tally": Tally(3, 2, Counter({"truncated": 1, "missing": 2})),
    "calibration": CALIBRATION,
    "identity": Calibration.identity(),
    "age checks": AgeChecks({18: {0.05: 0.9}}, {18: {0.05: 0.1}}, 0.95, {18: (10, 20)}, "val"),
    "contract": CONTRACT,
    "bundle": BundleConfig(
        "m", CONTRACT, "MIT", calibration=CALIBRATION, data=("UTKFace",), figures={"mae": 4.123456789}
    ),
    "plain bundle": BundleConfig("m", CONTRACT, "MIT"),
    "region": REGIONS[0],
    "explanation": WHY,
    "explained photo": ExplainedPhoto(PHOTO, (1,), np.zeros((1, 8, 8, 3), np.uint8), (WHY,)),
    "seen": Seen(3, FACE, AGE, GENDER),
    "track": Track(1, 2, 0.123456, 9, 1.23456, 5, AGE, GENDER, 0.123456),
    "bench": Bench(
        "mien-m",
        "mtcnn",
        2,
        1.2345e10,
        3,
        1,
        4,
        1.23456,
        20.98765,
        (Step("decode", 1.23456), Step("network", 2.34567, 1e7), Step("rnet", 0.0, 5e6, "network")),
    ),
    "interval": FIGURES["bias"],
    "report": REPORT,
    "evaluation": Evaluation(REPORT, ANSWERS, none(), THROUGH, AGAINST),
    "bare evaluation": Evaluation(EMPTY, ANSWERS, none()),
    "abroad": Abroad("mien-m", "mtcnn", (Entry("fold", "chips", "test", True, False, "a note", ("a.png",), REPORT),)),
    "through": THROUGH,
    "against": AGAINST,
    "trial": Trial(
        {"radius": 2, "points": (8, 16)}, PixelScale(1.23456789, 0.5, np.zeros(2, np.float32)), {"accuracy": 0.87654321}
    ),
    "robustness": RobustnessReport(
        "mien-m",
        10,
        1,
        {"level": 0.95, "resamples": 100},
        Figures(4.123456789, None),
        {"grey": (Figures(5.0, 0.9123456),)},
        {"grey": Change(interval(1.1), None), "all": Change(None, interval(0.01))},
        {"grey": Shift(-1.23456, 2.34567, 4)},
    ),
    "abstain": AbstainReport(
        "mien-m",
        0.6,
        {"all": (AbstainRow(0.55, 30, 3, 5, 2), AbstainRow(0.6, 30, 0, 5, 0), AbstainRow(0.9, 7, 7, 3, 3))},
    ),
    "calibration audit": CalibrationReport(
        "mien-m", {"listed": 3}, {"interval_level": 0.9, "constant_width": None}, AGES, GENDERS
    ),
    "empty calibration audit": CalibrationReport("mien-m", {}, {}, None, None),
    "genders": GENDERS,
    "fairness": FairnessReport("mien-m", {"listed": 3}, {"level": 0.95}, GROUP, {"race": PARTITION}),
    "age check audit": AgeCheckReport("mien-m", 100, {"max_false_pass": 0.05, "learned_from": "val"}, {18: LIMIT}),
    "explanation audit": ExplanationReport(
        "mien-m",
        "age",
        10,
        1,
        {"level": 0.95},
        interval(3.0),
        {"cam": CURVES},
        {"cam": FAITH},
        {"cam": Randomised(3, interval(0.1), interval(0.2))},
    ),
    "systems": SYSTEMS[0],
}


@pytest.mark.parametrize("name", RECORDS)
def test_records_are_encoded_as_ever(name: str) -> None:
    assert json.dumps(RECORDS[name].to_dict()) == json.dumps(KNOWN[name])


@pytest.mark.parametrize("name", ["age", "face", "photo"])
def test_distributions_are_told_when_asked_for(name: str) -> None:
    assert json.dumps(RECORDS[name].to_dict(pmf=True)) == json.dumps(KNOWN[f"{name} with pmf"])
