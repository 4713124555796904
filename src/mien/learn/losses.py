"""Losses on age and gender answers of every kind; unknown labels take no part."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.estimate.calibrate import AGES
from mien.learn.outputs import CLASS_YEARS, CLASSES, Kinds, Output
from mien.learn.recipe import Loss


class AgeGenderLoss:
    """Sum of an age term and a gender term, after the kinds of answers the network gives.

    Distributions are learned from a Gaussian around the label, cut to whole years 0..116: Kullback-Leibler divergence
    from the prediction plus an L1 term on the expectation (Gao et al., "Age estimation using expectation of label
    distribution learning", IJCAI 2018). The spread grows with age, since old labels are less certain. Years take the
    mean absolute or squared error, classes and genders the cross-entropy.

    Further terms of distributions, at a weight of 0 unless a recipe says otherwise: `ordinal`, the cross-entropies of
    "older than k" summed over the ages k, as CORAL has them (Cao et al., "Rank consistent ordinal regression for neural
    networks", 2020; here the ranks are consistent since one distribution gives them all); `squared`, half of the
    expectation's squared error, and `variance`, the answer's own (Pan et al., "Mean-variance loss for deep age
    estimation from a face", CVPR 2018). CORN's conditional ranks (Shi et al., 2021), where one distribution gives them
    all, add up to its cross-entropy, which is the divergence with a `sigma` near 0.

    Where a teacher answered, the target of a distribution or of a gender logit is a mixture: `plan.teacher` parts of
    its answer and the rest of the label; of a face without a label, the teacher's answer alone.

    Where a guide's features are known, `plan.hint` times their squared distance from the network's own comes on top
    (Romero et al., "FitNets: hints for thin deep nets", ICLR 2015), as a share of their variance within the batch. A
    batch of one has none, and goes without.
    """

    def __init__(self, plan: Loss, network: Kinds) -> None:
        self.plan = plan
        self.age_kind, self.gender_kind = network.age_kind, network.gender_kind

    def __call__(
        self,
        output: Output,
        age: Tensor,
        female: Tensor,
        pmf: Tensor | None = None,
        soft: Tensor | None = None,
        *,
        features: Tensor | None = None,
    ) -> Tensor:
        """Mean loss of a batch.

        Args:
            output: raw answers.
            age: years float [N], NaN where unknown.
            female: 1, 0, or -1 where unknown, [N].
            pmf: age distributions of a teacher [N, 117], NaN where it gave none.
            soft: probabilities of "female" of a teacher [N], NaN where it gave none.
            features: that a guide's heads read, [N, C], as many as the network's own.
        """
        loss = torch.zeros((), device=age.device)
        if output.age is not None:
            known = ~torch.isnan(age)
            if self.age_kind == "distribution":
                loss = loss + self._distribution(output.age.float(), age, pmf)
            elif known.any():
                loss = loss + self.plan.age * self._number(output.age.float()[known], age[known])
        if output.gender is not None:
            loss = loss + self.plan.gender * self._gender(output.gender.float(), female, soft)
        if features is not None and len(features) > 1 and self.plan.hint > 0:
            assert output.features is not None
            spread = features.var(dim=0, correction=0).mean().clamp_min(1e-6)
            loss = loss + self.plan.hint * F.mse_loss(output.features.float(), features) / spread
        return loss

    def target(self, age: Tensor) -> Tensor:
        """Distributions [N, 117] around ages [N]."""
        years = torch.arange(AGES, device=age.device, dtype=torch.float32)
        sigma = (self.plan.sigma + self.plan.sigma_slope * age).clamp(max=self.plan.sigma_max)
        return torch.softmax(-((years[None] - age[:, None]) ** 2) / (2 * sigma[:, None] ** 2), dim=1)

    def _distribution(self, logits: Tensor, age: Tensor, taught: Tensor | None) -> Tensor:
        years = torch.arange(AGES, device=age.device, dtype=torch.float32)
        known = ~torch.isnan(age)
        target, expected = self.target(torch.nan_to_num(age)), age
        if taught is not None and self.plan.teacher > 0:
            target = _mix(target, taught, known[:, None], self.plan.teacher)
            expected = _mix(age, taught @ years, known, self.plan.teacher)
            known = ~torch.isnan(expected)
        if not known.any():
            return logits.new_zeros(())
        log_pmf, target, expected = F.log_softmax(logits[known], dim=1), target[known], expected[known]
        pmf = log_pmf.exp()
        mean = pmf @ years
        loss = self.plan.divergence * F.kl_div(log_pmf, target, reduction="batchmean")
        loss = loss + self.plan.l1 * F.l1_loss(mean, expected)
        if self.plan.ordinal > 0:
            loss = loss + self.plan.ordinal * _ordinal(log_pmf, target)
        if self.plan.squared > 0:
            loss = loss + self.plan.squared * F.mse_loss(mean, expected) / 2
        if self.plan.variance > 0:
            loss = loss + self.plan.variance * (pmf * (years - mean[:, None]) ** 2).sum(dim=1).mean()
        return loss

    def _number(self, raw: Tensor, age: Tensor) -> Tensor:
        if self.age_kind == "classes":
            return F.cross_entropy(raw, (age.long() // CLASS_YEARS).clamp(max=CLASSES - 1))
        return F.l1_loss(raw, age) if self.plan.years == "mae" else F.mse_loss(raw, age)

    def _gender(self, raw: Tensor, female: Tensor, soft: Tensor | None) -> Tensor:
        known, share = female >= 0, female.float()
        if self.gender_kind == "softmax":
            return F.cross_entropy(raw[known], female[known].long()) if known.any() else raw.new_zeros(())
        if soft is not None and self.plan.teacher > 0:
            share = _mix(share, soft, known, self.plan.teacher)
            known = known | ~torch.isnan(soft)
        if not known.any():
            return raw.new_zeros(())
        return F.binary_cross_entropy_with_logits(raw[known], share[known])


def _ordinal(log_pmf: Tensor, target: Tensor) -> Tensor:
    """Mean over faces of the cross-entropies of "older than k", summed over k, of distributions [N, K]."""
    younger = torch.logcumsumexp(log_pmf, dim=1)[:, :-1]
    older = torch.logcumsumexp(log_pmf.flip(1), dim=1).flip(1)[:, 1:]
    share = target.cumsum(dim=1)[:, :-1].clamp(max=1.0)
    return -(share * younger + (1 - share) * older).sum(dim=1).mean()


def _mix(label: Tensor, taught: Tensor, known: Tensor, weight: float) -> Tensor:
    """Label and teacher's answer, `weight` parts of the latter; either alone where the other is unknown."""
    both = torch.where(torch.isnan(taught), label, (1 - weight) * label + weight * taught)
    return torch.where(known, both, taught)
