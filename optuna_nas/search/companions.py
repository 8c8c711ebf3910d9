"""Which decisions come into being with the value of another, learned from what was evaluated."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable

import numpy as np

from optuna_nas.search.encoding import Domains, Params
from optuna_nas.search.population import Individual
from optuna_nas.space.decisions import Value


class Companions:
    """For each value of a decision, the decisions that were taken whenever it was chosen.

    An objective that asks for its decisions as it runs does not say which exist together. But what
    was always there with ``depth = 3`` will be there in the next architecture of depth 3. Whatever
    the order in which individuals are learned, the same individuals teach the same.
    """

    def __init__(self) -> None:
        self._shapes: dict[frozenset[str], frozenset[str]] = {}
        # Decision and value -> names that always, and names that ever, came with it.
        self._always: dict[tuple[str, Hashable], frozenset[str]] = {}
        self._ever: dict[tuple[str, Hashable], frozenset[str]] = {}
        self._roots: frozenset[str] | None = None  # names that all individuals have

    def learn(self, individual: Individual) -> None:
        """Take in a complete individual; of continuous decisions no value comes twice."""
        shape = frozenset(individual.params)
        shape = self._shapes.setdefault(shape, shape)  # one object a shape: comparing is quick
        self._roots = shape if self._roots in (None, shape) else self._roots & shape
        for name, value in individual.params.items():
            if individual.domains[name].size == math.inf:
                continue
            key = name, value
            always, ever = self._always.get(key, shape), self._ever.get(key, shape)
            self._always[key] = always if always is shape else always & shape
            self._ever[key] = ever if ever is shape else ever | shape

    def complete(
        self, params: Params, changed: Iterable[str], domains: Domains, rng: np.random.Generator
    ) -> dict[str, Value]:
        """`params` with a random value for what comes into being with its changed decisions.

        What was never seen, or is not among `domains`, stays missing.
        """
        completed = dict(params)
        changed = list(changed)
        pending = list(changed)
        while pending:
            for new in sorted(self._with(pending.pop(), completed, changed)):
                if new not in completed and new in domains:
                    completed[new] = domains[new].sample(rng)
                    pending.append(new)
        return completed

    def existing(self, params: Params) -> dict[str, Value]:
        """The part of `params` that is known to exist: what always does, and what comes with it."""
        if self._roots is None:  # nothing was learned yet
            return dict(params)
        existing = set(self._roots)
        pending = [name for name in params if name in existing]
        while pending:
            new = self._with(pending.pop(0), params, existing & params.keys()) - existing
            existing |= new
            pending += [name for name in params if name in new]
        return {name: value for name, value in params.items() if name in existing}

    def _with(self, name: str, params: Params, others: Iterable[str]) -> frozenset[str]:
        """What comes with a decision and has come with other ones too.

        A layer's operation that was seen in deep networks alone seems to bring the layers below
        it; the depth knows better.
        """
        names = self._always.get((name, params[name]), frozenset())
        for other in others:
            names &= self._ever.get((other, params[other]), names)
        return names
