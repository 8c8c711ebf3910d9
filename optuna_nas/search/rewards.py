"""Rewards that weigh an accuracy against a cost, and that sharpen an accuracy.

For policy-gradient search, and as the value of a trial in any other:

    def objective(trial):
        ...
        return absolute_reward(accuracy, latency, target=20.0)
"""

from __future__ import annotations

import math


def absolute_reward(accuracy: float, cost: float, *, target: float, weight: float = -0.1) -> float:
    """The absolute reward of TuNAS (Bender et al. 2020, https://arxiv.org/abs/2008.06120).

        accuracy + beta |cost / target - 1|                                                     (1)

    Of architectures of one accuracy, the best has exactly the target's cost: a cheaper one could
    have been larger, and so better.

    Args:
        accuracy: From 0 to 1.
        cost: Latency, parameters or the like, of at least 0.
        target: The cost that is wanted, in the same unit.
        weight: beta, at most 0.

    Returns:
        The reward, to maximise; `accuracy` at the target.

    Raises:
        ValueError: If the cost is below 0 or NaN, the target not above 0, or the weight above 0.
    """
    _check(cost, target, weight=weight)
    return accuracy + weight * abs(cost / target - 1.0)  # (1)


def soft_reward(
    accuracy: float,
    cost: float,
    *,
    target: float,
    exponent: float = -0.07,
    exponent_below: float | None = None,
) -> float:
    """The reward of MnasNet (Tan et al. 2019, https://arxiv.org/abs/1807.11626, equation 2).

        accuracy (cost / target)^w                                                              (2)

    With one exponent, twice the cost is worth five per cent more accuracy (0.07, the paper's soft
    constraint). With ``exponent_below=0.0, exponent=-1.0`` only what is above the target is
    punished (the paper's hard constraint).

    Args:
        accuracy: From 0 to 1; any positive score does.
        cost: Latency, parameters or the like, above 0.
        target: The cost that is wanted, in the same unit.
        exponent: w for costs above the target, at most 0.
        exponent_below: w for costs up to the target; None for the same.

    Returns:
        The reward, to maximise; `accuracy` at the target.

    Raises:
        ValueError: If the cost or the target is not above 0, or an exponent is above 0.
    """
    below = exponent if exponent_below is None else exponent_below
    _check(cost, target, exponent=exponent, exponent_below=below)
    if cost == 0.0:
        raise ValueError("cost must be above 0, got 0: a free architecture has no soft reward.")
    return accuracy * math.pow(cost / target, exponent if cost > target else below)  # (2)


def cubic_reward(accuracy: float) -> float:
    """The reward of Zoph & Le 2017 (https://arxiv.org/abs/1611.01578, section 4.1): its cube.

    It tells good architectures better apart. Given to a search, `accuracy` is from 0 to 1; the
    paper takes the highest of the last five epochs.
    """
    return accuracy**3


def _check(cost: float, target: float, **slopes: float) -> None:
    if not cost >= 0.0:  # NaN also
        raise ValueError(f"cost must be at least 0, got {cost!r}.")
    if not (target > 0.0 and math.isfinite(target)):
        raise ValueError(f"target must be above 0 and finite, got {target!r}.")
    for name, slope in slopes.items():
        if not slope <= 0.0:
            raise ValueError(f"{name} must be at most 0, got {slope!r}: costs are punished.")
