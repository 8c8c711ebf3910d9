"""Sharpness of the validation loss in the alphas, and when it says to stop (R-DARTS).

Zela et al. 2020 ("Understanding and Robustifying Differentiable Architecture Search", section 5)
find that architectures get worse once the dominant eigenvalue of the Hessian grows fast.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

from keras_nas.supernet.policies.policy import Array

STEP = 1e-2
"""Length of a finite difference: alphas are of the order of 1, gradients of single precision."""
WINDOW = 5
DELAY = 4
GROWTH = 1.3
FIRST_EPOCH = 10


def dominant_eigenvalue(
    gradient: Callable[[Array], Array],
    alphas: Array,
    rng: np.random.Generator,
    *,
    step: float = STEP,
    tolerance: float = 1e-3,
) -> float:
    """The eigenvalue of largest magnitude of the Hessian of a loss.

    Only gradients are asked for, two for each product of the Hessian with a vector.

    Args:
        gradient: Gradient (size,) of the loss at alphas (size,), always on the same examples.
        alphas: Where, (size,).
        rng: Draws the vector to start with.
        step: Length of the finite difference.
        tolerance: Relative accuracy.
    """

    def product(vector: Array) -> Array:
        """H v = (grad(alpha + s u) - grad(alpha - s u)) ||v|| / 2s, with u = v / ||v||."""
        vector = np.ravel(vector)
        norm = float(np.linalg.norm(vector))
        if norm == 0.0:
            return np.zeros_like(vector)
        ahead, behind = (gradient(alphas + s * vector / norm) for s in (step, -step))
        return (ahead - behind) * (norm / (2 * step))

    size = alphas.size
    if size < 3:  # too small for Lanczos iterations
        columns = np.stack([product(unit) for unit in np.eye(size)], axis=1)
        values = np.linalg.eigvalsh((columns + columns.T) / 2)
    else:
        operator = LinearOperator((size, size), matvec=product, dtype=np.float64)
        start = rng.standard_normal(size)
        try:
            values = eigsh(
                operator, k=1, which="LM", v0=start, tol=tolerance, return_eigenvectors=False
            )
        except ArpackError:
            # A flat loss, or eigenvalues too close to tell apart: power iterations will do.
            values = np.array([_power_iteration(product, start)])
    return float(values[np.abs(values).argmax()])


def _power_iteration(product: Callable[[Array], Array], vector: Array, rounds: int = 20) -> float:
    for _ in range(rounds):
        vector = vector / np.linalg.norm(vector)
        image = product(vector)
        value = float(vector @ image)
        if not image.any():
            break
        vector = image
    return value


def earlier_epoch(
    eigenvalues: Mapping[int, float],
    *,
    growth: float = GROWTH,
    window: int = WINDOW,
    delay: int = DELAY,
    first_epoch: int = FIRST_EPOCH,
) -> int | None:
    """The epoch whose architecture to return, where the search is to stop now; else None.

    Args:
        eigenvalues: Dominant eigenvalue by epoch, in the order of their measurement.
        growth: Stop where the mean is more than this times what it was ``delay`` measurements ago.
        window: Measurements averaged, fewer at the start.
        delay: How far back, in measurements.
        first_epoch: No stop before.
    """
    epochs = list(eigenvalues)
    if len(epochs) <= delay or epochs[-1] < first_epoch:
        return None
    values = np.array(list(eigenvalues.values()))
    now, before = (
        values[max(0, end - window) : end].mean() for end in (len(values), len(values) - delay)
    )
    return epochs[-1 - delay] if now > growth * before > 0 else None
