"""Gaussian kernel density estimates, to prefer what is rare."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def log_density(points: NDArray[np.float64], data: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithm of a density at some points, up to a constant.

    A product of Gaussian kernels on each datum, as wide as Scott's rule says in each dimension: the
    standard deviation times ``n ** (-1 / (d + 4))`` (Scott 1992, equation 6.42). A dimension in
    which all data agree does not count.

    Args:
        points: Shape (points, dimensions), finite.
        data: Shape (data, dimensions), finite, at least one.

    Returns:
        Shape (points,).
    """
    # By powers of two, which changes nothing but that squares are neither too large nor too small.
    _, exponents = np.frexp(np.abs(data).max(axis=0))
    points, data = np.ldexp(points, -exponents), np.ldexp(data, -exponents)
    spread = data.std(axis=0)
    counts = spread > 1e-12 * np.abs(data).max(axis=0)
    if not counts.any():
        return np.zeros(len(points))
    width = spread[counts] * len(data) ** (-1.0 / (counts.sum() + 4))
    scaled = (points[:, None, counts] - data[None, :, counts]) / width  # (points, data, counted)
    exponents = -0.5 * np.square(scaled).sum(axis=2)  # (points, data)
    highest = exponents.max(axis=1, keepdims=True)
    logarithms: NDArray[np.float64] = highest[:, 0] + np.log(
        np.exp(exponents - highest).mean(axis=1)
    )
    return logarithms


def rarity(points: NDArray[np.float64], data: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities in proportion to 1 / density, to draw one of the points with.

    The density is of the data and of the points themselves. So a point is at most as many times as
    likely as another one as there are of both: by the data alone, the farthest outlier would always
    be drawn.

    Args:
        points: Shape (points, dimensions), finite, at least one.
        data: Shape (data, dimensions), finite; may be empty.

    Returns:
        Shape (points,), with a sum of 1.
    """
    logarithms = -log_density(points, np.concatenate([data, points]))
    weights = np.exp(logarithms - logarithms.max())
    probabilities: NDArray[np.float64] = weights / weights.sum()
    return probabilities
