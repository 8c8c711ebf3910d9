"""What is believed of a curve's value at the horizon."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optuna_nas.errors import CurveError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Posterior:
    """A mixture of Student-t distributions, in the units of the curve's values.

    Of a curve that has diverged the value is known to be worse than anything: `diverged` is true,
    the mean and all quantiles are infinite and nothing is ever beaten.

    Attributes:
        weights: Shape ``(k,)``, positive, sum 1.
        locations: Shape ``(k,)``.
        scales: Shape ``(k,)``, positive.
        degrees: Degrees of freedom of all components. Even and at least 4: the distribution
            function is then a finite sum (Abramowitz & Stegun 1964, 26.7.4), and mean and variance
            exist.
        maximize: Whether larger values are better.
        diverged: Whether the curve ended in NaN or infinity.
    """

    weights: Array
    locations: Array
    scales: Array
    degrees: int
    maximize: bool
    diverged: bool = False

    @classmethod
    def single(cls, location: float, scale: float, degrees: int, *, maximize: bool) -> Posterior:
        """One Student-t distribution."""
        return cls(np.ones(1), np.array([location]), np.array([scale]), degrees, maximize)

    @classmethod
    def of_diverged(cls, *, maximize: bool) -> Posterior:
        """What is left of a curve that ended in NaN or infinity: the worst there is."""
        worst = -math.inf if maximize else math.inf
        return cls(np.ones(1), np.array([worst]), np.ones(1), 4, maximize, diverged=True)

    @cached_property
    def mean(self) -> float:
        """Expected value; infinite for a diverged curve."""
        return float(self.weights @ self.locations)

    @cached_property
    def std(self) -> float:
        """Standard deviation; 0 for a diverged curve, whose value is certain."""
        if self.diverged:
            return 0.0
        # Var t_ν = ν / (ν - 2); total variance = mean of variances + variance of means.
        within = self.scales**2 * (self.degrees / (self.degrees - 2))
        between = (self.locations - self.mean) ** 2
        return math.sqrt(float(self.weights @ (within + between)))

    @overload
    def quantile(self, q: float) -> float: ...
    @overload
    def quantile(self, q: Array) -> Array: ...
    def quantile(self, q: ArrayLike) -> float | Array:
        """Value below which the final value lies with probability `q`.

        Args:
            q: Probability or array of probabilities, strictly between 0 and 1. Large quantiles are
                large values, also where larger is better.

        Raises:
            CurveError: If a probability is outside (0, 1).
        """
        probabilities = np.asarray(q, dtype=float)
        if not np.all((probabilities > 0) & (probabilities < 1)):
            raise CurveError(f"q: expected probabilities in (0, 1), got {q!r}.", q)
        found = np.empty(probabilities.shape)
        for index in np.ndindex(probabilities.shape):
            found[index] = self._quantile(float(probabilities[index]))
        return float(found) if found.ndim == 0 else found

    def prob_better_than(self, value: float) -> float:
        """Probability that the final value is better than `value`, in the curve's direction."""
        if self.diverged:
            return 0.0
        return 1.0 - self.cdf(value) if self.maximize else self.cdf(value)

    def cdf(self, value: float) -> float:
        """Probability that the final value is at most `value`."""
        if self.diverged:
            return 1.0 if self.maximize else 0.0
        if math.isinf(value):
            return 1.0 if value > 0 else 0.0
        below = student_cdf((value - self.locations) / self.scales, self.degrees)
        return min(1.0, max(0.0, float(self.weights @ below)))

    def logpdf(self, value: float) -> float:
        """Log density at `value`; -inf for a diverged curve."""
        if self.diverged:
            return -math.inf
        logs = student_logpdf((value - self.locations) / self.scales, self.degrees)
        logs += np.log(self.weights) - np.log(self.scales)
        top = float(logs.max())
        return top + math.log(float(np.exp(logs - top).sum()))

    def negated(self) -> Posterior:
        """The same belief of minus the value, better in the other direction."""
        return Posterior(
            self.weights,
            -self.locations,
            self.scales,
            self.degrees,
            not self.maximize,
            self.diverged,
        )

    def _quantile(self, q: float) -> float:
        if self.diverged:
            return float(self.locations[0])
        # A mixture's quantile lies between the smallest and the largest of its components'.
        standard = _student_quantile(q, self.degrees)
        ends = self.locations + self.scales * standard
        low, high = float(ends.min()), float(ends.max())
        x = min(max(self.mean, low), high)
        for _ in range(100):  # Newton's method, by bisection where it leaves the bracket
            excess = self.cdf(x) - q
            if abs(excess) <= 1e-13 or high - low <= 1e-15 * (abs(low) + abs(high)):
                break
            low, high = (low, x) if excess > 0 else (x, high)
            slope = math.exp(min(self.logpdf(x), 700.0))
            x = x - excess / slope if slope > 0 else math.inf
            if not low < x < high:
                x = 0.5 * (low + high)
        return x


def student_cdf(z: Array, degrees: int) -> Array:
    """Distribution function of Student's t for even degrees of freedom; element by element.

    Abramowitz & Stegun (1964), equation 26.7.4, with s = sin θ = z / sqrt(ν + z²):
    A = s · (1 + 1/2 cos²θ + 1·3/(2·4) cos⁴θ + ...), ν/2 terms, and F = (1 + A) / 2.
    """
    squared = z * z
    cosine = degrees / (degrees + squared)  # cos²θ
    total = np.ones_like(z)
    for k in range(degrees - 3, 0, -2):  # Horner, from the last term
        total = 1.0 + total * cosine * (k / (k + 1))
    return 0.5 + 0.5 * total * z / np.sqrt(degrees + squared)


def student_logpdf(z: Array, degrees: int) -> Array:
    """Log density of Student's t; element by element."""
    return _log_constant(degrees) - 0.5 * (degrees + 1) * np.log1p(z * z / degrees)


def student_pdf(z: Array, degrees: int) -> Array:
    """Density of Student's t for even degrees of freedom; element by element, without powers."""
    x = 1.0 + z * z / degrees
    power = np.sqrt(x)
    for _ in range(degrees // 2):
        power *= x  # (1 + z²/ν)^((ν + 1) / 2)
    density: Array = math.exp(_log_constant(degrees)) / power
    return density


def _log_constant(degrees: int) -> float:
    half = 0.5 * (degrees + 1)
    return math.lgamma(half) - math.lgamma(0.5 * degrees) - 0.5 * math.log(degrees * math.pi)


@lru_cache(maxsize=256)
def _student_quantile(q: float, degrees: int) -> float:
    """Where Student's distribution function reaches `q`, to 12 digits, by bisection."""
    low, high = -1e6, 1e6
    for _ in range(80):
        middle = 0.5 * (low + high)
        if float(student_cdf(np.array([middle]), degrees)[0]) < q:
            low = middle
        else:
            high = middle
        if high - low <= 1e-12 * (abs(low) + abs(high)):
            break
    return 0.5 * (low + high)
