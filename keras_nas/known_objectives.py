"""Objectives of a search that samplers can compute for candidates which nobody has tried."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
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
    ways: dict[str, _Way] = {name: _Count(name, space) for name in _COUNTS}
    if table is not None:
        ways["latency_ms"] = _Latency(replace(cast(Any, table), space=space), space)
    most = {"params": limits.params, "latency_ms": limits.latency_ms}
    known: dict[int, _Way] = {
        number: _Known(name, ways[name], most.get(name))
        for number, name in enumerate(objective.objectives)
        if name in ways
    }
    return known if len(known) < len(objective.objectives) else {}


@dataclass(frozen=True)
class _Count:
    name: str
    space: SearchSpace

    def __call__(self, params: Mapping[str, Any]) -> float:
        return float(getattr(self.space.graph(self.space.genotype(params)), self.name))


@dataclass(frozen=True)
class _Latency:
    table: AdditiveLatency
    space: SearchSpace

    def __call__(self, params: Mapping[str, Any]) -> float:
        return self.table.predict(self.space.genotype(params))


@dataclass(frozen=True)
class _Known:
    """One objective below its limit; can be pickled, as samplers are."""

    name: str
    way: _Way
    limit: float | None

    def __call__(self, params: Mapping[str, Any]) -> float:
        value = self.way(params)
        if self.limit is not None and value > self.limit:
            raise InfeasibleArchitectureError(f"{self.name} is over {self.limit:g}", value)
        return value
