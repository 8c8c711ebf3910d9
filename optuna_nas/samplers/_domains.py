"""Optuna's distributions and this project's domains, one as the other."""

from __future__ import annotations

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from optuna_nas.space.decisions import Categorical, Domain, FloatRange, IntegerRange, Value


def domain_of(distribution: BaseDistribution) -> Domain:
    """The domain that holds the same values.

    Raises:
        TypeError: If the distribution is of a kind that Optuna itself does not have.
    """
    if isinstance(distribution, CategoricalDistribution):
        return Categorical(_distinct(distribution.choices))
    if isinstance(distribution, IntDistribution):
        return IntegerRange(
            distribution.low, distribution.high, distribution.step, distribution.log
        )
    if isinstance(distribution, FloatDistribution):
        return FloatRange(distribution.low, distribution.high, distribution.step, distribution.log)
    raise TypeError(
        f"distribution must be one of Optuna's categorical, int or float distributions, got "
        f"{distribution!r}."
    )


def distribution_of(domain: Domain) -> BaseDistribution:
    """The distribution that suggesting the domain makes; inverse of `domain_of`."""
    if isinstance(domain, Categorical):
        return CategoricalDistribution(domain.choices)
    if isinstance(domain, IntegerRange):
        return IntDistribution(domain.low, domain.high, log=domain.log, step=domain.step)
    return FloatDistribution(domain.low, domain.high, log=domain.log, step=domain.step)


def same(a: BaseDistribution, b: BaseDistribution) -> bool:
    """Whether two distributions have the same domain.

    To Optuna the choices (0, 1) and (False, True) are equal, and it takes long to compare them.
    """
    if isinstance(a, CategoricalDistribution) and isinstance(b, CategoricalDistribution):
        if [*map(type, a.choices)] != [*map(type, b.choices)]:
            return False
        return a.choices == b.choices or a == b  # NaN equals itself only to Optuna
    return a is b or a == b


def draw(distribution: BaseDistribution, rng: np.random.Generator) -> Value:
    """A random value of a distribution."""
    return within(distribution, domain_of(distribution).sample(rng))


def within(distribution: BaseDistribution, value: Value) -> Value:
    """The value, without the rounding error by which the last of many steps may pass the end."""
    if isinstance(distribution, FloatDistribution) and distribution.step is not None:
        return min(float(value), distribution.high)
    return value


def _distinct(choices: tuple) -> tuple:  # type: ignore[type-arg]
    """Choices without repetition: to Optuna, equal choices are one (1, 1.0 and True, say)."""
    return tuple(choice for i, choice in enumerate(choices) if choice not in choices[:i])
