"""Which hyperparameters a `build(hp)` asks for, and under which values of others.

Keras Tuner learns of a hyperparameter when a build asks for it. A declared space has to know all
of them beforehand, so builds are tried with other values and what they ask for is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from keras_nas._keras_tuner import keras_tuner
from keras_nas.blocks.costs import first_line
from keras_nas.distributions import distribution_of
from optuna_nas.errors import NASError, SpaceError

Build = Callable[[Any], Any]
# Of a range with more values, or a continuous one, the ends alone are tried.
_MAX_VALUES = 64


@dataclass(frozen=True)
class Found:
    """A hyperparameter that a build asks for.

    Args:
        hyperparameter: As Keras Tuner holds it.
        parent: The hyperparameter it depends on; None where it always exists.
        values: The parent's values under which it exists.
    """

    hyperparameter: Any
    parent: str | None = None
    values: tuple[Any, ...] = ()


def discover(build: Build) -> dict[str, Found]:
    """Find the hyperparameters of a build, by name, those that others depend on first.

    First some builds take every value of every choice, and both ends of every range, at once. Where
    all ask for the same, nothing depends on anything. Otherwise one hyperparameter is varied at a
    time, and those that come up are varied in their turn. What comes up only where two others,
    neither of which depends on the other, have unusual values at once is not found.

    Args:
        build: ``build(hp)``; what it returns is dropped.

    Raises:
        SpaceError: The build fails with its defaults, or gives one name to unlike hyperparameters.
    """
    search = _Search(build)
    defaults = search.run({})
    if defaults is None:
        raise SpaceError(
            f"The hypermodel can't be built with its defaults: {search.failure}", search.failure
        )
    if not search.is_flat(defaults):
        search.vary(defaults, {})
        search.settle()
    return search.in_order()


def is_constant(hyperparameter: Any) -> bool:
    """Whether a hyperparameter leaves nothing to decide."""
    distribution = distribution_of(hyperparameter)
    return distribution is None or distribution.single()


def _ends(hyperparameter: Any) -> tuple[Any, ...]:
    """All values of a choice, the first and the last of a range."""
    distribution = distribution_of(hyperparameter)
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    return distribution.low, distribution.high


def _all_values(hyperparameter: Any) -> tuple[Any, ...] | None:
    """Every value of a hyperparameter; None where it has too many to try."""
    distribution = distribution_of(hyperparameter)
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    if not isinstance(distribution, IntDistribution):
        return None
    values = range(distribution.low, distribution.high + 1, distribution.step)
    return tuple(values) if len(values) <= _MAX_VALUES else None


class _Search:
    def __init__(self, build: Build) -> None:
        self.build = build
        self.found: dict[str, Found] = {}
        self.failure = ""
        self.varied: set[str] = set()
        # What each build took, and for each name the parents it seems to have had somewhere.
        self.builds: list[dict[str, Any]] = []
        self.parents: dict[str, dict[str, tuple[Any, ...]]] = {}

    def run(self, values: Mapping[str, Any]) -> list[str] | None:
        """Names that a build with ``values`` asks for, in order; None where it fails."""
        hp = keras_tuner.HyperParameters()
        hp.values = dict(values)
        try:
            self.build(hp)
        except Exception as error:  # the user's code
            kind = "" if isinstance(error, NASError) else f"{type(error).__name__}: "
            self.failure = f"{kind}{first_line(error)}"
            return None
        for one in hp.space:
            self._note(one)
        asked = [one.name for one in hp.space if hp.is_active(one) and not is_constant(one)]
        self.builds.append({name: hp.values[name] for name in asked})
        return asked

    def _note(self, hyperparameter: Any) -> None:
        name = hyperparameter.name
        known = self.found.get(name)
        if known is None:
            nearest = hyperparameter.conditions[-1:]  # the outer ones hold for it, too
            conditions = [(c.name, tuple(c.values)) for c in nearest]
            self.found[name] = Found(hyperparameter, *(conditions[0] if conditions else ()))
        elif known.hyperparameter.get_config() != hyperparameter.get_config():
            raise SpaceError(
                f"The hyperparameter {name!r} of the hypermodel has another range or another "
                "condition under other values; give the two different names.",
                name,
            )

    def is_flat(self, defaults: list[str]) -> bool:
        """Whether builds that together take every value ask for the same hyperparameters."""
        ends = {name: _ends(self.found[name].hyperparameter) for name in defaults}
        for i in range(max(map(len, ends.values()), default=0)):
            asked = self.run({name: values[i % len(values)] for name, values in ends.items()})
            if asked != defaults or self.found.keys() - self._constants() != set(defaults):
                return False
        return True

    def _constants(self) -> set[str]:
        return {n for n, one in self.found.items() if is_constant(one.hyperparameter)}

    def vary(self, asked: list[str], context: Mapping[str, Any]) -> None:
        """Vary each hyperparameter that a build in ``context`` asks for."""
        for name in asked:
            if name in self.varied:
                continue
            self.varied.add(name)
            hyperparameter = self.found[name].hyperparameter
            runs = self._runs(hyperparameter, context)
            for value, there in runs.items():
                self.vary([n for n in there or () if n not in asked], {**context, name: value})

    def _runs(self, hyperparameter: Any, context: Mapping[str, Any]) -> dict[Any, list[str] | None]:
        """What builds ask for under the values of a hyperparameter, and who depends on it."""
        name = hyperparameter.name
        runs = {v: self.run({**context, name: v}) for v in _ends(hyperparameter)}
        known = [set(asked) for asked in runs.values() if asked is not None]
        if all(asked == known[0] for asked in known):
            return runs
        values = _all_values(hyperparameter)
        if values is None:
            return runs  # what depends on it is declared to exist always
        runs = {v: runs[v] if v in runs else self.run({**context, name: v}) for v in values}
        # A build that failed may have stopped before it asked.
        for other in {n for asked in runs.values() for n in asked or ()}:
            under = tuple(v for v, asked in runs.items() if asked is None or other in asked)
            if len(under) < len(values):
                self.parents.setdefault(other, {})[name] = under
        return runs

    def settle(self) -> None:
        """Of the parents that a hyperparameter seems to have, take the nearest that always holds.

        One that came up both in two branches and under a value of something in one of them seems
        to depend on the latter, but does not.
        """
        place = list(self.found)
        for name, parents in self.parents.items():
            known = self.found[name]
            if known.hyperparameter.conditions:
                continue  # the hypermodel said it itself
            for parent, values in sorted(parents.items(), key=lambda p: -place.index(p[0])):
                builds = (taken for taken in self.builds if name in taken)
                if all(taken.get(parent) in values for taken in builds):
                    self.found[name] = replace(known, parent=parent, values=values)
                    break

    def in_order(self) -> dict[str, Found]:
        ordered: dict[str, Found] = {}

        def add(name: str) -> None:
            found = self.found[name]
            if found.parent is not None and found.parent not in ordered:
                add(found.parent)
            ordered[name] = found

        for name in self.found:
            if name not in ordered:
                add(name)
        return ordered
