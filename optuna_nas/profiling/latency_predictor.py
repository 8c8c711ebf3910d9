"""`LatencyPredictor`: latencies learnt from a handful of measured networks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from optuna_nas.graph import ArchitectureGraph, Shape
from optuna_nas.profiling.additive import AdditiveLatency
from optuna_nas.profiling.fitting import checked_latencies, fit_relative
from optuna_nas.profiling.fusion import (
    FUSED,
    MB,
    FusedOperation,
    LayerLike,
    fused_operations,
    is_free,
    single_operation,
)
from optuna_nas.profiling.latency import LatencyProfile, require_like_environments
from optuna_nas.space import SearchSpace

MILLION = 1e-6

FEWEST = 4
"""Networks that a predictor can be fitted to: as many as all of them share coefficients."""


@dataclass(frozen=True)
class LatencyPredictor(AdditiveLatency):
    """Latencies where operations can't be timed by themselves, from those of whole networks.

        latency = offset + per_mb (megabytes of weights) + each (number of operations)
                  + sum over kinds k of (rate + deviation_k) (work of kind k)                    (1)

    Work is MACs, and values read and written, in millions; a kind is a layer of one window size.
    All operations have one rate until there are networks enough to tell kinds apart, which
    leaving them out one by one decides. From 12 networks it ranks better than MACs; a
    `LatencyTable` is better still, and costs more measurements.

    Args:
        offset_ms: Of (1).
        rate: Of (1), in milliseconds a million.
        ms_per_mb: Of (1).
        ms_each: Of (1).
        deviations: Of (1), by kind; 0 for kinds that are not listed.
        provenance: Where the networks were measured.
        space: The space, for genotypes to be predicted; None for graphs only.
    """

    KIND = "latency predictor"

    offset_ms: float
    rate: float
    ms_per_mb: float
    ms_each: float
    deviations: Mapping[str, float]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    space: SearchSpace | None = None

    @classmethod
    def fit(
        cls,
        graphs: Sequence[ArchitectureGraph],
        latencies: Sequence[float] | Sequence[LatencyProfile],
        *,
        space: SearchSpace | None = None,
    ) -> LatencyPredictor:
        """Fits (1) to measured networks, to the least relative error.

        Args:
            graphs: Their graphs; random ones of the space are best.
            latencies: In milliseconds; or profiles, whose `calibrated_ms` counts.
            space: Their space, for genotypes to be predicted.

        Raises:
            ProfilingError: There are fewer than four, not as many of one as of the other, a
                latency is not above 0, or profiles are of unlike environments.
        """
        provenance: Mapping[str, Any] = {}
        times = []
        for latency in latencies:
            if isinstance(latency, LatencyProfile):
                provenance = provenance or latency.provenance
                require_like_environments(provenance, latency.provenance)
                latency = latency.calibrated_ms
            times.append(float(latency))
        measured = checked_latencies(graphs, times, fewest=FEWEST)
        features = [_features(graph) for graph in graphs]
        kinds = sorted({kind for _, works in features for kind in works})
        shared = np.array([row for row, _ in features])  # (networks, 4)
        own = np.array([[works.get(kind, 0.0) for kind in kinds] for _, works in features])
        fit = fit_relative(shared, measured, prior=np.zeros(4), own=own)
        offset, rate, per_mb, each = map(float, fit.shared)
        deviations = {kind: float(d) for kind, d in zip(kinds, fit.own, strict=True) if d}
        return cls(offset, rate, per_mb, each, deviations, dict(provenance), space)

    def operation_ms(self, operation: FusedOperation) -> float:
        """Milliseconds that an operation adds to a network, by (1)."""
        rate = self.rate + self.deviations.get(operation.kind, 0.0)
        megabytes = MB * operation.weights
        return self.ms_each + rate * operation.work * MILLION + self.ms_per_mb * megabytes

    def cost_of(self, layer: LayerLike, inputs: Sequence[Shape], output: Shape) -> float:
        """Milliseconds that a layer adds, for the expected cost of a supernet, without the offset.

        Args:
            layer: Anything with an operation and attributes, such as a `SuperLayer`.
            inputs: Shapes read, channels last.
            output: Shape given.
        """
        if layer.op in FUSED or is_free(layer.op, inputs, output):
            return 0.0
        return self.operation_ms(single_operation(layer.op, layer.attributes, inputs, output))

    def to_json(self) -> str:
        """Serialise; `from_json` returns an equal one."""
        state = {item.name: getattr(self, item.name) for item in fields(self)}
        state["space"] = None if self.space is None else self.space.to_json()
        return json.dumps(
            {**state, "deviations": dict(self.deviations), "provenance": dict(self.provenance)}
        )


def _features(graph: ArchitectureGraph) -> tuple[list[float], dict[str, float]]:
    """Of (1): 1, work, megabytes and number of all operations; work by kind."""
    works: dict[str, float] = {}
    megabytes = number = 0.0
    for operation, count in fused_operations(graph).items():
        work = count * operation.work * MILLION
        works[operation.kind] = works.get(operation.kind, 0.0) + work
        megabytes += count * operation.weights * MB
        number += count
    return [1.0, sum(works.values()), megabytes, number], works
