"""Objectives of a search that samplers can compute for candidates which nobody has tried."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, cast

from keras_nas.objective import NASObjective
from optuna_nas.errors import InfeasibleArchitectureError
from optuna_nas.profiling import AdditiveLatency
from optuna_nas.space import SearchSpace

_COUNTS = ("params", "macs", "peak_activation_bytes")

_Way = Callable[[Mapping[str, Any]], float]


def known_objectives(objective: NASObjective) -> dict[int, _Way]:
    """Functions for `PredictorSampler`'s argument of that name, by number of the objective.

    Counts are taken from the network's graph, latencies from the objective's table, if it has one.
    A function raises InfeasibleArchitectureError where a candidate is over a limit on these. There
    are none if no objective is left to be learned.
    """
    table, space, limits = objective.latency_table, objective.space, objective.limits
    ways: dict[str, _Way] = {name: partial(_count, space, name) for name in _COUNTS}
    if table is not None:
        ways["latency_ms"] = partial(_latency, space, replace(cast(Any, table), space=space))
    most = {"params": limits.params, "latency_ms": limits.latency_ms}
    # Partial functions can be pickled, as samplers are.
    known: dict[int, _Way] = {
        number: partial(_below, most.get(name), name, ways[name])
        for number, name in enumerate(objective.objectives)
        if name in ways
    }
    return known if len(known) < len(objective.objectives) else {}


def _count(space: SearchSpace, name: str, params: Mapping[str, Any]) -> float:
    return float(getattr(space.graph(space.genotype(params)), name))


def _latency(space: SearchSpace, table: AdditiveLatency, params: Mapping[str, Any]) -> float:
    return table.predict(space.genotype(params))


def _below(limit: float | None, name: str, way: _Way, params: Mapping[str, Any]) -> float:
    value = way(params)
    if limit is not None and value > limit:
        raise InfeasibleArchitectureError(f"{name} is over {limit:g}", value)
    return value
