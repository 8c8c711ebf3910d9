"""Bayesian averaging over shapes and noises in closed form: no sampling, under a millisecond.

Own method. In a cell (see `cells`) the offset has a flat prior and is integrated out exactly. The
scale σ has the prior dσ / σ; it is positive, and so keeps the shape's sign: a shape that improves
can't turn into one that gets worse. Its integral is one-dimensional and log-concave in log σ, and
taken by Laplace's method. The result does not depend on unit and zero of the values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optuna_nas.curves.cells import RATIOS, Design, cached_design
from optuna_nas.curves.curve import Curve
from optuna_nas.curves.posterior import Posterior
from optuna_nas.curves.scale import fallback_scale

Array = NDArray[np.float64]

FLOOR = 0.01  # least noise, of the curve's range
NEGLIGIBLE = -7.0  # log weight below the most probable cell's
# Of merging components: bins of half a scale near the most probable one, all bins, all octaves.
BINS_EACH, MOST_BINS, MOST_OCTAVES = 32, 512, 40


@dataclass(frozen=True, eq=False)
class Cells:
    """What every cell says of one curve; all of shape ``(J, S, R)``.

    Attributes:
        evidence: Log marginal likelihood of the observed losses, up to a constant.
        locations: Forecasts.
        scales: Standard deviations of the forecasts.
        surprise: log(1 + (g / range)²): how far the shape's further gain g exceeds what was seen.
    """

    evidence: Array
    locations: Array
    scales: Array
    surprise: Array


def evaluate(plan: Design, curve: Curve, scale: float) -> Cells:
    """Evidence and forecast of all cells.

    Args:
        plan: The design of the curve's steps.
        curve: At least one point.
        scale: The range of the losses, positive; a small part of it is counted as one more
            observation of the noise.
    """
    y = curve.losses - curve.last  # keeps digits
    if plan.average is not None:
        y = plan.average @ y
    n = len(y)
    noises, shapes = plan.shape_energy.shape
    parts = plan.operator @ y
    white = parts[: noises * n].reshape(noises, n)
    products = parts[noises * n : noises * (n + shapes)].reshape(noises, shapes, 1)
    forecasts = parts[noises * (n + shapes) :]
    qyy = ((white**2).sum(axis=1) + (FLOOR * scale) ** 2)[:, None, None]
    b = products * RATIOS  # yᵀQ (r s)
    # Density of u = 1 / σ:  u^m exp(-(qyy u² - 2 b u + r² qss) / 2) d log u,  m = n.
    m = float(n)
    h = np.sqrt(b * b + (4.0 * m) * qyy)
    u = np.where(b > 0.0, (b + h) / (2.0 * qyy), 2.0 * m / np.maximum(h - b, 1e-300))  # its mode
    bu = b * u
    curvature = bu + 2.0 * m  # -d²/d(log u)²
    evidence = m * np.log(u) + 0.5 * (bu - np.log(curvature))
    evidence -= (0.5 * RATIOS**2) * plan.shape_energy[:, :, None]
    evidence += plan.log_volume[:, None, None]
    gain = plan.shape_gain[:, :, None] * RATIOS / u
    locations = (curve.last + forecasts)[:, None, None] + gain
    scales = np.sqrt(plan.variance[:, None, None] / (u * u) + gain * gain / curvature)
    surprise = np.log1p((gain / scale) ** 2)
    return Cells(evidence, locations, scales, surprise)


@dataclass(frozen=True)
class ClosedForm:
    """The closed form; it takes no notice of the peers.

    All cells are equally probable beforehand. Weights learned from other suites of curves were
    tried: left out in turn, no suite was forecast better by them. The defaults were chosen roughly
    on image, text and TaskSet curves together, and change log densities by a few hundredths there.
    Four degrees of freedom in place of six change nothing there, and are better by tenths on curves
    of other kinds: few cells fit these, and the tails have to make up for it.

    Attributes:
        temper: Exponent of the evidence; below 1, as the cells are all a little wrong.
        restraint: Exponent against gains far beyond what was seen: after a plateau nothing in the
            curve says how large a take-off would be.
        widen: Factor on the scales.
        degrees: Degrees of freedom of the forecasts, even and at least 4.
    """

    temper: float = 0.5
    restraint: float = 0.3
    widen: float = 0.5
    degrees: int = 4

    def fit(self, peers: Sequence[Curve], horizon: float) -> ClosedFormPredictor:
        """Peers only say how large differences are for a curve without any."""
        return ClosedFormPredictor(self, horizon, tuple(peers))


@dataclass(frozen=True, eq=False)
class ClosedFormPredictor:
    """`ClosedForm` of one study."""

    model: ClosedForm
    horizon: float
    peers: tuple[Curve, ...] = ()

    def predict(self, curve: Curve) -> Posterior:
        """A mixture of the most probable cells' Student-t distributions."""
        scale = fallback_scale(curve, self.peers)
        cells = evaluate(cached_design(curve.key, self.horizon), curve, scale)
        logs = self.model.temper * cells.evidence
        logs -= self.model.restraint * cells.surprise
        return mixture(cells, logs, self.model.widen, self.model.degrees)


def mixture(cells: Cells, logs: Array, widen: float, degrees: int) -> Posterior:
    """The forecasts of all cells that are not negligible.

    Args:
        cells: Of one curve.
        logs: Log weights of the cells, up to a constant; shape ``(J, S, R)``.
        widen: Factor on the scales.
        degrees: Degrees of freedom, even.
    """
    logs = logs.ravel() - logs.max()
    kept = np.flatnonzero(logs > NEGLIGIBLE)
    weights = np.exp(logs[kept])
    return Posterior(
        *merged(
            weights / weights.sum(),
            cells.locations.ravel()[kept],
            widen * cells.scales.ravel()[kept],
            degrees,
        ),
        degrees,
        maximize=False,
    )


def merged(
    weights: Array, locations: Array, scales: Array, degrees: int
) -> tuple[Array, Array, Array]:
    """One component for all that are hardly different: some hundred in place of some thousand.

    They are sorted into bins: a factor of 2 in the scale, and half a scale of the location (wider
    far off, where hardly any weight is). A bin keeps its weight, mean and variance.

    Args:
        weights: Shape ``(k,)``, positive.
        locations: Shape ``(k,)``.
        scales: Shape ``(k,)``, positive.
        degrees: Degrees of freedom, above 2.
    """
    top = weights.argmax()
    _, octaves = np.frexp(scales / scales[top])
    places = np.ldexp((locations - locations[top]) / scales[top], 1 - octaves)
    places = BINS_EACH * np.arcsinh(places / BINS_EACH)
    bins = np.clip(np.floor(places), -MOST_BINS, MOST_BINS - 1).astype(np.intp) + MOST_BINS
    bins += 2 * MOST_BINS * np.minimum(octaves - octaves.min(), MOST_OCTAVES)
    total: Array = np.bincount(bins, weights).astype(np.float64)
    mean = np.bincount(bins, weights * locations) / np.where(total > 0.0, total, 1.0)
    # Variances are ν / (ν - 2) scale²; that of the locations within a bin is added.
    within = ((degrees - 2) / degrees) * (locations - mean[bins]) ** 2
    square = np.bincount(bins, weights * (scales * scales + within))
    full = np.flatnonzero(total)
    return total[full], mean[full], np.sqrt(square[full] / total[full])
