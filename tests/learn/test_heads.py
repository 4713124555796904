import math

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from mien.learn.heads import AGES, AgeGenderLoss, Output

LOSS = AgeGenderLoss(sigma=1.0, sigma_slope=0.04, sigma_max=4.0, l1=0.5, gender=2.0)


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
