"""At one step of a study: what its finished curves taught, ready for any new curve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optuna_nas.curves.analogs import Analogs
from optuna_nas.curves.curve import Curve
from optuna_nas.curves.posterior import Posterior, student_logpdf, student_pdf
from optuna_nas.curves.regression import Regression

Array = NDArray[np.float64]

# Prior variances of the coefficients over that of the noise.
PRIORS = (
    np.array([1.0, 4.0, 1.0]),  # bias, cold forecast, last value
    np.array([0.5, 0.5, 0.5]),
)
WIDTHS = 1.25 ** np.arange(-6.0, 4.0)
# A Student-t as wide as the Gaussian of its variance has .82 of its scale; as good as two curves.
WIDTH_PRIOR = -4.0 * np.log(WIDTHS / 0.85) ** 2
NARROWING = np.arange(-7, 1)  # places in `WIDTHS` that all forecasters move together
# The narrowing expected of five forecasters; with m peers 1 + FEW / m times that, as the fewer they
# are the more what was fitted to them flatters.
EXPECTED, FEW = 0.5, 4.0
LOWEST = 50.0  # log density below the median's that still counts: one curve can't decide alone
# Pseudo-observations of every forecaster in the stack: the cold one, regressions, analogs.
PRIOR_TRUST = np.array([2.0, 1.0, 1.0, 1.0, 1.0])
# Least bandwidths of the analogs: of the range of all losses; of the cold forecast's spread.
LEAST_CHANGE, LEAST_SURPRISE = 1e-4, 0.02


@dataclass(frozen=True, eq=False)
class Units:
    """The study's scales, for features without units.

    Attributes:
        center: Mean of the losses at the step.
        spread: Their standard deviation.
        change: Typical change from the step to the horizon.
        low: Final losses below it are not believed.
        high: Nor are those above it.
    """

    center: float
    spread: float
    change: float
    low: float
    high: float

    @classmethod
    def of(cls, last: Array, finals: Array) -> Units:
        """Scales of losses at the step and at the horizon, both of shape ``(m,)``."""
        everything = np.concatenate([last, finals])
        magnitude = float(np.abs(everything).max())
        low, high = float(everything.min()), float(everything.max())
        whole = max(high - low, 1e-9 * magnitude, 1e-300)
        changes = np.abs(finals - last)
        return cls(
            float(last.mean()),
            max(float(last.std()), 1e-3 * whole),
            max(float(changes.mean()), 1e-3 * whole),
            low - whole,
            high + whole,
        )

    @property
    def whole(self) -> float:
        """The range of all losses."""
        return (self.high - self.low) / 3.0

    def sound(self, spread: Array) -> Array:
        """Spreads of cold forecasts, large enough to divide by."""
        return np.asarray(np.maximum(spread, 1e-9 * self.whole), dtype=np.float64)


@dataclass(frozen=True)
class Summary:
    """A forecast in two numbers that absurd components hardly move.

    Attributes:
        center: Weighted median of the components' locations.
        spread: Their weighted mean scale and interquartile range together; positive.
    """

    center: float
    spread: float

    @classmethod
    def of(cls, posterior: Posterior) -> Summary:
        """Of a forecast."""
        order = np.argsort(posterior.locations)
        below = np.cumsum(posterior.weights[order])
        places = np.searchsorted(below, (0.25, 0.5, 0.75)).clip(max=len(order) - 1)
        low, center, high = posterior.locations[order[places]].tolist()
        # A normal distribution's interquartile range is 1.35 standard deviations.
        scale = float(posterior.weights @ posterior.scales)
        return cls(center, math.hypot(scale, (high - low) / 1.35))


@dataclass(frozen=True, eq=False)
class Outcome:
    """How a cold forecast of a finished curve turned out.

    Attributes:
        summary: The forecast.
        log_densities: Of the final loss, with all widths in `WIDTHS`; shape ``(W,)``.
        degrees: Degrees of freedom of the forecast.
    """

    summary: Summary
    log_densities: Array
    degrees: int

    @classmethod
    def of(cls, posterior: Posterior, final: float) -> Outcome:
        """A forecast and what came.

        Only the components get wider or narrower: where they are stays, or a forecast that is too
        wide near its center would lose what it says of late take-offs.
        """
        scales = WIDTHS[:, None] * posterior.scales
        z = (final - posterior.locations) / scales
        densities = (student_pdf(z, posterior.degrees) / scales) @ posterior.weights
        return cls(Summary.of(posterior), log(densities), posterior.degrees)


@dataclass(frozen=True, eq=False)
class Stack:
    """A cold forecast and four ways of learning from peers, mixed as they forecast these.

    With center p and spread c of a cold forecast, last loss l and final loss f of every curve: one
    regression explains (f - l) by the forecast change and the level; the other explains (f - p) / c
    by a bias, the level and the change, which recalibrates the cold forecast. Analogs repeat the
    values of (f - l), and of (f - p) / c, of similar peers.

    Attributes:
        units: The study's scales.
        regressions: Both.
        analogs: Both.
        widths: Factors on the scales of the five, shape ``(5,)``.
        trust: Weights of the five, shape ``(5,)``, sum 1.
        degrees: Degrees of freedom of all components.
    """

    units: Units
    regressions: tuple[Regression, ...]
    analogs: tuple[Analogs, ...]
    widths: Array
    trust: Array
    degrees: int

    @classmethod
    def fit(cls, last: Array, finals: Array, known: Sequence[Outcome]) -> Stack:
        """Learn from m finished curves.

        Args:
            last: Losses at the step, shape ``(m,)``.
            finals: Losses at the horizon, shape ``(m,)``.
            known: How the m cold forecasts, made at the step, turned out.
        """
        units = Units.of(last, finals)
        degrees = known[0].degrees
        center = np.array([outcome.summary.center for outcome in known])
        spread = units.sound(np.array([outcome.summary.spread for outcome in known]))
        tables = [np.array([outcome.log_densities for outcome in known]).T]
        regressions = []
        observed = features(units, last, center, spread)
        for (x, offset, unit), prior in zip(observed, PRIORS, strict=True):
            y = (finals - offset) / unit
            # The robust size of what is left to explain, but not less than a tenth of the mean.
            guess = max(float(np.median(np.abs(y))), 0.1 * float(np.abs(y).mean()), 1e-9)
            regression = Regression.fit(x, y, prior=prior, prior_variance=guess**2)
            scale = WIDTHS[:, None] * regression.held_out_scale
            z = (y - regression.held_out_mean) / scale
            tables.append(student_logpdf(z, degrees) - np.log(scale * unit))
            regressions.append(regression)
        analogs = (
            Analogs.fit(last, finals - last, LEAST_CHANGE * units.whole),
            Analogs.fit(last, (finals - center) / spread, LEAST_SURPRISE),
        )
        for analog, unit in zip(analogs, (np.ones_like(spread), spread), strict=True):
            tables.append(log(analog.held_out(WIDTHS, degrees)) - np.log(unit))
        widths, trust = pool(np.stack(tables))
        return cls(units, tuple(regressions), analogs, widths, trust, degrees)

    def predict(self, curve: Curve, cold: Posterior) -> Posterior:
        """The mixture for a new curve at the same step.

        Args:
            curve: Observed up to the step.
            cold: Its forecast without the peers.
        """
        summary = Summary.of(cold)
        low, high = min(self.units.low, curve.last), max(self.units.high, curve.last)
        weights, locations, scales = [cold.weights], [cold.locations], [cold.scales]
        spread = self.units.sound(np.array([summary.spread]))
        observed = features(self.units, np.array([curve.last]), np.array([summary.center]), spread)
        for (x, offset, unit), regression in zip(observed, self.regressions, strict=True):
            location, scale = regression.forecast(x[0])
            weights.append(np.ones(1))
            locations.append(offset + location * unit)
            scales.append(scale * unit)
        origins = ((curve.last, 1.0), (summary.center, float(spread[0])))
        for analog, (origin, length) in zip(self.analogs, origins, strict=True):
            weights.append(analog.weights(curve.last))
            locations.append(origin + length * analog.changes)
            scales.append(length * analog.bandwidths)
        shares = zip(weights, self.trust, strict=True)
        factors = zip(scales, self.widths, strict=True)
        return Posterior(
            np.concatenate([share * trust for share, trust in shares]),
            np.clip(np.concatenate(locations), low, high),
            np.minimum(np.concatenate([scale * width for scale, width in factors]), high - low),
            self.degrees,
            maximize=False,
        )


def log(densities: Array) -> Array:
    """Logarithms; of densities that underflow, very small ones."""
    return np.asarray(np.log(np.maximum(densities, 1e-300)), dtype=np.float64)


def features(
    units: Units, last: Array, center: Array, spread: Array
) -> tuple[tuple[Array, Array, Array], ...]:
    """Features, offset and unit of the target for each regression.

    Args:
        units: The study's scales.
        last: Losses at the step, shape ``(m,)``.
        center: Of the cold forecasts, shape ``(m,)``.
        spread: Of the cold forecasts, sound, shape ``(m,)``.
    """
    ones = np.ones_like(last)
    level = (last - units.center) / units.spread
    change = np.clip((center - last) / units.change, -10.0, 10.0)
    own_change = np.clip((center - last) / spread, -3.0, 3.0)
    # Where the cold forecast is wide, more is left to explain: weighted least squares.
    relative = np.sqrt(np.clip(spread / units.change, 1e-3, 1e3))
    return (
        (np.column_stack([ones, change, level]) / relative[:, None], last, units.change * relative),
        (np.column_stack([ones, own_change, np.clip(level, -3.0, 3.0)]), center, spread),
    )


def pool(tables: Array) -> tuple[Array, Array]:
    """Widths and weights of the forecasters.

    First each gets the width of its own that would have forecast best. But forecasts that are right
    one by one are too wide once they are mixed, so all are then narrowed by one factor: the
    spread-adjusted linear pool of Gneiting & Ranjan 2013 (https://arxiv.org/abs/1106.1638).

    Args:
        tables: Log densities of what was held out, by forecaster, width and curve: ``(k, W, m)``.

    Returns:
        Factors on the scales and weights, both of shape ``(k,)``.
    """
    lowest = np.median(tables, axis=(1, 2), keepdims=True) - LOWEST
    best = (np.maximum(tables, lowest).sum(axis=2) + WIDTH_PRIOR).argmax(axis=1)
    places = np.maximum(best + NARROWING[:, None], 0)  # (candidates, k)
    logs = tables[np.arange(len(tables)), places].swapaxes(1, 2)  # (candidates, m, k)
    highest = logs.max(axis=2, keepdims=True)
    densities = np.exp(logs - highest)
    trust = stacking(densities, PRIOR_TRUST)
    pooled = np.log(densities @ trust[:, :, None]) + highest
    scores = np.maximum(pooled[:, :, 0], np.median(pooled) - LOWEST).sum(axis=1)
    expected = EXPECTED * (1.0 + FEW / tables.shape[2])
    chosen = int((scores - 4.0 * np.log(1.25**NARROWING / expected) ** 2).argmax())
    return WIDTHS[places[chosen]], trust[chosen]


def stacking(densities: Array, prior: Array, rounds: int = 10) -> Array:
    """Weights of a mixture that maximise the density of what was held out, by EM.

    Args:
        densities: That every forecaster gave, up to a factor a curve; shape ``(..., m, k)``.
        prior: Pseudo-observations of every forecaster, shape ``(k,)``.
        rounds: EM steps.

    Returns:
        Shape ``(..., k)``, positive, sum 1.
    """
    weights: Array = np.broadcast_to(prior / prior.sum(), densities.shape[:-2] + prior.shape)
    for _ in range(rounds):
        joint = densities * weights[..., None, :]
        joint /= joint.sum(axis=-1, keepdims=True)
        weights = prior + joint.sum(axis=-2)
        weights /= weights.sum(axis=-1, keepdims=True)
    return weights
