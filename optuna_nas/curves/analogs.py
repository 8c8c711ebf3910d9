"""What became of similar peers: rare events that no line through the others explains.

A kernel estimate of a conditional distribution (Hyndman et al. 1996, equation 1.2) with kernels
that are wide where data are few (Breiman, Meisel & Purcell 1977). Where one of 20 peers took off
late, a new one like them may: about one chance in 20 of a change like that peer's, however narrow
the others' changes are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optuna_nas.curves.posterior import student_pdf

Array = NDArray[np.float64]

# Peers count by 1 / (1 + (distance / NEAR)²), a distance of 1 being from the worst to the best.
NEAR = 0.25


@dataclass(frozen=True, eq=False)
class Analogs:
    """Changes of the peers, one kernel around each.

    Attributes:
        levels: Losses at the step in increasing order, shape ``(m,)``.
        ranks: Of the peers, between 0 and 1; shape ``(m,)``.
        changes: What is to be forecast, of every peer; shape ``(m,)``.
        bandwidths: Scales of the kernels, shape ``(m,)``.
    """

    levels: Array
    ranks: Array
    changes: Array
    bandwidths: Array

    @classmethod
    def fit(cls, last: Array, changes: Array, least: float) -> Analogs:
        """Learn from m peers.

        Args:
            last: Losses at the step, shape ``(m,)``; peers of similar rank count most.
            changes: Shape ``(m,)``.
            least: The least bandwidth, positive.
        """
        count = len(last)
        levels = np.sort(last)
        distances = np.abs(changes[:, None] - changes[None, :])
        distances.sort(axis=1)
        bandwidths = np.maximum(distances[:, min(round(math.sqrt(count)), count - 1)], least)
        return cls(levels, _ranks(levels, last), changes, bandwidths)

    def held_out(self, widths: Array, degrees: int) -> Array:
        """Densities of each change given all others, for factors on the bandwidths: ``(W, m)``."""
        near = _nearness(self.ranks[:, None] - self.ranks[None, :])
        np.fill_diagonal(near, 0.0)
        near /= near.sum(axis=1, keepdims=True)
        scales = widths[:, None] * self.bandwidths  # (W, m)
        gaps = self.changes[:, None] - self.changes[None, :]
        densities = student_pdf(gaps / scales[:, None, :], degrees) / scales[:, None, :]
        total: Array = (densities * near).sum(axis=2)
        return total

    def weights(self, last: float) -> Array:
        """How much each peer says of a curve whose loss at the step is `last`; sum 1."""
        near = _nearness(self.ranks - _ranks(self.levels, np.array([last])))
        normalised: Array = near / near.sum()
        return normalised


def _ranks(levels: Array, last: Array) -> Array:
    """Where losses are among the sorted levels, between 0 and 1; equal ones share their rank."""
    places = np.searchsorted(levels, last, side="left") + np.searchsorted(levels, last, "right")
    ranks: Array = places / (2.0 * len(levels))
    return ranks


def _nearness(distances: Array) -> Array:
    return 1.0 / (1.0 + (distances / NEAR) ** 2)
