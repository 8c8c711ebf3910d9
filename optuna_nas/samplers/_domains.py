"""Optuna's distributions and this project's domains, one as the other."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from optuna_nas.space.decisions import Categorical, Domain, FloatRange, IntegerRange, Value


class _List(list[Any]):
    def __hash__(self) -> int:  # type: ignore[override]
        return hash(repr(self))


class _Dict(dict[Any, Any]):
    def __hash__(self) -> int:  # type: ignore[override]
        return hash(repr(self))


_PLAIN = (str, int, float, type(None))
_KEYS: dict[type, Callable[[Any], Hashable]] = {list: _List, dict: _Dict, set: frozenset}


def domain_of(distribution: BaseDistribution) -> Domain:
    """The domain that holds the same values.

    Raises:
        TypeError: If the distribution is of a kind that Optuna itself does not have, or if choices
            are neither hashable nor lists, dictionaries or sets.
    """
    if isinstance(distribution, CategoricalDistribution):
        return Categorical(tuple(map(hashable, _distinct(distribution.choices))))
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


def hashable(value: Any) -> Any:
    """An equal value that can be a key; to Optuna, choices can be lists and dictionaries as well.

    Raises:
        TypeError: If the value is of another type that is not hashable.
    """
    try:
        hash(value)
    except TypeError as error:
        if type(value) in _KEYS:
            return _KEYS[type(value)](value)
        raise TypeError(
            f"choices of a categorical parameter must be hashable, or lists, dictionaries or sets, "
            f"got {value!r} of type {type(value).__name__}. Suggest a name or a number, and look "
            "the object up by it."
        ) from error
    return value


def hashable_params(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Parameters with `hashable` values; themselves where they are, as mostly."""
    if all(isinstance(value, _PLAIN) for value in params.values()):
        return params
    return {name: hashable(value) for name, value in params.items()}


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
