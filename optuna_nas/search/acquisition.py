"""What a candidate promises, by what a model says of it. Losses are minimised throughout."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Array = NDArray[np.float64]


def expected_shortfall(threshold: float | Array, mean: Array, sd: Array) -> Array:
    """E[max(threshold - F, 0)] for normal F; of one threshold it is the expected improvement.

    Jones, Schonlau & Welch (1998, eq. 15). Shapes broadcast; a standard deviation of 0 is a value
    that is known.
    """
    gap = np.asarray(threshold - mean, dtype=float)
    known = sd <= 0.0
    z = gap / np.where(known, 1.0, sd)
    density = np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi)
    shortfall: Array = np.where(known, np.maximum(gap, 0.0), sd * (z * ndtr(z) + density))
    return shortfall


def probability_above(threshold: float, mean: Array, variance: Array) -> Array:
    """P(F > threshold) for normal F."""
    probability: Array = ndtr((mean - threshold) / np.sqrt(variance))
    return probability


def expected_hypervolume_improvement(
    front: Array, reference: Array, mean: Array, sd: Array
) -> Array:
    """Expected growth of the hypervolume that two objectives' front dominates, exactly.

    Between two neighbours of the front, the area that a new point (f1, f2) adds is the product of
    max(a_{i+1} - f1, 0) - max(a_i - f1, 0), the part of the strip from a_i to a_{i+1} to its right,
    and max(b_i - f2, 0), the height above it. The objectives are independent, so the expectation of
    each factor is an `expected_shortfall` (Emmerich et al. 2011 in another order of summation).

    Args:
        front: Shape (points, 2), in any order; dominated points do no harm.
        reference: Shape (2,); points beyond it count for nothing.
        mean: Shape (candidates, 2).
        sd: Shape (candidates, 2); 0 where an objective is known.

    Returns:
        Shape (candidates,).
    """
    edges, heights = _staircase(front, reference)
    reach = expected_shortfall(edges, mean[:, :1], sd[:, :1])  # (candidates, strips)
    widths = np.diff(reach, axis=1, prepend=0.0)
    above = expected_shortfall(heights, mean[:, 1:], sd[:, 1:])
    improvement: Array = np.sum(widths * above, axis=1)
    return improvement


def sampled_hypervolume_improvement(
    front: Array, reference: Array, samples: Array, directions: Array
) -> Array:
    """Mean growth of the hypervolume over samples of the objectives, for any number of them.

    The hypervolume is the mean over directions l of the positive orthant's sphere of the longest
    way along l from the reference that is dominated, to the power of the number m of objectives
    (Golovin & Zhang 2020, eq. 3), up to a constant factor that plays no role here.

    Args:
        front: Shape (points, m).
        reference: Shape (m,).
        samples: Shape (samples, candidates, m).
        directions: Shape (directions, m), positive.

    Returns:
        Shape (candidates,), up to a constant factor.
    """
    power = len(reference)
    gain = np.maximum(reference - samples, 0.0)
    length = np.min(gain[..., None, :] / directions, axis=-1)  # (samples, candidates, directions)
    known = np.maximum(reference - front, 0.0)[:, None, :] / directions
    longest = np.max(np.min(known, axis=-1), axis=0, initial=0.0)  # (directions,)
    growth = np.maximum(length**power - longest**power, 0.0)
    improvement: Array = growth.mean(axis=(0, 2))
    return improvement


def positive_directions(count: int, objectives: int, rng: np.random.Generator) -> Array:
    """Random unit vectors of the positive orthant, shape (count, objectives)."""
    vectors = np.maximum(np.abs(rng.standard_normal((count, objectives))), 1e-9)
    directions: Array = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return directions


def _staircase(front: Array, reference: Array) -> tuple[Array, Array]:
    """Right edges of the strips, up to the reference, and how high each is open to improvement."""
    inside = front[np.all(front < reference, axis=1)]
    inside = inside[np.lexsort((inside[:, 1], inside[:, 0]))]
    lowest = np.minimum.accumulate(inside[:, 1])
    steps = np.ones(len(inside), dtype=bool)  # each lower than all to its left
    steps[1:] = inside[1:, 1] < lowest[:-1]
    inside = inside[steps]
    edges = np.append(inside[:, 0], reference[0])
    return edges, np.append(reference[1], inside[:, 1])
