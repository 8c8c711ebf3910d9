"""`OperationTimes`: what is known of fused operations, and what follows for others like them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from optuna_nas.errors import ProfilingError
from optuna_nas.graph import Shape
from optuna_nas.profiling.fusion import FUSED, FusedOperation


@dataclass(frozen=True)
class OperationLatency:
    """What is known of one fused operation.

    Args:
        ms: Its time in milliseconds, without what a measurement by itself adds.
        family: Operations of one family are interpolated between.
        work: By what: MACs, and values read and written.
        main: Its main layer, as text.
        channels: Channels that it reads.
        output: Shape that it gives.
    """

    ms: float
    family: str
    work: int
    main: str
    channels: int
    output: Shape

    @classmethod
    def of(cls, operation: FusedOperation, ms: float) -> OperationLatency:
        """The entry of an operation."""
        main, channels = operation.main.text, operation.inputs[0][-1]
        return cls(ms, operation.family, operation.work, main, channels, operation.output)


@dataclass(frozen=True)
class OperationTimes:
    """Times of fused operations.

    Args:
        entries: What is known of each, by key.
    """

    entries: Mapping[str, OperationLatency]

    def ms(self, operation: FusedOperation) -> float:
        """Time of an operation; of one that was not measured, between the nearest of its family.

        Nearest in work, one with less and one with more, or in proportion to the last one beyond
        all; among its kind, or all of its main layer's, where none of its family was measured.

        Raises:
            ProfilingError: Nothing like it was measured.
        """
        known = self.entries.get(operation.key)
        if known is not None:
            return known.ms
        names = (operation.family, operation.kind, operation.main.op)
        curve = next((self._curves[name] for name in names if name in self._curves), None)
        if curve is None:
            raise ProfilingError(
                f"no operation like {operation.key!r} was measured; measure the table on a space "
                "that has such operations",
                operation.key,
            )
        works, times = curve
        within = min(max(operation.work, works[0]), works[-1])
        return float(np.interp(within, works, times)) * operation.work / within

    def ms_of_layer(self, layer: FusedOperation) -> float:
        """Time of a layer whose neighbours are unknown, with as little fused to it as was measured.

        What is only ever fused to others takes no time: it is in theirs.

        Raises:
            ProfilingError: Nothing like it was measured.
        """
        known = self._by_main.get((layer.main.text, layer.inputs[0][-1], layer.output))
        if known is not None:
            return known
        return 0.0 if layer.main.op in FUSED else self.ms(layer)

    @cached_property
    def _curves(self) -> dict[str, tuple[list[int], list[float]]]:
        """Works in ascending order and mean times, of each family, kind and main operation."""
        groups: dict[str, dict[int, list[float]]] = {}
        for entry in self.entries.values():
            kind = entry.family.partition(" + ")[0]
            for name in {entry.family, kind, kind.partition(" ")[0]}:
                groups.setdefault(name, {}).setdefault(max(entry.work, 1), []).append(entry.ms)
        return {
            name: (sorted(times), [float(np.mean(times[work])) for work in sorted(times)])
            for name, times in groups.items()
        }

    @cached_property
    def _by_main(self) -> dict[tuple[str, int, Shape], float]:
        """Least time of all that have a main layer in common."""
        times: dict[tuple[str, int, Shape], float] = {}
        for entry in self.entries.values():
            place = (entry.main, entry.channels, entry.output)
            times[place] = min(entry.ms, times.get(place, math.inf))
        return times

    def to_state(self) -> dict[str, dict[str, Any]]:
        """As plain, JSON-able values."""
        return {key: vars(entry) for key, entry in self.entries.items()}

    @classmethod
    def from_state(cls, state: Mapping[str, Mapping[str, Any]]) -> OperationTimes:
        """Reads what `to_state` gave, through JSON too."""
        return cls(
            {
                key: OperationLatency(**{**entry, "output": tuple(entry["output"])})
                for key, entry in state.items()
            }
        )
