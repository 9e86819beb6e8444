"""Closed forms: what the spread within the classes and between them says about a better space.

The spread within the classes is the covariance W of vectors about the mean of their class. With fewer items
than numbers in a vector it is not reliable, so it is mixed with a round one of the same size:
(1 - s) W + s t I, t being the mean of W's diagonal (shrinkage; Ledoit and Wolf 2004). One
eigendecomposition serves every s.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from lookalike.learning.metric import LOSSES, Examples, Loss, trained
from lookalike.learning.sums import Sums
from lookalike.models.head_model import Branch, Floats, Layer, powered, softmax
from lookalike.models.model import unit

Doubles = NDArray[np.float64]

Part = Literal[
    "vector", "centered", "whitening", "discriminant", "scores", "ridge", "contrastive", "triplet", "proxy"
]

MAX_DISCRIMINANT = 256
_SMALLEST = 1e-5  # of the singular values of the means, relative to the largest: less is rounding
_LEAST_SPREAD = 1e-4  # of unit vectors, where those of a class are all the same


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a head is made of: `parts` with their weights, on vectors raised to `power`.

    - `vector`: the old vector;
    - `centered`: the old vector less the mean of all;
    - `whitening`: less the mean, then along every direction divided by the spread within the classes (WCCN:
      Hatch, Kajarekar and Stolcke 2006), so that what differs among equals counts little;
    - `discriminant`: of the whitened, only the directions in which the means of the classes differ (LDA:
      Fisher 1936; Rao 1948);
    - `scores`: how likely each class is, if all have that spread: softmax of `sharpness` times the log-odds;
    - `ridge`: the regression of each class's members (1) and others (0) on the vectors;
    - `contrastive`, `triplet`, `proxy`: the whitened through a layer that was trained with this loss, for so
      many `epochs`; see `metric`.

    `shrinkage` is s, from 0 to 1.
    """

    parts: tuple[tuple[Part, float], ...]
    power: float = 1.0
    shrinkage: float = 0.5
    sharpness: float = 0.3
    epochs: int = 2

    def __str__(self) -> str:
        said = [name if weight == 1 else f"{weight:g} x {name}" for name, weight in self.parts]
        more = [f"shrinkage {self.shrinkage:g}"] if self.needs_spread else []
        more += [f"sharpness {self.sharpness:g}"] if self.has("scores") else []
        more += [f"{self.epochs} epochs"] if self.is_trained else []
        more += [f"power {self.power:g}"] if self.power != 1 else []
        return " + ".join(said) + (f" ({', '.join(more)})" if more else "")

    @property
    def needs_spread(self) -> bool:
        return any(self.has(one) for one in get_args(Part)[2:])

    @property
    def is_trained(self) -> bool:
        return any(self.has(one) for one in LOSSES)

    def has(self, part: Part) -> bool:
        return part in dict(self.parts)


@dataclass(frozen=True)
class Basis:
    """The eigenvectors (D, D) and eigenvalues (D,) of the spread within classes; all else is in their terms.

    `means` (C, D) are those of the classes that have items, `shares` (C,) their shares of all, `mean` (D,)
    that of all. `examples` gives what a loss is trained on, as the base has it.
    """

    vectors: Floats
    values: Floats
    means: Floats
    shares: Floats
    mean: Floats
    examples: Callable[[], Examples] | None = None
    _trained: dict[tuple[object, ...], Layer] = field(default_factory=dict, repr=False)

    @staticmethod
    def of(sums: Sums, examples: Callable[[], Examples] | None = None) -> Basis:
        values, vectors = np.linalg.eigh(sums.within.astype(np.float32))
        filled = sums.counts > 0
        return Basis(
            vectors,
            np.maximum(values, 0),
            (sums.means[filled] @ vectors).astype(np.float32),
            (sums.counts[filled] / sums.counts.sum()).astype(np.float32),
            (sums.mean @ vectors).astype(np.float32),
            examples,
        )

    def layer(self, part: Part, recipe: Recipe) -> Layer:
        """The layer of a part, on vectors in terms of the eigenvectors."""
        inverse = self._inverse(recipe.shrinkage)
        if part == "centered":
            return _shifted(np.eye(len(self.mean), dtype=np.float32), self.mean)
        if part == "whitening":
            return _shifted(np.diag(np.sqrt(inverse)), self.mean)
        if part == "discriminant":
            return _shifted(np.sqrt(inverse)[:, None] * self._directions(recipe.shrinkage), self.mean)
        if part == "ridge":
            return self._ridge(recipe.shrinkage)
        if part in LOSSES:
            key = part, recipe.power, recipe.shrinkage, recipe.epochs
            if key not in self._trained:
                self._trained[key] = self._train(part, recipe)
            return self._trained[key]
        sharpness = np.float32(recipe.sharpness)
        offset = -sharpness * ((self.means**2) @ inverse) / 2
        return Layer(sharpness * inverse[:, None] * self.means.T, np.asarray(offset, np.float32))

    def _train(self, loss: Loss, recipe: Recipe) -> Layer:
        """The whitening, and a layer after it that is trained on the examples."""
        if self.examples is None:
            raise ValueError("there is nothing to train on")
        whitening, examples = self.layer("whitening", recipe), self.examples()
        scales = np.diag(whitening.matrix)
        given = powered(examples.vectors, recipe.power) @ self.vectors * scales + whitening.offset
        matrix = trained(replace(examples, vectors=given), loss, recipe.epochs)
        return Layer(scales[:, None] * matrix, whitening.offset @ matrix)

    def _inverse(self, shrinkage: float) -> Floats:
        round_ = max(float(self.values.mean()), _LEAST_SPREAD / len(self.values))
        return np.asarray(1 / ((1 - shrinkage) * self.values + max(shrinkage, 1e-6) * round_), np.float32)

    def _directions(self, shrinkage: float) -> Floats:
        """The directions (D, K) in the whitened space in which the means of the classes differ."""
        whitened = (self.means - self.mean) * np.sqrt(self._inverse(shrinkage))
        whitened *= np.sqrt(self.shares)[:, None]
        if len(whitened) > whitened.shape[1]:  # many classes: their covariance is smaller than their means
            squares, found = np.linalg.eigh(whitened.T @ whitened)
            sizes, directions = np.sqrt(np.maximum(squares[::-1], 0)), found[:, ::-1].T
        else:
            _, sizes, directions = np.linalg.svd(whitened, full_matrices=False)
        count = min(int((sizes > _SMALLEST * sizes[0]).sum()), MAX_DISCRIMINANT)
        return np.asarray(directions[: max(count, 1)].T)

    def _ridge(self, shrinkage: float) -> Layer:
        """Class scores by regression; the covariance of all is that within the classes and their means'."""
        inverse = self._inverse(shrinkage)
        means = np.sqrt(self.shares)[:, None] * (self.means - self.mean)
        # (W + M'M)^-1 M' = W^-1 M' (I + M W^-1 M')^-1, with a matrix no larger than the number of classes.
        solved = np.linalg.solve(
            np.eye(len(means), dtype=np.float32) + (means * inverse) @ means.T, means * inverse
        )
        return _shifted(np.asarray((np.sqrt(self.shares)[:, None] * solved).T), self.mean)


def branches(recipe: Recipe, basis: Basis) -> tuple[Branch, ...]:
    """The branches of a head by a recipe, on the base's vectors."""
    found = []
    for part, weight in recipe.parts:
        if part == "vector":
            found.append(Branch((), recipe.power, weight=weight))
            continue
        layer = basis.layer(part, recipe)
        whole = Layer(np.ascontiguousarray(basis.vectors @ layer.matrix), layer.offset)
        found.append(Branch((whole,), recipe.power, "softmax" if part == "scores" else "", weight))
    return tuple(found)


@dataclass(frozen=True)
class Projected:
    """Vectors (N, D) in terms of a basis, to try many recipes on them."""

    basis: Basis
    vectors: Floats

    @staticmethod
    def of(basis: Basis, vectors: Floats, power: float) -> Projected:
        return Projected(basis, powered(vectors, power) @ basis.vectors)

    def by(self, recipe: Recipe) -> Floats:
        """What a head by a recipe gives, (N, D_out) of unit length; but the old vector stays turned."""
        return unit(
            np.concatenate([weight * unit(self._part(part, recipe)) for part, weight in recipe.parts], axis=1)
        )

    def _part(self, part: Part, recipe: Recipe) -> Floats:
        if part == "vector":
            return self.vectors
        layer = self.basis.layer(part, recipe)
        if part in ("centered", "whitening"):  # a diagonal matrix
            return np.asarray(self.vectors * np.diag(layer.matrix) + layer.offset)
        found = np.asarray(self.vectors @ layer.matrix + layer.offset)
        return softmax(found) if part == "scores" else found


def _shifted(matrix: Floats, mean: Floats) -> Layer:
    """The layer of (x - mean) @ matrix."""
    return Layer(matrix, np.asarray(-mean @ matrix))
