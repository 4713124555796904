import math

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from torch import nn

from mien.estimate.calibrate import AGES
from mien.learn.networks.answer_kinds import AgeKind, GenderKind, Output
from mien.learn.recipe import Loss
from mien.learn.training.losses import AgeGenderLoss


class Answering:
    """Kinds of answers of a network."""

    def __init__(self, age: AgeKind | None = "distribution", gender: GenderKind | None = "sigmoid") -> None:
        self.age_kind, self.gender_kind = age, gender


def loss_of(kinds: Answering, **plan: float | str) -> AgeGenderLoss:
    return AgeGenderLoss(Loss.model_validate(plan), kinds)


PLAN = {"sigma": 1.0, "sigma_slope": 0.04, "sigma_max": 4.0, "l1": 0.5, "gender": 2.0}
LOSS = loss_of(Answering(), **PLAN)


def test_target_is_a_distribution_with_its_mode_at_the_label() -> None:
    target = LOSS.target(torch.tensor([0.0, 1.0, 35.0, 116.0]))
    assert target.shape == (4, AGES)
    assert torch.allclose(target.sum(1), torch.ones(4))
    assert target.argmax(1).tolist() == [0, 1, 35, 116]


@pytest.mark.parametrize(("age", "sigma"), [(25.0, 2.0), (50.0, 3.0), (90.0, 4.0)])
def test_target_spread_grows_with_age_up_to_its_cap(age: float, sigma: float) -> None:
    target = LOSS.target(torch.tensor([age]))[0].double().numpy()
    years = np.arange(AGES)
    assert math.sqrt((target * (years - age) ** 2).sum()) == pytest.approx(sigma, rel=0.01)


def test_loss_is_the_sum_of_its_terms() -> None:
    rng = np.random.default_rng(0)
    output = Output(torch.tensor(rng.normal(size=(5, AGES))).float(), torch.tensor(rng.normal(size=5)).float())
    age = torch.tensor([3.0, 20.0, 41.0, 60.0, 99.0])
    female = torch.tensor([1, 0, 1, 1, 0])
    assert output.age is not None
    assert output.gender is not None
    pmf = torch.softmax(output.age, 1).double().numpy()
    target = LOSS.target(age).double().numpy()
    divergence = np.mean((target * np.log(target / pmf, where=target > 0, out=np.zeros_like(pmf))).sum(1))
    l1 = np.abs(pmf @ np.arange(AGES) - age.numpy()).mean()
    entropy = log_loss(female.numpy(), torch.sigmoid(output.gender).numpy())
    assert LOSS(output, age, female).item() == pytest.approx(divergence + 0.5 * l1 + 2 * entropy, rel=1e-5)


def test_unknown_labels_take_no_part() -> None:
    age = torch.tensor([30.0, math.nan])
    female = torch.tensor([-1, 1])
    logits = torch.zeros(2, AGES, requires_grad=True)
    gender = torch.zeros(2, requires_grad=True)
    LOSS(Output(logits, gender), age, female).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert gender.grad is not None
    assert logits.grad[0].abs().sum() > 0
    assert logits.grad[1].abs().sum() == 0
    assert gender.grad[0] == 0
    assert gender.grad[1] < 0


def test_batch_without_any_label_gives_zero() -> None:
    output = Output(torch.zeros(2, AGES), torch.zeros(2))
    assert LOSS(output, torch.full((2,), math.nan), torch.full((2,), -1)).item() == 0


def test_a_teacher_takes_its_share_of_the_targets_and_all_of_unlabelled_faces() -> None:
    taught = loss_of(Answering(), **PLAN, teacher=0.25)
    output = Output(torch.randn(3, AGES), torch.randn(3))
    pmf = torch.softmax(torch.randn(3, AGES), 1)
    soft = torch.tensor([0.9, 0.2, 0.6])
    age, female = torch.tensor([20.0, 50.0, math.nan]), torch.tensor([1, 0, -1])
    years = torch.arange(AGES).float()
    label = LOSS.target(torch.tensor([20.0, 50.0]))
    target = torch.cat([0.75 * label + 0.25 * pmf[:2], pmf[2:]])
    assert output.age is not None
    assert output.gender is not None
    log_pmf = output.age.log_softmax(1)
    divergence = (target * (target.log() - log_pmf)).nansum() / 3
    share = torch.tensor([0.75 + 0.25 * 0.9, 0.25 * 0.2, 0.6])
    entropy = nn.functional.binary_cross_entropy_with_logits(output.gender, share)
    # the L1 term aims at the label itself, not at the mean of its cut Gaussian
    aim = torch.cat([0.75 * age[:2] + 0.25 * (pmf[:2] @ years), pmf[2:] @ years])
    l1 = (log_pmf.exp() @ years - aim).abs().mean()
    wanted = divergence + 0.5 * l1 + 2 * entropy
    assert taught(output, age, female, pmf, soft).item() == pytest.approx(wanted.item(), rel=1e-4)


def test_faces_the_teacher_did_not_see_keep_their_labels() -> None:
    taught = loss_of(Answering(), **PLAN, teacher=0.5)
    output = Output(torch.randn(2, AGES), torch.randn(2))
    age, female = torch.tensor([20.0, 50.0]), torch.tensor([1, 0])
    nothing = torch.full((2, AGES), math.nan), torch.full((2,), math.nan)
    assert taught(output, age, female, *nothing).item() == pytest.approx(LOSS(output, age, female).item(), rel=1e-6)


@pytest.mark.parametrize(("years", "wanted"), [("mae", 3.0), ("mse", 10.0)])
def test_years_take_the_error_a_recipe_names(years: str, wanted: float) -> None:
    loss = loss_of(Answering("years", None), years=years, age=2.0)
    output = Output(torch.tensor([22.0, 46.0, 7.0]), None)
    age = torch.tensor([20.0, 50.0, math.nan])
    assert loss(output, age, torch.full((3,), -1)).item() == pytest.approx(2 * wanted)


def test_classes_are_five_years_wide_and_the_last_one_takes_the_oldest() -> None:
    loss = loss_of(Answering("classes", "softmax"), gender=0.0)
    logits = torch.full((4, 24), -50.0)
    for row, chosen in enumerate((0, 1, 6, 23)):
        logits[row, chosen] = 50.0
    output = Output(logits, torch.zeros(4, 2))
    right = loss(output, torch.tensor([4.0, 5.0, 34.0, 116.0]), torch.zeros(4, dtype=torch.int8)).item()
    wrong = loss(output, torch.tensor([5.0, 5.0, 34.0, 116.0]), torch.zeros(4, dtype=torch.int8)).item()
    assert right == pytest.approx(0, abs=1e-6)
    assert wrong > 20


def test_both_forms_of_gender_are_the_same_entropy() -> None:
    logit = torch.tensor([0.3, -1.2])
    female = torch.tensor([1, 0], dtype=torch.int8)
    one = loss_of(Answering(None, "sigmoid"), gender=1.0)(Output(None, logit), torch.zeros(2), female)
    pair = torch.stack([torch.zeros(2), logit], dim=1)
    two = loss_of(Answering(None, "softmax"), gender=1.0)(Output(None, pair), torch.zeros(2), female)
    assert one.item() == pytest.approx(two.item(), rel=1e-6)


BOUNDED = {"sigma": 1.0, "sigma_slope": 0.0, "l1": 0.5, "gender": 0.0}


def bounded(logits: torch.Tensor, low: float, high: float, loss: AgeGenderLoss | None = None) -> float:
    """Loss of one face of which only bounds are known."""
    loss = loss or loss_of(Answering(), **BOUNDED)
    unknown, nobody = torch.tensor([math.nan]), torch.tensor([-1])
    return loss(Output(logits, None), unknown, nobody, bounds=(torch.tensor([low]), torch.tensor([high]))).item()


def sure_of(age: int) -> torch.Tensor:
    return torch.full((1, AGES), -200.0).scatter(1, torch.tensor([[age]]), 0.0)


@pytest.mark.parametrize("age", [40, 45, 50])
def test_any_answer_within_the_bounds_is_right(age: int) -> None:
    assert bounded(sure_of(age), 40, 50) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(("age", "outside"), [(38, 2), (51, 1), (60, 10)])
def test_an_answer_outside_the_bounds_pays_for_its_distance(age: int, outside: int) -> None:
    assert bounded(sure_of(age), 40, 50) == pytest.approx(0.5 * outside + outside**2 / 2, rel=1e-4)


def test_the_mass_within_bounds_counts() -> None:
    even = torch.full((1, AGES), -200.0)
    even[0, 20:60] = 0.0  # 40 years alike, of which 30 to 49 lie within, and some of the rest on the soft edges
    near = sum(math.exp(-(d**2) / 2) for d in range(1, 11)) * 2
    assert bounded(even, 30, 49) == pytest.approx(-math.log((20 + near) / 40), rel=1e-4)


def test_exact_ages_bounds_and_unknown_ages_share_a_batch() -> None:
    loss = loss_of(Answering(), **BOUNDED)
    logits, nobody = torch.randn(3, AGES, generator=torch.Generator().manual_seed(1)), torch.full((3,), -1)
    age = torch.tensor([30.0, math.nan, math.nan])
    bounds = torch.tensor([math.nan, 40.0, math.nan]), torch.tensor([math.nan, 50.0, math.nan])
    alone = [loss(Output(logits[:1], None), age[:1], nobody[:1]).item(), bounded(logits[1:2], 40, 50)]
    together = loss(Output(logits, None), age, nobody, bounds=bounds).item()
    assert together == pytest.approx(sum(alone) / 2, rel=1e-5)


def test_a_teacher_speaks_beside_bounds() -> None:
    loss = loss_of(Answering(), **BOUNDED, teacher=0.25)
    logits, pmf = sure_of(60), loss.target(torch.tensor([50.0]))
    unknown, nobody = torch.tensor([math.nan]), torch.tensor([-1])
    taught = loss(Output(logits, None), unknown, nobody, pmf).item()
    both = loss(Output(logits, None), unknown, nobody, pmf, bounds=(torch.tensor([40.0]), torch.tensor([50.0]))).item()
    assert both == pytest.approx(0.25 * taught + 0.75 * bounded(logits, 40, 50), rel=1e-4)
