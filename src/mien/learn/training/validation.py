"""How far a network is from its labels, on faces that it does not learn from."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from mien.estimate.calibrate import AGES
from mien.learn.data.batches import Batch
from mien.learn.networks.answer_kinds import Deployed
from mien.learn.training.loaders import typed
from mien.learn.training.losses import AgeGenderLoss
from mien.learn.training.progress import FaceErrors


@torch.inference_mode()
def validate(
    net: nn.Module, batches: DataLoader[Any], device: torch.device, loss: AgeGenderLoss
) -> tuple[dict[str, float], FaceErrors]:
    """Mean loss, MAE of the expected age in years and share of right genders; NaN where there is no answer.

    Returns:
        These, and how wrong each face is, in the order of the batches.
    """
    net.eval()
    deployed = Deployed(net)
    years = torch.arange(AGES, dtype=torch.float32, device=device)
    errors, hits = [torch.empty(0)], [torch.empty(0)]
    total, seen = 0.0, 0
    for batch in typed(batches):
        here = batch.to(device)
        output = net(here.chips)
        total += loss(output, here.age, here.female, bounds=here.bounds).item() * len(here.chips)
        seen += len(here.chips)
        answers = dict(zip(deployed.names, deployed.answers(output), strict=True))
        unknown = torch.full((len(here.chips),), math.nan)
        errors.append(_error((answers["age_pmf"] @ years).cpu(), batch) if "age_pmf" in answers else unknown)
        if "p_female" in answers:
            right = ((answers["p_female"].cpu() >= 0.5) == (batch.female > 0)).float()
            hits.append(torch.where(batch.female >= 0, right, torch.nan))
        else:
            hits.append(unknown)
    each = FaceErrors(torch.cat(errors), torch.cat(hits))
    return {
        "val_loss": total / seen,
        "mae": each.errors.nanmean().item(),
        "gender": each.hits.nanmean().item(),
    }, each


def _error(years: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Distance of estimates [N] from the age, or from its bounds where only they are known; else NaN."""
    low, high = (batch.age, batch.age) if batch.bounds is None else batch.bounds
    low, high = (torch.where(torch.isnan(batch.age), bound, batch.age) for bound in (low, high))
    return torch.maximum(torch.maximum(low - years, years - high), torch.zeros(()))
