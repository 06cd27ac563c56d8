"""Smooth fits of what a step does and where it ends, so that a table need only learn what is left over.

Least squares on the inputs, their products and, where that tells more of rows held out, on random waves of them
(Rahimi & Recht 2007, NIPS).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

QUADRATIC = 24
"""Most inputs whose products are taken; beyond, the fit is linear."""
ENOUGH = 5
"""Rows for each coefficient that a fit must have; with fewer, a simpler one is taken."""
RIDGE = 1e-8
RIDGES = (1e-6, 1e-4, 1e-2)
"""Weights of the squared coefficients of waves, a row; what serves rows held out best is taken."""
WAVES = 400
LENGTHS = (1.0, 2.0, 4.0)
"""Lengths of the waves, in deviations of the inputs."""
GAIN = 0.8
"""Waves are taken where they bring the squared error on rows held out below this part of the other."""
NEWTON = 25
"""Steps of a logistic fit."""


@dataclass(frozen=True)
class Fit:
    """From ``(N, P)`` inputs to ``(N, K)`` outputs.

    Attributes:
        mean: Of the inputs ``(P,)``.
        scale: Their deviations ``(P,)``.
        weight: Coefficients ``(F, K)``: of the constant, the inputs, their products, the waves.
        degree: 0 a mean, 1 linear, 2 with products.
        waves: ``(W, P + 1)``: direction and phase of each; none where they tell nothing.
    """

    mean: np.ndarray
    scale: np.ndarray
    weight: np.ndarray
    degree: int
    waves: np.ndarray

    @classmethod
    def of(cls, inputs: np.ndarray, outputs: np.ndarray) -> Fit:
        """The fit that the number of rows bears; every output takes the form that is best for it.

        >>> x = np.random.default_rng(0).normal(size=(400, 2))
        >>> fit = Fit.of(x, (3 * x[:, :1] * x[:, 1:] - x[:, :1]))
        >>> fit.degree, float(abs(fit(x)[:, 0] - (3 * x[:, 0] * x[:, 1] - x[:, 0])).max()) < 1e-6
        (2, True)
        """
        plain = cls._plain(inputs)
        rows, few = len(inputs), plain.terms(inputs).shape[1]
        count = min(WAVES, rows // ENOUGH - few)
        if count < 10:
            return plain._with(_solved(plain.terms(inputs), outputs, RIDGE, few))
        rng = np.random.default_rng(0)
        lengths = np.resize(LENGTHS, count)[:, None]
        directions = rng.normal(size=(count, inputs.shape[1])) / lengths
        wavy = cls(
            plain.mean, plain.scale, plain.weight, plain.degree, np.c_[directions, rng.uniform(0, 2 * np.pi, count)]
        )
        terms, held = wavy.terms(inputs), rng.permutation(rows) < rows // 5
        ways = [(few, RIDGE), *((terms.shape[1], ridge) for ridge in RIDGES)]
        errors = []
        for width, ridge in ways:
            weight = _solved(terms[~held, :width], outputs[~held], ridge, few)
            errors.append(((terms[held, :width] @ weight - outputs[held]) ** 2).mean(axis=0))
        best = np.argmin(errors[1:], axis=0) + 1
        best = np.where(np.min(errors[1:], axis=0) < GAIN * errors[0], best, 0)
        weight = np.zeros((terms.shape[1], outputs.shape[1]))
        for i, (width, ridge) in enumerate(ways):
            if (best == i).any():
                weight[:width, best == i] = _solved(terms[:, :width], outputs[:, best == i], ridge, few)
        return wavy._with(weight) if best.any() else plain._with(weight[:few])

    @classmethod
    def of_bools(cls, inputs: np.ndarray, outcome: np.ndarray) -> Fit:
        """A logistic fit of an outcome, bool ``(N,)``; above 0 it is the likelier.

        >>> x = np.random.default_rng(0).normal(size=(400, 2))
        >>> inside = (x**2).sum(axis=1) < 1.0
        >>> float(((Fit.of_bools(x, inside)(x)[:, 0] > 0) == inside).mean()) > 0.99
        True
        """
        plain = cls._plain(inputs)
        terms = plain.terms(inputs)
        weight, penalty = np.zeros(terms.shape[1]), 1e3 * _penalty(terms, RIDGE, terms.shape[1])
        for _ in range(NEWTON):
            chance = 1.0 / (1.0 + np.exp(-np.clip(terms @ weight, -30.0, 30.0)))
            slope = terms.T @ (outcome - chance) - penalty @ weight
            curve = (terms * np.maximum(chance * (1.0 - chance), 1e-9)[:, None]).T @ terms + penalty
            move = np.linalg.solve(curve + 1e-9 * np.eye(len(weight)), slope)
            # A whole step can overshoot where hardly anything is uncertain any more.
            weight = weight + move * min(1.0, 10.0 / max(1e-12, float(np.abs(move).max())))
        return plain._with(weight[:, None])

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """``(N, K)`` of inputs ``(N, P)``."""
        return self.terms(inputs) @ self.weight

    def terms(self, inputs: np.ndarray) -> np.ndarray:
        """``(N, F)``: what the coefficients are of."""
        x = (inputs - self.mean) / self.scale
        parts = [np.ones((len(x), 1))]
        if self.degree:
            parts.append(x)
        if self.degree > 1:
            first, second = np.triu_indices(x.shape[1])
            parts.append(x[:, first] * x[:, second])
        if len(self.waves):
            parts.append(np.cos(x @ self.waves[:, :-1].T + self.waves[:, -1]))
        return np.concatenate(parts, axis=1)

    def to_json(self) -> dict[str, Any]:
        """Plain dict."""
        arrays = {name: getattr(self, name).tolist() for name in ("mean", "scale", "weight", "waves")}
        return {**arrays, "degree": self.degree}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Fit:
        """Inverse of :meth:`to_json`."""
        arrays = {name: np.asarray(data[name], dtype=float) for name in ("mean", "scale", "weight", "waves")}
        return cls(**arrays, degree=int(data["degree"]))

    @classmethod
    def _plain(cls, inputs: np.ndarray) -> Fit:
        """Without coefficients and waves."""
        rows, width = inputs.shape
        mean, scale = inputs.mean(axis=0), inputs.std(axis=0)
        products = 1 + width + width * (width + 1) // 2
        degree = 2 if width <= QUADRATIC and rows >= ENOUGH * products else int(rows >= ENOUGH * (1 + width))
        none = np.empty((0, width + 1))
        return cls(mean, np.where(scale > 0, scale, 1.0), np.empty((0, 0)), degree, none)

    def _with(self, weight: np.ndarray) -> Fit:
        return Fit(self.mean, self.scale, weight, self.degree, self.waves)


def _solved(terms: np.ndarray, outputs: np.ndarray, ridge: float, few: int) -> np.ndarray:
    return np.linalg.solve(terms.T @ terms + _penalty(terms, ridge, few), terms.T @ outputs)


def _penalty(terms: np.ndarray, ridge: float, few: int) -> np.ndarray:
    """Of squared coefficients: none of the constant, enough for one solution of the next, ``ridge`` of waves."""
    weight = np.full(terms.shape[1], ridge)
    weight[:few], weight[0] = RIDGE, 0.0
    return len(terms) * np.diag(weight)
