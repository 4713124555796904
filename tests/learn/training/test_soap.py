"""SOAP on small problems whose answers are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mien.learn.recipe import load_recipe
from mien.learn.training import loop
from mien.learn.training.soap import LARGEST, SOAP

Make = Callable[[list[Tensor]], torch.optim.Optimizer]


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _descend(weight: Tensor, inputs: Tensor, aims: Tensor, make: Make, steps: int) -> list[float]:
    """Losses of least squares with a matrix [O, I] from inputs [N, I] to aims [N, O]; the weight is changed."""
    weight.requires_grad_()
    optimiser = make([weight])
    losses = []
    for _ in range(steps):
        loss = (inputs @ weight.T - aims).square().mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(loss.detach()))
    return losses


def test_inputs_that_rise_and_fall_together_hold_it_up_less_than_adam() -> None:
    inputs = (_random(500, 1, seed=1) * 3 + _random(500, 12, seed=2)).clamp(0)  # as behind a rectifier
    aims = inputs @ _random(4, 12, seed=3).T
    start = torch.zeros(4, 12, dtype=torch.float64)
    adam = min(
        _descend(start.clone(), inputs, aims, lambda p, lr=lr: torch.optim.Adam(p, lr=lr), 60)[-1]  # type: ignore[misc]
        for lr in (0.01, 0.03, 0.1, 0.3)
    )
    assert _descend(start.clone(), inputs, aims, lambda p: SOAP(p, lr=0.1), 60)[-1] < 0.5 * adam


def test_turned_inputs_and_outputs_change_nothing_but_the_directions() -> None:
    inputs, start, aims = _random(40, 5, seed=1), _random(5, 5, seed=2), _random(40, 5, seed=3)
    one, two = (torch.linalg.qr(_random(5, 5, seed=seed)).Q for seed in (4, 5))

    def make(parameters: list[Tensor]) -> SOAP:
        return SOAP(parameters, lr=0.02, every=4, weight_decay=0.01)

    plain, turned = start.clone(), two @ start @ one.T
    losses = _descend(plain, inputs, aims, make, 60)
    assert _descend(turned, inputs @ one.T, aims @ two.T, make, 60) == pytest.approx(losses)
    assert losses[-1] < losses[0] / 2
    torch.testing.assert_close(two @ plain @ one.T, turned)


@pytest.mark.parametrize("shape", [(6,), (6, 1, 3, 3), (2, LARGEST + 1)])
def test_vectors_depthwise_convolutions_and_huge_matrices_take_steps_of_adam(shape: tuple[int, ...]) -> None:
    ours, theirs = (_random(*shape).requires_grad_() for _ in range(2))
    pairs = [
        (ours, SOAP([ours], lr=0.01, weight_decay=0.1)),
        (theirs, torch.optim.AdamW([theirs], lr=0.01, betas=(0.9, 0.98), weight_decay=0.1)),
    ]
    for number in range(5):
        for weight, optimiser in pairs:
            weight.grad = _random(*shape, seed=number)
            optimiser.step()
    torch.testing.assert_close(ours, theirs)


def test_a_pointwise_convolution_is_a_matrix_and_what_has_no_gradient_stays() -> None:
    matrix = _random(4, 3)
    conv, other = matrix[:, :, None, None].clone().requires_grad_(), _random(2, 2).requires_grad_()
    weight = matrix.clone().requires_grad_()
    for optimiser, moved in ((SOAP([conv, other], lr=0.1), conv), (SOAP([weight], lr=0.1), weight)):
        for number in range(25):
            moved.grad = _random(4, 3, seed=number).view_as(moved)
            optimiser.step()
    torch.testing.assert_close(conv.flatten(1), weight)
    torch.testing.assert_close(other, _random(2, 2))
    assert not torch.equal(weight, matrix)


def test_dead_inputs_and_outputs_are_not_moved_and_a_closure_is_asked() -> None:
    torch.manual_seed(0)
    net = nn.Linear(24, 8)
    before = net.weight.detach().clone()
    inputs, wanted = torch.randn(50, 24), torch.randn(50, 6)
    inputs[:, 3:12] = 0
    optimiser = SOAP(net.parameters(), lr=0.01)

    def closure() -> float:
        optimiser.zero_grad()
        loss: Tensor = (net(inputs)[:, :6] - wanted).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    told = [optimiser.step(closure) for _ in range(60)]
    assert told[-1] < 0.8 * told[0]
    assert torch.equal(net.weight[:, 3:12], before[:, 3:12])
    assert torch.equal(net.weight[6:], before[6:])
    assert float((net.weight[:6, :3] - before[:6, :3]).detach().abs().min()) > 0


def test_no_gradient_at_first_is_no_harm() -> None:
    weight = _random(4, 3).requires_grad_()
    optimiser = SOAP([weight], lr=0.1)
    for number in range(15):
        weight.grad = torch.zeros_like(weight) if number < 3 else _random(4, 3, seed=number)
        optimiser.step()
    assert bool(torch.isfinite(weight).all())
    assert not torch.equal(weight.detach(), _random(4, 3))


def test_a_resumed_run_takes_the_steps_of_one_that_was_not_stopped(
    settings: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = "model.options={width: 0.1}"
    plan = [*settings, small, "optimiser.method=soap", "optimiser.relative=true", "optimiser.epochs=4"]
    whole = loop.train(load_recipe("mien-m", plan), tmp_path / "whole")
    save, saved = loop.Trainer._save, []

    def stop_after_three(trainer: loop.Trainer) -> None:
        save(trainer)
        saved.append(trainer.epoch)
        if trainer.epoch == 3:  # 15 steps, so that directions have been changed once, and will be again
            raise KeyboardInterrupt

    monkeypatch.setattr(loop.Trainer, "_save", stop_after_three)
    with pytest.raises(KeyboardInterrupt):
        loop.train(load_recipe("mien-m", plan), tmp_path / "parts")
    monkeypatch.setattr(loop.Trainer, "_save", save)
    assert saved == [1, 2, 3]
    parts = loop.train(load_recipe("mien-m", plan), tmp_path / "parts", resume=True)
    assert parts.read_bytes() == whole.read_bytes()
