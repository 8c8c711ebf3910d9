"""Linear models of latency, fitted to a few measured networks, and how good predictions are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optuna_nas.errors import ProfilingError

Array = NDArray[np.float64]

WEAK = 0.01
"""Shrinkage that hardly does anything, but enough where networks say nothing."""

_SHRINKAGES = (*10.0 ** np.arange(-4.0, 3.0, 0.5), np.inf)
"""Of deviations of kinds, from which the best is chosen; at infinity there are none."""


@dataclass(frozen=True)
class Quality:
    """How well latencies are predicted.

    Args:
        networks: Number of networks that predictions were compared on.
        kendall_tau: Rank correlation of predictions and measurements, tau-b; NaN below two
            networks.
        median_error: Median of |predicted / measured - 1|.
        p90_error: Its 90th percentile.
    """

    networks: int
    kendall_tau: float
    median_error: float
    p90_error: float

    @classmethod
    def of(cls, predicted: Sequence[float], measured: Sequence[float]) -> Quality:
        """Compares predictions with measurements, in one unit.

        Raises:
            ProfilingError: There are none, or not as many of one as of the other.
        """
        if len(predicted) != len(measured) or not len(measured):
            raise ProfilingError(
                f"predicted and measured: expected equally many, at least one, got "
                f"{len(predicted)} and {len(measured)}"
            )
        from scipy.stats import kendalltau

        errors = np.abs(np.asarray(predicted) / np.asarray(measured) - 1.0)
        tau = float(kendalltau(predicted, measured)[0]) if len(measured) > 1 else float("nan")
        median, high = np.quantile(errors, [0.5, 0.9])
        return cls(len(measured), tau, float(median), float(high))

    def to_dict(self) -> dict[str, Any]:
        """As plain values; what is not a number is None."""
        tau = None if np.isnan(self.kendall_tau) else self.kendall_tau
        return {**vars(self), "kendall_tau": tau}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Quality:
        """Reads what `to_dict` gave."""
        tau = state["kendall_tau"]
        return cls(**{**state, "kendall_tau": float("nan") if tau is None else tau})


@dataclass(frozen=True)
class LinearFit:
    """Coefficients of a linear model.

    Args:
        shared: Of the columns that every network has, shape (shared,).
        own: Of the columns of kinds, shape (kinds,): deviations from the one of the second column.
        shrinkage: How strongly those were held back.
    """

    shared: Array
    own: Array
    shrinkage: float


def checked_latencies(
    graphs: Sequence[object], latencies: Sequence[float], *, fewest: int
) -> Array:
    """Latencies of as many graphs, shape (networks,).

    Raises:
        ProfilingError: There are fewer than ``fewest``, not as many of one as of the other, or a
            latency is not above 0.
    """
    if len(graphs) != len(latencies) or len(graphs) < fewest:
        raise ProfilingError(
            f"graphs and latencies: expected equally many, at least {fewest}, got {len(graphs)} "
            f"and {len(latencies)}"
        )
    values = np.asarray(latencies, dtype=float)
    wrong = values[~((values > 0) & np.isfinite(values))]
    if len(wrong):
        raise ProfilingError(f"latencies: expected milliseconds above 0, got {wrong[0]}", wrong[0])
    return values


def fit_relative(
    shared: Array,
    latencies: Array,
    *,
    prior: Array,
    shrinkage: float = WEAK,
    own: Array | None = None,
) -> LinearFit:
    """Least squares of relative errors, shrunk towards a prior.

        min over b, d of  sum_i ((y_i - x_i b - z_i d) / y_i)^2
                          + e |S (b - prior)|^2 + l |s d|^2                                     (1)

    S and s make coefficients comparable: each is counted in what it adds to an average network.
    l is the one that predicts best what is left out, one network at a time, which for a linear fit
    with hat matrix H is residual / (1 - H_ii).

    Args:
        shared: x, shape (networks, shared); its second column is what ``own`` splits.
        latencies: y, shape (networks,), above 0.
        prior: Shape (shared,).
        shrinkage: e.
        own: z, shape (networks, kinds), in the unit of the second column.
    """
    columns = shared / latencies[:, None]
    sizes = columns.mean(axis=0)
    sizes[sizes == 0] = 1.0
    kinds = np.zeros((len(latencies), 0)) if own is None else own / latencies[:, None] / sizes[1]
    target = 1.0 - columns @ prior
    columns = columns / sizes
    best: tuple[float, float, Array] | None = None
    for strength in (np.inf,) if own is None else _SHRINKAGES:
        among = columns if np.isinf(strength) else np.hstack([columns, kinds])
        penalty = np.full(among.shape[1], strength)
        penalty[: columns.shape[1]] = shrinkage
        solve = np.linalg.solve(among.T @ among + np.diag(penalty), among.T)  # (1)
        left_out = (target - among @ (solve @ target)) / (1 - np.einsum("ij,ji->i", among, solve))
        error = float(np.mean(left_out**2))
        if best is None or error < best[0]:
            best = error, float(strength), solve @ target
    assert best is not None
    _, chosen, solution = best
    width = columns.shape[1]
    deviations = np.zeros(kinds.shape[1])
    deviations[: len(solution) - width] = solution[width:] / sizes[1]
    return LinearFit(solution[:width] / sizes + prior, deviations, chosen)
