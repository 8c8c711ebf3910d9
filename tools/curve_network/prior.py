"""The prior that the curve network learns: synthetic learning curves by the million.

A curve is an amplitude times a progress from 0 to 1, plus what real training adds: plateaus before
a take-off, a first loss far above the rest, drops at changes of the learning rate, double descent,
overfitting, breakdowns, noise that is white or walks, that shrinks as training settles, spikes, and
the rounding of an accuracy counted on a finite validation set. No real curve is used.

Families of progress: Domhan et al. 2015 (table 1: pow, exponential, Weibull/janoschek, MMF/Hill,
logarithmic) in time relative to the horizon. The network sees curves only up to an affine map, so
offsets and amplitudes need no prior of their own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SHORTEST, LONGEST = 4, 200


def draw_curves(rng: np.random.Generator, count: int, horizon: int) -> Array:
    """Losses of `count` runs of `horizon` steps, shape ``(count, horizon)``; smaller is better."""
    t = np.broadcast_to(np.arange(1, horizon + 1) / horizon, (count, horizon))
    plateau = _delayed(rng, t, share=0.12)
    progress = _progress(rng, plateau, horizon)
    second = _progress(rng, plateau, horizon)
    share = np.where(rng.random((count, 1)) < 0.5, rng.random((count, 1)), 1.0)
    progress = share * progress + (1 - share) * second
    progress = _with_drops(rng, progress, t, share=0.2)
    losses = -progress
    losses = losses + _bump(rng, t, share=0.06) + _overfitting(rng, t, share=0.12)
    flat = rng.random((count, 1)) < 0.1  # nothing is learned at all
    losses = np.where(flat, 0.0, losses)
    losses = losses + _transient(rng, t, horizon, share=0.15)
    losses = losses + _breakdown(rng, t, share=0.06)
    losses = losses + _noise(rng, losses, t, horizon)
    return _rounded(rng, losses, share=0.25)


def _log_uniform(rng: np.random.Generator, low: float, high: float, count: int) -> Array:
    return np.exp(rng.uniform(np.log(low), np.log(high), (count, 1)))


def _progress(rng: np.random.Generator, t: Array, horizon: int) -> Array:
    """One of five families, scaled to go from about 0 to 1 at the horizon; 0 where t is 0."""
    count = len(t)
    time = _log_uniform(rng, 0.3 / horizon, 2.0, count)
    exponent = np.exp(rng.normal(0.0, 0.5, (count, 1)))
    alpha = np.exp(rng.normal(-0.7, 0.8, (count, 1)))
    safe = np.maximum(t, 1e-9)
    families = (
        lambda: 1.0 - (1.0 + safe / time) ** -alpha,  # pow4
        lambda: -np.expm1(-safe / time),  # exponential
        lambda: -np.expm1(-((safe / time) ** exponent)),  # Weibull, janoschek
        lambda: 1.0 / (1.0 + (time / safe) ** (1.5 * exponent)),  # MMF, Hill
        lambda: np.log1p(safe / time),  # ilog2, loglog linear
    )
    kinds = rng.choice(len(families), size=count, p=(0.3, 0.15, 0.2, 0.2, 0.15))
    raw = np.zeros_like(t)
    for kind, family in enumerate(families):
        rows = kinds == kind
        if rows.any():
            raw[rows] = family()[rows]
    raw = np.where(t > 0, raw, 0.0)
    top = np.maximum(raw[:, -1:], 1e-12)
    return raw / top


def _delayed(rng: np.random.Generator, t: Array, share: float) -> Array:
    """Time since take-off: for some runs training shows nothing for a while."""
    count = len(t)
    start = rng.beta(1.0, 2.0, (count, 1)) * 0.95
    late = rng.random((count, 1)) < share
    return np.where(late, np.maximum(t - start, 0.0), t)


def _with_drops(rng: np.random.Generator, progress: Array, t: Array, share: float) -> Array:
    """Sudden gains, as a learning rate schedule makes them."""
    count = len(t)
    stepped = rng.random((count, 1)) < share
    gain = np.zeros_like(t)
    for _ in range(3):
        at = rng.uniform(0.1, 1.0, (count, 1))
        size = rng.exponential(0.15, (count, 1)) * (rng.random((count, 1)) < 0.6)
        width = _log_uniform(rng, 0.005, 0.1, count)
        gain += size * -np.expm1(-np.maximum(t - at, 0.0) / width)
    return np.where(stepped, progress + gain, progress)


def _bump(rng: np.random.Generator, t: Array, share: float) -> Array:
    """A loss that rises for a while before it falls again: double descent."""
    count = len(t)
    centre, width = rng.uniform(0.05, 0.8, (count, 1)), rng.uniform(0.03, 0.25, (count, 1))
    height = rng.exponential(0.4, (count, 1)) * (rng.random((count, 1)) < share)
    return height * np.exp(-0.5 * ((t - centre) / width) ** 2)


def _overfitting(rng: np.random.Generator, t: Array, share: float) -> Array:
    """A validation loss that rises after its best epoch."""
    count = len(t)
    start = rng.uniform(0.05, 1.0, (count, 1))
    slope = rng.exponential(0.5, (count, 1)) * (rng.random((count, 1)) < share)
    return slope * np.maximum(t - start, 0.0) ** rng.uniform(0.5, 1.5, (count, 1))


def _transient(rng: np.random.Generator, t: Array, horizon: int, share: float) -> Array:
    """A first loss far above all that follow, gone within a few steps."""
    count = len(t)
    height = _log_uniform(rng, 0.3, 300.0, count) * (rng.random((count, 1)) < share)
    steps = _log_uniform(rng, 0.2, 3.0, count)
    return height * np.exp(-(t * horizon - 1.0) / steps)


def _breakdown(rng: np.random.Generator, t: Array, share: float) -> Array:
    """Training that breaks down in the middle: for good, or it recovers."""
    count = len(t)
    at = rng.random((count, 1))
    height = _log_uniform(rng, 0.1, 30.0, count) * (rng.random((count, 1)) < share)
    lasting = rng.random((count, 1)) < 0.6
    time = np.where(lasting, np.inf, _log_uniform(rng, 0.01, 1.0, count))
    return np.where(t >= at, height * np.exp(-np.maximum(t - at, 0.0) / time), 0.0)


def _noise(rng: np.random.Generator, losses: Array, t: Array, horizon: int) -> Array:
    """White, walking and spiky; white noise may shrink with time or with the remaining gain."""
    count = len(t)
    white = _log_uniform(rng, 1e-4, 0.3, count) * rng.normal(size=t.shape)
    remaining = np.abs(losses - losses[:, -1:]) + 0.05
    style = rng.choice(3, size=(count, 1), p=(0.5, 0.25, 0.25))
    white = np.where(style == 1, white * (1.1 - t), np.where(style == 2, white * remaining, white))
    walk = _log_uniform(rng, 1e-4, 0.3, count) / np.sqrt(horizon)
    heavy = rng.standard_t(4, size=t.shape)
    walking = np.cumsum(walk * heavy, axis=1)
    quiet = rng.random((count, 1)) < 0.3  # one kind of noise only
    walking = np.where(quiet, 0.0, walking)
    rate = np.where(rng.random((count, 1)) < 0.1, 2.0 / horizon, 0.0)
    spikes = (rng.random(t.shape) < rate) * rng.exponential(0.5, t.shape)
    return white + walking + spikes


def _rounded(rng: np.random.Generator, losses: Array, share: float) -> Array:
    """Counted on a finite set: steps of 1 / size of the unit amplitude."""
    count = len(losses)
    size = _log_uniform(rng, 20, 2000, count)
    counted = rng.random((count, 1)) < share
    return np.where(counted, np.round(losses * size) / size, losses)
