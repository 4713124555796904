"""Losses on age and gender answers of every kind; unknown labels take no part."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.estimate.calibrate import AGES
from mien.learn.networks.answer_kinds import CLASS_YEARS, CLASSES, Kinds, Output
from mien.learn.recipe import Loss


class AgeGenderLoss:
    """Sum of an age term and a gender term, after the kinds of answers the network gives.

    Distributions are learned from a Gaussian around the label, cut to whole years 0..116: Kullback-Leibler divergence
    from the prediction plus an L1 term on the expectation (Gao et al., "Age estimation using expectation of label
    distribution learning", IJCAI 2018). The spread grows with age, since old labels are less certain. Years take the
    mean absolute or squared error, classes and genders the cross-entropy.

    Where only bounds of an age are known, the divergence is minus the logarithm of the mass within them, whose edges
    are as soft as a label of that age, and the L1 term the distance of the expectation from them.

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
        bounds: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Mean loss of a batch.

        Args:
            output: raw answers.
            age: years float [N], NaN where unknown.
            female: 1, 0, or -1 where unknown, [N].
            pmf: age distributions of a teacher [N, 117], NaN where it gave none.
            soft: probabilities of "female" of a teacher [N], NaN where it gave none.
            features: that a guide's heads read, [N, C], as many as the network's own.
            bounds: least and most whole years [N] of faces whose age is NaN; NaN where nothing is known.
        """
        loss = torch.zeros((), device=age.device)
        if output.age is not None:
            known = ~torch.isnan(age)
            if self.age_kind == "distribution":
                loss = loss + self._distribution(output.age.float(), age, pmf, bounds)
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
        years = self._years(age)
        return torch.softmax(-((years[None] - age[:, None]) ** 2) / (2 * self._sigma(age)[:, None] ** 2), dim=1)

    def _distribution(
        self, logits: Tensor, age: Tensor, taught: Tensor | None, bounds: tuple[Tensor, Tensor] | None
    ) -> Tensor:
        """Mean over the faces of which anything is known, by label or bounds or teacher."""
        log_pmf = F.log_softmax(logits, dim=1)
        exact, label = ~torch.isnan(age), torch.nan_to_num(age)
        target, expected, aimed = self.target(label), age, exact
        if taught is not None and self.plan.teacher > 0:
            target = _mix(target, taught, exact[:, None], self.plan.teacher)
            expected = _mix(age, taught @ self._years(taught), exact, self.plan.teacher)
            aimed = ~torch.isnan(expected)
        loss = torch.where(aimed, self._distance(log_pmf, torch.nan_to_num(target), torch.nan_to_num(expected)), 0.0)
        known = aimed
        if bounds is not None:
            bounded = ~exact & ~torch.isnan(bounds[0])
            low, high = (torch.nan_to_num(bound) for bound in bounds)
            share = torch.where(aimed, self.plan.teacher, 0.0)  # of the teacher, where it answered for this face
            outside = share * loss + (1 - share) * self._outside(log_pmf, low, high)
            loss = torch.where(bounded, outside, loss)
            known = aimed | bounded
        return loss[known].sum() / known.sum().clamp_min(1)

    def _distance(self, log_pmf: Tensor, target: Tensor, expected: Tensor) -> Tensor:
        """Of answers from targets [N, 117] and their expectations [N], a face each."""
        mean = log_pmf.exp() @ self._years(log_pmf)
        divergence = F.kl_div(log_pmf, target, reduction="none").sum(dim=1)
        return self.plan.divergence * divergence + self.plan.l1 * (mean - expected).abs()

    def _outside(self, log_pmf: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """How far answers are from whole years low..high [N], a face each."""
        years = self._years(log_pmf)
        mean = log_pmf.exp() @ years
        beyond = F.relu(low[:, None] - years) + F.relu(years - high[:, None])
        softness = -(beyond**2) / (2 * self._sigma((low + high) / 2)[:, None] ** 2)
        mass = torch.logsumexp(log_pmf + softness, dim=1)
        return self.plan.l1 * (F.relu(low - mean) + F.relu(mean - high)) - self.plan.divergence * mass

    def _sigma(self, age: Tensor) -> Tensor:
        return (self.plan.sigma + self.plan.sigma_slope * age).clamp(max=self.plan.sigma_max)

    @staticmethod
    def _years(like: Tensor) -> Tensor:
        return torch.arange(AGES, device=like.device, dtype=torch.float32)

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


def _mix(label: Tensor, taught: Tensor, known: Tensor, weight: float) -> Tensor:
    """Label and teacher's answer, `weight` parts of the latter; either alone where the other is unknown."""
    both = torch.where(torch.isnan(taught), label, (1 - weight) * label + weight * taught)
    return torch.where(known, both, taught)
