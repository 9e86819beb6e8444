"""What a network is trained to make small: each loss takes features (B, D) and classes (B,), gives a number.

All but the cross-entropy look at directions alone, which is what a search compares.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lookalike.errors import LookalikeError


class CrossEntropy(nn.Module):
    """The cross-entropy of a linear classifier (D to C): tells classes apart, as most networks learn."""

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(dim, classes)

    def forward(self, features: Tensor, classes: Tensor) -> Tensor:
        return F.cross_entropy(self.head(features), classes)


class CosineSoftmax(nn.Module):
    """The cross-entropy of the cosines to one direction for each class, times `scale`.

    Wang et al., NormFace, 2017 (arXiv:1704.06369).
    """

    def __init__(self, dim: int, classes: int, scale: float = 16) -> None:
        super().__init__()
        self.directions, self.scale = _directions(dim, classes), scale

    def forward(self, features: Tensor, classes: Tensor) -> Tensor:
        return F.cross_entropy(self.scale * F.normalize(features) @ F.normalize(self.directions).T, classes)


class BatchHardTriplet(nn.Module):
    """log(1 + exp(scale * (p - n))): p is the distance to the farthest of the class, n to the nearest other.

    Schroff et al., FaceNet, 2015 (arXiv:1503.03832); Hermans et al., In Defense of the Triplet Loss, 2017
    (arXiv:1703.07737). The scale makes up for distances on the unit sphere, which are at most 2. The mean is
    over pictures that have another of their class, and one of another, in the batch.
    """

    def __init__(self, dim: int = 0, classes: int = 0, scale: float = 5) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, features: Tensor, classes: Tensor) -> Tensor:
        unit = F.normalize(features)
        # The root has no slope at 0, where a picture meets itself or its copy.
        distances = (2 - 2 * unit @ unit.T).clamp(min=1e-6).sqrt()
        same, other = _pairs(classes)
        farthest = distances.masked_fill(~same, -torch.inf).amax(dim=1)
        nearest = distances.masked_fill(~other, torch.inf).amin(dim=1)
        asked = same.any(dim=1) & other.any(dim=1)
        return F.softplus(self.scale * (farthest - nearest)[asked]).sum() / asked.sum().clamp(min=1)


class TripletsInOrder(nn.Module):
    """The same of given triplets: of features (3T, D), all anchors, all like them, and all that are less."""

    def __init__(self, scale: float = 5) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, features: Tensor, classes: Tensor) -> Tensor:
        anchor, near, far = F.normalize(features).chunk(3)
        to_near, to_far = ((2 - 2 * (anchor * one).sum(dim=1)).clamp(min=1e-6).sqrt() for one in (near, far))
        return F.softplus(self.scale * (to_near - to_far)).mean()


class SupervisedContrastive(nn.Module):
    """The mean over pairs of a class of -log of their share among all pairs of the picture.

    Khosla et al., Supervised Contrastive Learning, 2020 (arXiv:2004.11362), equation 2.
    """

    def __init__(self, dim: int = 0, classes: int = 0, temperature: float = 0.1) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, features: Tensor, classes: Tensor) -> Tensor:
        unit = F.normalize(features)
        same, other = _pairs(classes)
        scores = (unit @ unit.T / self.temperature).masked_fill(~(same | other), -torch.inf)
        logs = scores - scores.logsumexp(dim=1, keepdim=True)
        counts = same.sum(dim=1)
        means = logs.masked_fill(~same, 0).sum(dim=1) / counts.clamp(min=1)
        return -means.sum() / (counts > 0).sum().clamp(min=1)


class ProxyAnchor(nn.Module):
    """Each class has a proxy, which draws its pictures near and pushes the others away, the hardest most.

    Kim et al., Proxy Anchor Loss, 2020 (arXiv:2003.13911), equation 4.
    """

    def __init__(self, dim: int, classes: int, margin: float = 0.1, scale: float = 32) -> None:
        super().__init__()
        self.proxies, self.margin, self.scale = _directions(dim, classes), margin, scale

    def forward(self, features: Tensor, classes: Tensor) -> Tensor:
        cosines = F.normalize(features) @ F.normalize(self.proxies).T
        own = F.one_hot(classes, len(self.proxies)).bool()
        near = _log_of_1_and_sum(-self.scale * (cosines - self.margin), own)
        far = _log_of_1_and_sum(self.scale * (cosines + self.margin), ~own)
        return near.sum() / own.any(dim=0).sum() + far.mean()


class Sum(nn.Module):
    """The sum of several losses."""

    def __init__(self, losses: list[nn.Module]) -> None:
        super().__init__()
        self.losses = nn.ModuleList(losses)

    def forward(self, features: Tensor, classes: Tensor) -> Tensor:
        return torch.stack([loss(features, classes) for loss in self.losses]).sum()


LOSSES: dict[str, Callable[[int, int], nn.Module]] = {
    "cross-entropy": CrossEntropy,
    "cosine": CosineSoftmax,
    "triplet": BatchHardTriplet,
    "contrastive": SupervisedContrastive,
    "proxy-anchor": ProxyAnchor,
}


def loss_of(name: str, dim: int, classes: int) -> Sum:
    """The loss of a name, or of several joined by `+`; raises `LookalikeError` for an unknown one."""
    names = name.split("+")
    for one in names:
        if one not in LOSSES:
            known = ", ".join(LOSSES)
            raise LookalikeError(f"unknown loss {one!r}", f"known are: {known}, or several joined by +")
    return Sum([LOSSES[one](dim, classes) for one in names])


def _pairs(classes: Tensor) -> tuple[Tensor, Tensor]:
    """Which pairs (B, B) of different pictures are of one class, and which are of two."""
    equal = classes[:, None] == classes[None]
    return equal & ~torch.eye(len(classes), dtype=torch.bool, device=classes.device), ~equal


def _directions(dim: int, classes: int) -> nn.Parameter:
    """One direction for each class (C, D), drawn at random."""
    return nn.Parameter(nn.init.kaiming_normal_(torch.empty(classes, dim), mode="fan_out"))


def _log_of_1_and_sum(powers: Tensor, counted: Tensor) -> Tensor:
    """log(1 + sum of e^power over the pictures that are counted), (C,)."""
    powers = powers.masked_fill(~counted, -torch.inf)
    return torch.cat([torch.zeros_like(powers[:1]), powers]).logsumexp(dim=0)
