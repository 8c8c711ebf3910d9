"""Domhan et al. 2015, "Speeding up automatic hyperparameter optimization of deep neural networks by
extrapolation of learning curves" (IJCAI), restated from the paper as a rival.

Nine parametric families are added up with positive weights that sum to 1, under Gaussian noise and
flat priors, restricted to curves that end no lower than they started. Parameters, weights and noise
are sampled together by the affine-invariant ensemble sampler (Goodman & Weare 2010), started from
least squares fits. Curves rise and lie about [0, 1]; what is given here are losses, so they are
turned round and mapped there by the range of the task: more than a user would know.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import curve_fit

from optuna_nas.curves import Curve, Posterior

Array = NDArray[np.float64]

# name -> (function of x (n,) and parameters, each (walkers, 1); a start), table 1 of the paper
FAMILIES: dict[str, tuple[Callable[..., Array], tuple[float, ...]]] = {
    "pow3": (lambda x, c, a, alpha: c - a * x**-alpha, (0.7, 0.5, 0.5)),
    "pow4": (lambda x, c, a, b, alpha: c - (a * x + b) ** -alpha, (0.7, 0.5, 1.0, 0.5)),
    "log power": (lambda x, a, b, c: a / (1.0 + (x / np.exp(b)) ** c), (0.7, 1.0, -0.5)),
    "weibull": (
        lambda x, a, b, k, d: a - (a - b) * np.exp(-((k * x) ** d)),
        (0.7, 0.1, 0.1, 1.0),
    ),
    "mmf": (lambda x, a, b, k, d: a - (a - b) / (1.0 + (k * x) ** d), (0.7, 0.1, 0.1, 1.0)),
    "janoschek": (lambda x, a, b, k, d: a - (a - b) * np.exp(-k * x**d), (0.7, 0.1, 0.1, 0.8)),
    "exp4": (lambda x, c, a, b, alpha: c - np.exp(-a * x**alpha + b), (0.7, 0.3, -0.7, 0.7)),
    "log log linear": (lambda x, a, b: np.log(a * np.log(x) + b), (0.3, 1.3)),
    "hill3": (lambda x, t, e, k: t * x**e / (k**e + x**e), (0.7, 1.0, 3.0)),
}
SIZES = [len(start) for _, start in FAMILIES.values()]
PARAMETERS = sum(SIZES)
DIMENSIONS = PARAMETERS + len(FAMILIES) + 1  # and the weights, and log sigma


@dataclass(frozen=True)
class Domhan:
    """The rival as a curve model.

    Attributes:
        worst: The loss that is mapped to 0.
        best: The loss that is mapped to 1.
        walkers: Of the ensemble; the paper has 100.
        samples: Steps of each walker; the paper has 2,500.
        seed: Of the sampler.
    """

    worst: float
    best: float
    walkers: int = 100
    samples: int = 600
    seed: int = 0

    def fit(self, peers: Sequence[Curve], horizon: float) -> DomhanPredictor:
        return DomhanPredictor(self, horizon)


@dataclass(frozen=True)
class DomhanPredictor:
    model: Domhan
    horizon: float

    def predict(self, curve: Curve) -> Posterior:
        span = self.model.worst - self.model.best
        y = (self.model.worst - curve.losses) / span
        rng = np.random.default_rng(self.model.seed)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            samples = sample(curve.steps, y, self.horizon, self.model, rng)
            means = mixture(np.array([self.horizon]), samples)[:, 0]
        sigmas = np.exp(samples[:, -1])
        weights = np.full(len(samples), 1.0 / len(samples))
        # 30 degrees of freedom: as good as the Gaussian of the paper.
        return Posterior(
            weights, self.model.worst - span * means, span * sigmas, 30, maximize=False
        )


def mixture(x: Array, theta: Array) -> Array:
    """The weighted sum of the families, shape ``(walkers, n)``."""
    weights = theta[:, PARAMETERS:-1]
    total = np.zeros((len(theta), len(x)))
    start = 0
    for index, ((function, _), size) in enumerate(zip(FAMILIES.values(), SIZES, strict=True)):
        parameters = [theta[:, start + i, None] for i in range(size)]
        total += (weights[:, index] / weights.sum(axis=1))[:, None] * function(x, *parameters)
        start += size
    return total


def log_density(x: Array, y: Array, horizon: float, theta: Array) -> Array:
    """Unnormalised log posterior of every walker, shape ``(walkers,)``."""
    points = np.concatenate([x, [x[min(1, len(x) - 1)], horizon]])
    values = mixture(points, theta)
    residual = ((values[:, : len(x)] - y) ** 2).sum(axis=1)
    log_sigma = theta[:, -1]
    result = -0.5 * residual * np.exp(-2.0 * log_sigma) - len(x) * log_sigma
    allowed = (theta[:, PARAMETERS:-1] >= 0.0).all(axis=1)
    allowed &= (values[:, -1] >= values[:, -2]) & (values[:, -1] <= 1.5)
    allowed &= (np.abs(theta[:, :PARAMETERS]) < 1e3).all(axis=1)
    allowed &= (log_sigma > -7.0) & (log_sigma < 1.0)
    return np.where(allowed & np.isfinite(result), result, -np.inf)


def sample(x: Array, y: Array, horizon: float, model: Domhan, rng: np.random.Generator) -> Array:
    """Samples of parameters, weights and noise, shape ``(at most 500, DIMENSIONS)``."""
    centre = np.concatenate([start_of(x, y), np.full(len(FAMILIES), 1.0 / len(FAMILIES)), [-4.0]])
    residual = mixture(x, centre[None])[0] - y
    centre[-1] = np.clip(np.log(max(float(residual.std()), 1e-3)), -6.5, 0.5)
    walkers = centre + 1e-2 * (np.abs(centre) + 1e-2) * rng.normal(size=(model.walkers, DIMENSIONS))
    walkers[:, PARAMETERS:-1] = np.abs(walkers[:, PARAMETERS:-1])
    densities = log_density(x, y, horizon, walkers)
    half = model.walkers // 2
    kept = []
    for step in range(model.samples):
        for mine, others in (
            (slice(0, half), slice(half, None)),
            (slice(half, None), slice(0, half)),
        ):
            current = walkers[mine]
            partners = walkers[others][rng.integers(half, size=half)]
            stretch = (rng.random(half) + 1.0) ** 2 / 2.0  # g(z), a = 2 (equation 9)
            proposal = partners + stretch[:, None] * (current - partners)
            proposed = log_density(x, y, horizon, proposal)
            gain = (DIMENSIONS - 1) * np.log(stretch) + proposed - densities[mine]
            accepted = np.log(rng.random(half)) < np.where(np.isnan(gain), 0.0, gain)
            accepted &= np.isfinite(proposed)
            current[accepted] = proposal[accepted]
            densities[mine] = np.where(accepted, proposed, densities[mine])
        if step >= model.samples // 2:
            kept.append(walkers[np.isfinite(densities)].copy())
    chain = np.concatenate(kept)
    if len(chain) == 0:  # the start is impossible for this curve, and no walker got out of it
        chain = centre[None]
    return chain[rng.integers(len(chain), size=500)]


def start_of(x: Array, y: Array) -> Array:
    """Least squares fits of the families, one after the other."""
    parts = []
    for function, start in FAMILIES.values():
        try:
            fitted, _ = curve_fit(function, x, y, p0=start, method="trf", max_nfev=200)
        except (RuntimeError, ValueError, TypeError):
            fitted = np.array(start)
        if not np.isfinite(function(x, *fitted)).all() or np.abs(fitted).max() > 900:
            fitted = np.array(start)
        parts.append(fitted)
    return np.concatenate(parts)
