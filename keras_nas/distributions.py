"""Keras Tuner's hyperparameters as Optuna's distributions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from keras_nas._keras_tuner import keras_tuner

_kinds = keras_tuner.engine.hyperparameters

# Share of a step by which rounding may miss the end of a range.
_ROUNDING = 1e-8


def distribution_of(hyperparameter: Any) -> BaseDistribution | None:
    """The distribution from which Optuna draws a hyperparameter.

    - ``Choice`` and ``Boolean`` are categorical, in the order of their values.
    - ``Int`` and ``Float`` keep their range, their step and ``sampling="log"``.
    - Where Keras Tuner multiplies by the step (``sampling="log"`` with a step, in powers of two
      for example), Optuna has no such range: the values are categorical.
    - ``sampling="reverse_log"``, dense at the upper end, is uniform.

    Args:
        hyperparameter: A ``keras_tuner.engine.hyperparameters.HyperParameter``.

    Returns:
        The distribution; None for ``Fixed``, which nobody chooses.

    Raises:
        TypeError: It is of a kind that Keras Tuner does not have.
    """
    if isinstance(hyperparameter, _kinds.Fixed):
        return None
    if isinstance(hyperparameter, _kinds.Boolean):
        return CategoricalDistribution((False, True))
    if isinstance(hyperparameter, _kinds.Choice):
        # Optuna counts choices by their place; a value that stands twice is one choice.
        return CategoricalDistribution(tuple(dict.fromkeys(hyperparameter.values)))
    if isinstance(hyperparameter, _kinds.Int | _kinds.Float):
        return _range_of(hyperparameter)
    raise TypeError(
        f"hyperparameter: expected a Choice, Boolean, Int, Float or Fixed of Keras Tuner, got "
        f"{type(hyperparameter).__name__}."
    )


def _range_of(hyperparameter: Any) -> BaseDistribution:
    low, high, step = hyperparameter.min_value, hyperparameter.max_value, hyperparameter.step
    whole = isinstance(hyperparameter, _kinds.Int)
    if hyperparameter.sampling != "linear" and step is not None:
        return CategoricalDistribution(tuple(_powers(low, high, step, hyperparameter.sampling)))
    log = hyperparameter.sampling == "log"
    if whole:
        step = step or 1
        return IntDistribution(low, low + (high - low) // step * step, log=log, step=step)
    if step is not None:
        # Optuna adds in decimals and warns of an end that no whole number of steps leads to: with
        # 15 digits, every sum is a number that a float holds.
        digits = 14 - math.floor(math.log10(max(abs(low), abs(high), step)))
        first, by = Decimal(str(round(low, digits))), Decimal(str(round(step, digits)))
        count = math.floor((high - low) / step + _ROUNDING)
        low, high, step = float(first), float(first + count * by), float(by)
    return FloatDistribution(low, high, log=log, step=step)


def _powers(low: Any, high: Any, step: Any, sampling: str) -> Iterable[Any]:
    """Values whose distance from the sparse end grows by a factor."""
    count = int(math.log(high / low, step) + _ROUNDING) + 1
    for index in range(count):
        value = low * step**index
        yield value if sampling == "log" else high + low - value


def parameter_names(space: Sequence[Any]) -> list[str]:
    """Names of the Optuna parameters of hyperparameters, each its own name if that can be.

    Keras Tuner lets one name stand under several conditions, with a range each. One Optuna
    parameter has one range; where another one comes up, its name tells the conditions.

    Args:
        space: ``HyperParameters.space``.

    Returns:
        One name for each, in their order.
    """
    first: dict[str, BaseDistribution | None] = {}
    names = []
    for hyperparameter in space:
        distribution = distribution_of(hyperparameter)
        name = hyperparameter.name
        if first.setdefault(name, distribution) != distribution:
            name += "".join(f" [{c.name}={list(c.values)}]" for c in hyperparameter.conditions)
        names.append(name)
    return names


def walk(
    space: Sequence[Any],
    choose: Callable[[Any, str], Any],
    values: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Decide every hyperparameter that is active under those decided before it.

    A hyperparameter may stand before its parent, for what a worker sends over the network is in no
    particular order.

    Args:
        space: ``HyperParameters.space``.
        choose: Given a hyperparameter and the name of its parameter, its value.
        values: What is already decided.

    Returns:
        Values of the active hyperparameters by name, `values` included.
    """
    decided = dict(values or {})
    waiting = list(zip(space, parameter_names(space), strict=True))
    while True:
        rest = []
        for hyperparameter, name in waiting:
            if not all(condition.is_active(decided) for condition in hyperparameter.conditions):
                rest.append((hyperparameter, name))
            elif hyperparameter.name not in decided:
                decided[hyperparameter.name] = choose(hyperparameter, name)
        if len(rest) in (0, len(waiting)):
            return decided
        waiting = rest


def parameters_of(
    space: Sequence[Any], values: Mapping[str, Any]
) -> dict[str, tuple[Any, BaseDistribution]]:
    """Optuna parameters of a trial of Keras Tuner: the active ones that have a value.

    A value outside its range (a default may be one) is left out, for Optuna takes none such.

    Args:
        space: ``HyperParameters.space``.
        values: ``HyperParameters.values``.

    Returns:
        Value and distribution by name of the parameter.
    """
    found: dict[str, tuple[Any, BaseDistribution]] = {}

    def take(hyperparameter: Any, name: str) -> Any:
        value = values.get(hyperparameter.name)
        distribution = distribution_of(hyperparameter)
        if value is not None and distribution is not None:
            value = nearest(distribution, value)
            if value is not None:
                found[name] = (value, distribution)
        return values.get(hyperparameter.name)

    walk(space, take)
    return found


def nearest(distribution: BaseDistribution, value: Any) -> Any:
    """A value as the distribution spells it; None where it is none of its values.

    Rounding is forgiven: Keras Tuner adds up steps in another order than Optuna.
    """
    if isinstance(distribution, CategoricalDistribution):
        for choice in distribution.choices:
            same_kind = isinstance(choice, bool) == isinstance(value, bool)
            if choice == value and (same_kind or set(distribution.choices) == {False, True}):
                return choice
            if isinstance(choice, float) and isinstance(value, float):  # noqa: SIM102
                if math.isclose(choice, value, rel_tol=_ROUNDING):
                    return choice
        return None
    if isinstance(value, bool | str):
        return None
    if isinstance(distribution, IntDistribution):
        value = int(value) if value == int(value) else value
    elif isinstance(distribution, FloatDistribution):
        low, high, step = distribution.low, distribution.high, distribution.step
        if step is not None and _on_grid(value, low, step):
            value = low + round((value - low) / step) * step
        margin = _ROUNDING * (high - low)
        value = min(max(value, low), high) if low - margin <= value <= high + margin else value
    return value if distribution._contains(distribution.to_internal_repr(value)) else None


def _on_grid(value: float, low: float, step: float) -> bool:
    steps = (value - low) / step
    return abs(steps - round(steps)) <= _ROUNDING * max(1.0, abs(steps))


def suggest(trial: Any, name: str, hyperparameter: Any) -> Any:
    """A value of a hyperparameter, drawn by a trial's sampler; its own where it is ``Fixed``."""
    distribution = distribution_of(hyperparameter)
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(
            name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    if isinstance(distribution, FloatDistribution):
        return trial.suggest_float(
            name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    return hyperparameter.value
