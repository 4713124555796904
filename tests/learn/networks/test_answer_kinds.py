import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mien.estimate.calibrate import AGES
from mien.learn.networks.answer_kinds import CLASSES, age_pmf, female_probability

YEARS = torch.arange(AGES).float()


@given(st.floats(-30, 160, width=32))
def test_years_become_a_distribution_whose_expectation_they_are(years: float) -> None:
    pmf = age_pmf(torch.tensor([years]), "years")
    assert pmf.sum().item() == pytest.approx(1, abs=1e-5)
    assert (pmf @ YEARS).item() == pytest.approx(min(max(years, 0), AGES - 1), abs=1e-3)
    assert (pmf > 0).sum() <= 2


def test_a_class_spreads_evenly_over_its_years() -> None:
    logits = torch.full((3, CLASSES), -100.0)
    logits[0, 0] = logits[1, 6] = logits[2, 23] = 100.0
    pmf = age_pmf(logits, "classes")
    assert torch.allclose(pmf[0, :5], torch.full((5,), 0.2))
    assert torch.allclose(pmf[1, 30:35], torch.full((5,), 0.2))
    assert torch.allclose(pmf[2, 115:], torch.full((2,), 0.5)), "the last class holds 115 and 116 only"
    assert torch.allclose(pmf.sum(1), torch.ones(3))


def test_gender_of_two_logits_is_that_of_their_difference() -> None:
    logits = torch.tensor([[0.5, 2.0], [1.0, -1.0]])
    expected = female_probability(logits[:, 1] - logits[:, 0], "sigmoid")
    assert torch.allclose(female_probability(logits, "softmax"), expected)
