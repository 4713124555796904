from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import ModelError, UsageError
from mien.estimate import bundle
from mien.estimate.age_check import AgeChecks, Rule, check_rate, old_enough

CHECKS = AgeChecks(
    passing={18: {0.01: 0.99, 0.05: 0.9}, 21: {0.01: 0.98}},
    failing={18: {0.01: 0.1, 0.05: 0.4}, 21: {0.01: 0.2}},
    confidence=0.9,
    faces={18: (700, 900), 21: (800, 1000)},
    source="faces of the test",
)


def test_the_strictest_kept_rate_that_is_not_above_the_wanted_one_counts() -> None:
    assert CHECKS.rule(18, 0.01, 0.01) == Rule(18, 0.99, 0.1)
    assert CHECKS.rule(18, 0.049, 0.05) == Rule(18, 0.99, 0.4)
    assert CHECKS.rule(18, 0.3, 0.02) == Rule(18, 0.9, 0.1)


@pytest.mark.parametrize(
    ("limit", "rate", "says"),
    [
        (40, 0.01, "learned the limits 18 to 21"),
        (18, 0.001, "its data warrants 1 % at least"),
        (18, 0.0, "above 0 and at most 0.5"),
        (18, 0.7, "above 0 and at most 0.5"),
    ],
)
def test_what_was_not_learned_is_refused(limit: int, rate: float, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        CHECKS.rule(limit, rate, 0.01)


def test_a_face_cannot_pass_and_fail() -> None:
    overlapping = AgeChecks({9: {0.01: 0.3}}, {9: {0.01: 0.6}}, 0.9, {9: (100, 100)}, "")
    rule = overlapping.rule(9, 0.01, 0.01)
    assert rule.fail_below <= rule.pass_above
    assert [rule(p) for p in (0.2, 0.3, 0.4)] == ["fail", "unsure", "pass"]


@settings(derandomize=True, deadline=None)
@given(st.integers(0, 130), st.integers(0, 116))
def test_a_certain_age_is_old_enough_or_not(limit: int, age: int) -> None:
    assert old_enough(np.eye(117)[[age]], limit)[0] == float(age >= limit)


def test_through_a_file_and_back(tmp_path: Path) -> None:
    bundle.write_age_checks(tmp_path, CHECKS)
    text = (tmp_path / bundle.AGE_CHECKS).read_text(encoding="utf-8")
    assert AgeChecks.from_dict(json.loads(text)) == CHECKS
    assert sum(line.startswith('  "') for line in text.splitlines()) == 2  # a line for each limit


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"limits": [], "confidence": 0.9, "source": ""},
        {
            "limits": {"18": {"pass_above": {"0.01": 2}, "fail_below": {}, "faces": [1, 1]}},
            "confidence": 1,
            "source": "",
        },
        {"limits": {"18": {"pass_above": {}, "fail_below": {}, "faces": [1]}}, "confidence": 1, "source": ""},
        {"limits": {}, "confidence": "much", "source": ""},
    ],
)
def test_a_malformed_record_is_refused(record: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="age checks of the model are malformed"):
        AgeChecks.from_dict(record)


def test_a_model_without_checks_names_the_command(tiny_bundle: Path) -> None:
    with pytest.raises(ModelError, match="run mien calibrate"):
        bundle.read(tiny_bundle).age_checks()
    with pytest.raises(ModelError, match="run mien calibrate"):
        bundle.read(tiny_bundle).calibration()


def test_the_shipped_model_warrants_one_percent_at_the_usual_limits() -> None:
    checks = bundle.read(bundle.find("mien-m")).age_checks()
    for limit in (13, 16, 18, 21):
        strict, lax = checks.rule(limit, 0.01, 0.01), checks.rule(limit, 0.1, 0.1)
        assert 0.5 < lax.pass_above < strict.pass_above < 1
        assert 0 < strict.fail_below <= lax.fail_below


def test_a_rate_between_0_and_a_half_will_do() -> None:
    check_rate("rate", 0.5)
    with pytest.raises(UsageError, match="my rate"):
        check_rate("my rate", -1)
