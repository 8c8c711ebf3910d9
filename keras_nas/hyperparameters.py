"""A declared space as Keras Tuner hyperparameters, one of the same name for each decision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from keras_nas._keras_tuner import keras_tuner
from optuna_nas.space import Genotype, SearchSpace
from optuna_nas.space.decisions import (
    Categorical,
    Domain,
    FloatRange,
    IntegerRange,
    Point,
    Value,
)

# The name of a decision, and those of its values under which another exists.
Condition = tuple[str, tuple[Value, ...]]
# Share of a range by which rounding may pass its end.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class _Hyperparameter:
    """A decision as Keras Tuner knows it."""

    name: str
    domain: Domain
    conditions: tuple[Condition, ...]
    default: Value


def declare(space: SearchSpace, hp: keras_tuner.HyperParameters) -> None:
    """Register every decision of a space, those of inactive branches too.

    What ``hp`` has registered already, under the same name and conditions, stays as it is. Name
    scopes and conditional scopes that are open in ``hp`` are honoured.

    A hyperparameter has one list of conditions, all of which must hold. A `Tied` decision that is
    met under several parents is registered under what those places have in common, and one that
    exists `When` a float has some value without that condition: they may be active in Keras Tuner
    where no layer asks for them, and never the other way round.

    Args:
        space: The space.
        hp: Gets the hyperparameters, and the default of each that is active and has no value.
    """
    active, inactive = len(hp.active_scopes), len(hp.inactive_scopes)
    for entry in _hyperparameters(space):
        with ExitStack() as scopes:
            for parent, values in entry.conditions:
                scopes.enter_context(hp.conditional_scope(parent, list(values)))
            with suppress(KeyError):  # it is known and active, but the host gave it no value
                _register(hp, entry)
    # A tuner builds a model for each scope it sees inactive, to find what is declared in there.
    del hp.active_scopes[active:], hp.inactive_scopes[inactive:]


def genotype_from(space: SearchSpace, hp: keras_tuner.HyperParameters) -> Genotype:
    """Declare a space and read what was decided; what has no value takes its default.

    Raises:
        GenotypeError: A value is outside its domain.
        InfeasibleSpaceError: Defaults are needed and no feasible architecture was found for them.
    """
    declare(space, hp)
    defaults = {entry.name: entry.default for entry in _hyperparameters(space)}
    return space.genotype({**defaults, **_held(space, hp)})


def read_genotype(space: SearchSpace, hp: keras_tuner.HyperParameters) -> Genotype:
    """What was decided in ``hp``, which is left as it is.

    Raises:
        GenotypeError: A decision is missing, or its value is outside its domain.
    """
    return space.genotype(_held(space, hp))


def hyperparameters_of(
    space: SearchSpace, genotype: Mapping[str, Value]
) -> keras_tuner.HyperParameters:
    """The declared space with the values of a genotype.

    Raises:
        GenotypeError: The genotype is not one of this space.
    """
    hp = keras_tuner.HyperParameters()
    hp.values = space.genotype(genotype).params
    declare(space, hp)
    return hp


def values_of(space: SearchSpace, genotype: Mapping[str, Value]) -> dict[str, Any]:
    """What ``hp.values`` holds for a genotype.

    That is the genotype, and the default of each decision that is active in Keras Tuner alone (see
    `declare`).

    Raises:
        GenotypeError: The genotype is not one of this space.
    """
    values: dict[str, Any] = hyperparameters_of(space, genotype).values
    return values


@lru_cache(maxsize=16)
def default_genotype(space: SearchSpace) -> Genotype:
    """The first value of every decision, or a drawn genotype where that is infeasible.

    Raises:
        InfeasibleSpaceError: None of many draws was feasible.
    """
    genotype = space.genotype({n: _first(domain) for n, domain in space.distributions().items()})
    return genotype if space.feasible(genotype) else space.sample(np.random.default_rng(0))


def _first(domain: Domain) -> Value:
    return domain.choices[0] if isinstance(domain, Categorical) else domain.low


def _held(space: SearchSpace, hp: keras_tuner.HyperParameters) -> dict[str, Any]:
    """Values in ``hp`` of a space's decisions, active or not."""
    return {
        entry.name: _within(entry.domain, hp.get(entry.name))
        for entry in _hyperparameters(space)
        if entry.name in hp
    }


def _within(domain: Domain, value: Any) -> Any:
    """``value``, brought back where Keras Tuner's arithmetic passed the end of a range."""
    if isinstance(domain, FloatRange) and isinstance(value, float):
        beyond = value - domain.high
        if 0 < beyond <= _ROUNDING * max(abs(domain.high), domain.high - domain.low):
            return domain.high
    # `Int.prob_to_value(1.0)` is one too many on a logarithmic scale; BayesianOptimization asks it.
    if isinstance(domain, IntegerRange) and domain.log and value == domain.high + 1:
        return domain.high
    return value


def _register(hp: keras_tuner.HyperParameters, entry: _Hyperparameter) -> None:
    name, domain, default = entry.name, entry.domain, entry.default
    if isinstance(domain, Categorical):
        if not isinstance(domain.choices[0], bool):
            hp.Choice(name, list(domain.choices), default=default)
        elif domain.size == 2:  # a Choice turns booleans into integers
            hp.Boolean(name, default)
        else:
            hp.Fixed(name, default)
        return
    sampling = "log" if domain.log else "linear"
    if isinstance(domain, IntegerRange):
        step = None if domain.log else domain.step  # which would be a factor
        hp.Int(name, domain.low, domain.high, step, sampling, default)
    else:
        hp.Float(name, domain.low, _high(domain), domain.step, sampling, default)


def _high(domain: FloatRange) -> float:
    """The end of a range, moved by a hair where Keras Tuner would count a step too few."""
    # Keras Tuner divides by `//`: of 0.1 to 0.3 in steps of 0.1 it would find two values.
    if domain.step is None or (domain.high - domain.low) // domain.step + 1 == domain.size:
        return domain.high
    return domain.high + _ROUNDING * domain.step


# --- conditions --------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def _hyperparameters(space: SearchSpace) -> tuple[_Hyperparameter, ...]:
    """Every decision once, parents first."""
    points: dict[str, Point] = {}
    # Where a decision is met: its parent there (None at the root), and the parent's values.
    places: dict[str, dict[str | None, set[Value]]] = {}

    def visit(group: Iterable[Point], parent: str | None, values: Iterable[Value]) -> None:
        for point in group:
            met = point.name in points
            points[point.name] = point
            places.setdefault(point.name, {}).setdefault(parent, set()).update(values)
            if not met:  # what hangs on a tied decision is the same wherever it is met
                for below, under in _below(point):
                    visit(below, point.name, under)

    visit(space.points, None, ())
    found: dict[str, tuple[Condition, ...]] = {}
    for name in points:
        _conditions(name, points, places, found)
    defaults = default_genotype(space)
    return tuple(
        _Hyperparameter(name, point.domain, found[name], defaults.get(name, _first(point.domain)))
        for name, point in points.items()
    )


def _below(point: Point) -> Iterable[tuple[tuple[Point, ...], list[Value]]]:
    """Groups of points that hang on one, each with the values under which it exists."""
    if point.copies:
        depths = list(point.domain.values())
        return [(copy, [d for d in depths if int(d) > i]) for i, copy in enumerate(point.copies)]
    return [(group, [value]) for value, group in point.branches.items()]


def _conditions(
    name: str,
    points: Mapping[str, Point],
    places: Mapping[str, Mapping[str | None, set[Value]]],
    found: dict[str, tuple[Condition, ...]],
) -> tuple[Condition, ...]:
    """What all places have in common in which a decision is met."""
    if name not in found:
        chains = []
        for parent, values in places[name].items():
            above = () if parent is None else _conditions(parent, points, places, found)
            chains.append(above if parent is None else above + _under(points[parent], values))
        found[name] = _common(chains, points)
    return found[name]


def _common(
    chains: list[tuple[Condition, ...]], points: Mapping[str, Point]
) -> tuple[Condition, ...]:
    common: tuple[Condition, ...] = ()
    for links in zip(*chains, strict=False):
        if len({parent for parent, _ in links}) > 1:
            break
        values = {value for _, under in links for value in under}
        common += _under(points[links[0][0]], values)
    return common


def _under(parent: Point, values: set[Value]) -> tuple[Condition, ...]:
    """That ``parent`` has one of ``values``, in the order of its domain; nothing where any does."""
    domain = parent.domain
    if isinstance(domain, FloatRange) or (isinstance(domain, IntegerRange) and domain.log):
        return ()  # a condition compares exactly, and Keras Tuner's arithmetic may be a hair off
    ordered = tuple(value for value in domain.values() if value in values)
    return ((parent.name, ordered),) if len(ordered) < domain.size else ()
