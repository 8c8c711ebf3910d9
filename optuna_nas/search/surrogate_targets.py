"""Losses as targets of a regression: robust where it is bad, faithful where it is good."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Array = NDArray[np.float64]


def half_ranked(losses: Array, tier: Sequence[tuple[Any, ...]] | None = None) -> Array:
    """The better half as it is, the worse half as normal scores of its ranks; mean 0, variance 1.

    How bad a bad architecture is says little about good ones, and networks that do not learn lie
    far off; but the distances among the good ones are what the search is about. (In the spirit of
    the half-rank warping of Vizier, Song et al. 2024, arXiv:2408.11527.)

    Args:
        losses: Shape (n,); infinite where there is none.
        tier: Sorts what has an infinite loss, the smallest first; None for ties.

    Returns:
        Shape (n,), finite.
    """
    finite = np.isfinite(losses)
    lowest = losses[finite].min() if finite.any() else 0.0
    values = np.where(np.isneginf(losses), lowest, losses)
    middle = float(np.median(values[finite] / 2)) if finite.any() else -np.inf
    good = values / 2 <= middle
    scores = np.zeros(len(values))
    if good.any():
        gaps = values[good] / 2 - middle  # halves: of huge losses, sums and gaps are too large
        widest = np.abs(gaps).max()
        if widest > 0.0:
            gaps = np.ldexp(gaps, -np.frexp(widest)[1])  # their squares may be too large or small
            scores[good] = gaps / np.sqrt(np.mean(gaps**2))
    bad = np.flatnonzero(~good)
    if len(bad):
        place = np.unique(values[bad], return_inverse=True)[1]
        if tier is not None:
            keys = [(values[index], tier[index]) for index in bad.tolist()]
            places = {key: rank for rank, key in enumerate(sorted(set(keys)))}
            place = np.array([places[key] for key in keys])
        # A tie has the mean rank of those who share it; the normal's upper half, of unit RMS.
        counts = np.bincount(place)
        ranks = (np.cumsum(counts) - 0.5 * counts)[place]
        scores[bad] = ndtri(0.5 + 0.5 * ranks / len(bad))
    sd = scores.std()
    return (scores - scores.mean()) / sd if sd > 0.0 else np.zeros(len(scores))


def clipped(losses: Array, limit: float) -> tuple[Array, float, float]:
    """Losses of at most `limit`, with mean 0 and variance 1, and the mean and SD they had.

    Several objectives are weighed against each other, which distances have to survive.
    """
    values = np.clip(losses, np.min(losses[np.isfinite(losses)], initial=limit), limit)
    # By powers of two, which changes nothing but that sums and squares are no larger than can be.
    exponent = np.frexp(np.abs(values).max(initial=0.0))[1]
    scaled = np.ldexp(values, -exponent)
    mean, sd = scaled.mean(), scaled.std()
    if sd == 0.0:
        return values - values, float(np.ldexp(mean, exponent)), 1.0
    return (scaled - mean) / sd, float(np.ldexp(mean, exponent)), float(np.ldexp(sd, exponent))
