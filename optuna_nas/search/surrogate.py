"""Gaussian-process regression on groups of features (Rasmussen & Williams 2006).

The covariance of two candidates with features x and x' is

    k(x, x') = s_f m(r) + s_l x.x' / G,    r^2 = sum_g w_g |x_g - x'_g|^2,
    m(r) = (1 + sqrt(5) r + 5/3 r^2) exp(-sqrt(5) r)                      (their eq. 4.17)

with one weight w_g for each of the G groups of features, such as the values of one decision. The
linear part finds within few trials what each decision is worth on its own; the Matern part what
they are worth together. Observations carry independent noise of variance s_n.
"""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, solve_triangular
from scipy.optimize import minimize

Array = NDArray[np.float64]

# Added to the variances: factorisations stay positive definite.
_JITTER = 1e-6

# Priors of the logarithms: normal, with mean and standard deviation. Weights are expected to be
# 1 / G, so that a random pair of candidates is at a distance near 1 however many groups there are.
_PRIOR_WEIGHT_SD = 1.0
_PRIOR_MATERN = (0.0, 1.0)
_PRIOR_LINEAR = (math.log(0.3), 1.5)
_PRIOR_NOISE = (math.log(1e-2), 2.0)
# Hyperparameters stay this near, in logarithms, to the means of their priors.
_REACH = 6.0
_ITERATIONS = 25

# Memory is taken for so many more observations at a time.
_ROOM = 64


@dataclass(frozen=True)
class Hyperparameters:
    """What the covariance depends on.

    Attributes:
        weights: One for each group, shape (groups,).
        matern: Variance of the Matern part.
        linear: Variance of the linear part.
        noise: Variance of the observations' noise.
    """

    weights: Array
    matern: float
    linear: float
    noise: float


def fit_hyperparameters(features: Array, groups: NDArray[np.int64], y: Array) -> Hyperparameters:
    """The hyperparameters with the largest posterior density, by L-BFGS from the prior's mean.

    Args:
        features: Shape (n, columns).
        groups: Group of each column, from 0 on, shape (columns,).
        y: Observations of about unit variance, shape (n,).

    Returns:
        A function of the arguments alone. Cost: some tens of O(n^3 + n^2 groups).
    """
    count = int(groups.max()) + 1 if len(groups) else 0
    distances = np.empty((count, len(y), len(y)))  # squared, by group
    for group in range(count):
        own = features[:, groups == group]
        distances[group] = _squared_distances(own, own)
    linear = features @ features.T / max(count, 1)
    mean = np.array(
        [-math.log(max(count, 1))] * count + [_PRIOR_MATERN[0], _PRIOR_LINEAR[0], _PRIOR_NOISE[0]]
    )
    sd = np.array(
        [_PRIOR_WEIGHT_SD] * count + [_PRIOR_MATERN[1], _PRIOR_LINEAR[1], _PRIOR_NOISE[1]]
    )
    found = minimize(
        _negative_log_posterior,
        mean,
        args=(distances, linear, y - y.mean(), mean, sd),
        jac=True,
        method="L-BFGS-B",
        bounds=[(value - _REACH, value + _REACH) for value in mean],
        options={"maxiter": _ITERATIONS},
    )
    *weights, matern, noise_free, noise = np.exp(found.x).tolist()
    return Hyperparameters(np.array(weights), matern, noise_free, noise)


def _negative_log_posterior(
    theta: Array, distances: Array, linear: Array, y: Array, mean: Array, sd: Array
) -> tuple[float, Array]:
    """Up to a constant, and its gradient (Rasmussen & Williams eq. 2.30 and 5.9, with priors)."""
    weights = np.exp(theta[:-3])
    s_f, s_l, s_n = np.exp(theta[-3:])
    matern, slope = _matern(np.tensordot(weights, distances, 1))
    covariance = s_f * matern + s_l * linear
    covariance[np.diag_indices_from(covariance)] += s_n + _JITTER
    factor = np.linalg.cholesky(covariance)
    inverse = cho_solve((factor, True), np.eye(len(y)), check_finite=False)
    alpha = inverse @ y
    offset = (theta - mean) / sd
    value = 0.5 * y @ alpha + np.log(np.diag(factor)).sum() + 0.5 * offset @ offset
    inner = 0.5 * (inverse - np.outer(alpha, alpha))  # derivative by the covariance
    gradient = offset / sd
    gradient[:-3] += s_f * weights * np.tensordot(distances, inner * slope, 2)
    gradient[-3] += s_f * np.sum(inner * matern)
    gradient[-2] += s_l * np.sum(inner * linear)
    gradient[-1] += s_n * np.trace(inner)
    return float(value), gradient


class GaussianProcess:
    """A posterior that grows observation by observation.

    The same observations, first and added, make exactly the same posterior, to the last bit.

    Args:
        hyperparameters: Of the covariance.
        groups: Group of each column of features, shape (columns,).
        features: Of the first observations, shape (n, columns); their values come with `posterior`.
    """

    def __init__(
        self, hyperparameters: Hyperparameters, groups: NDArray[np.int64], features: Array
    ) -> None:
        self._hyper = hyperparameters
        self._scales = np.sqrt(hyperparameters.weights)[groups]
        self._linear = hyperparameters.linear / max(len(hyperparameters.weights), 1)
        self._size = len(features)
        # With room for more observations.
        self._features = np.concatenate([features, np.zeros((_ROOM, len(groups)))])
        self._factor = np.zeros((self._size + _ROOM, self._size + _ROOM))  # lower Cholesky factor
        covariance = self._covariance(features, features)
        covariance[np.diag_indices_from(covariance)] += hyperparameters.noise + _JITTER
        self._factor[: self._size, : self._size] = np.linalg.cholesky(covariance)

    def extended(self, features: Array) -> GaussianProcess:
        """A copy with more observations: features of shape (m, columns). O(m n^2)."""
        extended = copy(self)
        extended._features, extended._factor = self._features.copy(), self._factor.copy()
        for row in features:
            extended.add(row)
        return extended

    def add(self, features: Array) -> None:
        """One more observation, whose value comes with `posterior`; O(n^2)."""
        n = self._size
        if n == len(self._features):
            room = np.zeros((_ROOM, self._features.shape[1]))
            self._features = np.concatenate([self._features, room])
            self._factor = np.pad(self._factor, (0, _ROOM))
        self._features[n] = features
        covariances = self._covariance(features[None], self._features[:n])[0]
        self._factor[n, :n] = solve_triangular(
            self._lower, covariances, lower=True, check_finite=False
        )
        row = self._factor[n, :n]
        variance = float(self._prior_variance(features[None])[0]) + self._hyper.noise + _JITTER
        self._factor[n, n] = math.sqrt(max(variance - float(row @ row), _JITTER))
        self._size += 1

    def posterior(self, y: Array, at: Array) -> tuple[Array, Array]:
        """Mean and variance of the function without noise (Rasmussen & Williams eq. 2.25, 2.26).

        Args:
            y: The observations, in the order in which they were added, shape (n,).
            at: Features of candidates, shape (m, columns).

        Returns:
            Two arrays of shape (m,).
        """
        covariances = self._covariance(at, self._features[: self._size])  # (m, n)
        explained = solve_triangular(  # (n, m)
            self._lower, covariances.T, lower=True, check_finite=False
        )
        variance = self._prior_variance(at) - np.sum(explained**2, axis=0)
        mean: Array = covariances @ cho_solve((self._lower, True), y, check_finite=False)
        return mean, np.maximum(variance, 1e-12)

    def smoothed(self, y: Array) -> Array:
        """Posterior mean at the observations themselves: K (K + s_n I)^-1 y = y - s_n alpha."""
        noise = self._hyper.noise + _JITTER
        mean: Array = y - noise * cho_solve((self._lower, True), y, check_finite=False)
        return mean

    @property
    def _lower(self) -> Array:
        return self._factor[: self._size, : self._size]

    def _covariance(self, a: Array, b: Array) -> Array:
        matern, _ = _matern(_squared_distances(a * self._scales, b * self._scales))
        covariance: Array = self._hyper.matern * matern + self._linear * (a @ b.T)
        return covariance

    def _prior_variance(self, at: Array) -> Array:
        variance: Array = self._hyper.matern + self._linear * np.sum(at**2, axis=1)
        return variance


def _matern(squared: Array) -> tuple[Array, Array]:
    """m(r), and its derivative by r^2."""
    root = np.sqrt(5.0 * squared)
    decay = np.exp(-root)
    return (1.0 + root + root**2 / 3.0) * decay, -5.0 / 6.0 * (1.0 + root) * decay


def _squared_distances(a: Array, b: Array) -> Array:
    """Between the rows of (n, columns) and (m, columns), shape (n, m)."""
    squares: Array = np.sum(a**2, axis=1)[:, None] + np.sum(b**2, axis=1) - 2.0 * a @ b.T
    return np.maximum(squares, 0.0)
