"""DARTS-PT: keep the alternatives that the supernet can least do without.

Wang et al. 2021, algorithm 1: the size of an alpha says little about how much its operation matters
to the supernet; what its removal costs does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
from numpy.typing import NDArray

from keras_nas.supernet.discretisation import left_out, reached
from keras_nas.supernet.policies.policy import Array
from optuna_nas.space.decisions import Value
from optuna_nas.supergraph import Gates, Role, SuperGraph


def select_by_perturbation(
    supergraph: SuperGraph,
    gates: Gates,
    quality: Callable[[Gates], float],
    tune: Callable[[Gates], None],
    rng: np.random.Generator,
    *,
    exclude: Collection[Role] | None = None,
) -> dict[str, Value]:
    """Decide one decision after another, in random order, choices before subsets.

    Args:
        supergraph: The networks.
        gates: Of the trained supernet: its softmax, or uniform where it has no alphas.
        quality: How well the supernet does on validation examples with given gates, by batch
            statistics; larger is better. The paper takes the accuracy; minus the loss also tells
            alternatives apart whose removal costs no example.
        tune: Trains the weights a little further with given gates; called after each decision.
        rng: Draws the order.
        exclude: Roles that are never chosen, as in `value_logits`.

    Returns:
        The decisions of an architecture.
    """
    barred = left_out(supergraph, exclude)
    mixed = {name: np.array(gate, float) for name, gate in gates.items()}
    values: dict[str, Value] = {}
    while open_decisions := _open(supergraph, mixed, values):
        name = open_decisions[rng.integers(len(open_decisions))]
        decision = supergraph.decisions[name]
        if decision.options is None:
            allowed = np.flatnonzero(~barred[name])
        else:
            allowed = np.arange(len(decision.values))
        if len(allowed) == 1:
            values[name] = decision.values[int(allowed[0])]
        elif decision.options is None:
            without = _qualities(mixed, name, allowed, quality)
            values[name] = decision.values[int(allowed[without.argmin()])]
        else:
            lost = quality(mixed) - _qualities(mixed, name, np.arange(decision.size), quality)
            values[name] = max(decision.values, key=lambda value: decision.hot(value) @ lost)
        mixed[name] = decision.hot(values[name])
        if len(allowed) > 1:
            tune(mixed)
    none = {name: np.zeros_like(gate) for name, gate in mixed.items()}
    hot = none | {name: mixed[name] for name in values}
    return {name: values[name] for name in reached(supergraph, hot)}


def _qualities(
    gates: Gates, name: str, positions: NDArray[np.intp], quality: Callable[[Gates], float]
) -> Array:
    """Quality (positions,) where only the gate of one alternative is closed."""

    def closed(position: int) -> float:
        without = gates[name].copy()
        without[position] = 0.0
        return quality({**gates, name: without})

    return np.array([closed(position) for position in positions])


def _open(supergraph: SuperGraph, gates: Gates, values: dict[str, Value]) -> list[str]:
    """Decisions to take next: those met before any other open choice; subsets only at the end."""
    closed = dict(gates)
    for name, decision in supergraph.decisions.items():
        if name not in values:
            closed[name] = np.full(decision.size, float(decision.options is not None))
    left = [name for name in reached(supergraph, closed) if name not in values]
    choices = [name for name in left if supergraph.decisions[name].options is None]
    return choices or left
