"""`LatencyJob`: everything that a latency table needs measured, here or on another device."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from optuna_nas.errors import ProfilingError
from optuna_nas.export import onnx_bytes
from optuna_nas.graph import ArchitectureGraph, Shape
from optuna_nas.profiling.fusion import FusedOperation, fused_operations, short
from optuna_nas.profiling.on_device import JOB_FILE, PACKAGE_FILE, SCRIPT, SCRIPT_FILE
from optuna_nas.profiling.operation_models import (
    empty_model,
    empty_time,
    has_probe,
    operation_model,
    operation_time,
    probe_model,
)
from optuna_nas.profiling.operation_times import OperationLatency, OperationTimes
from optuna_nas.profiling.remote import device_package
from optuna_nas.profiling.timing import ModelTimes
from optuna_nas.space import SearchSpace

EMPTY = {1: "one layer of nothing", 9: "nine layers of nothing"}
_PROBE_COPIES = 3
_DRAWS = 50
"""Draws for each network that is to be different from those before."""


@dataclass(frozen=True)
class LatencyJob:
    """The operations of a space, and networks that they make up.

    Args:
        space: The space.
        networks: Networks to fit to.
        held_out: Networks to judge predictions on.
        samples: Networks, besides these, whose operations are measured too.
        seed: Of the draws.
    """

    space: SearchSpace
    networks: int = 20
    held_out: int = 20
    samples: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("networks", "held_out", "samples"):
            value = getattr(self, name)
            if value < 0:
                raise ProfilingError(f"{name}: expected at least 0, got {value}", value)
        if self.networks + self.held_out + self.samples == 0:
            raise ProfilingError("samples: expected at least 1 where no networks are measured")

    @cached_property
    def _drawn(self) -> list[ArchitectureGraph]:
        """Networks different in function as far as the space has them, in one random order."""
        rng = np.random.default_rng(self.seed)
        wanted = self.networks + self.held_out + self.samples
        drawn: dict[str, ArchitectureGraph] = {}
        for _ in range(_DRAWS * wanted):
            if len(drawn) == wanted:
                break
            graph = self.space.graph(self.space.sample(rng))
            drawn.setdefault(graph.canonical_id, graph)
        return list(drawn.values())

    @property
    def fitted(self) -> list[ArchitectureGraph]:
        """Networks to fit to."""
        return self._drawn[: self.networks]

    @property
    def judged(self) -> list[ArchitectureGraph]:
        """Networks to judge predictions on."""
        return self._drawn[self.networks : self.networks + self.held_out]

    @cached_property
    def operations(self) -> dict[str, FusedOperation]:
        """The fused operations of all networks drawn, held-out ones excepted, by key."""
        known = [*self.fitted, *self._drawn[self.networks + self.held_out :]] or self._drawn
        return {o.key: o for graph in known for o in fused_operations(graph)}

    @cached_property
    def probes(self) -> dict[str, Shape]:
        """The shapes of images between operations, by the names of their probes' models.

        Each has several, for it is subtracted from the times of many operations.
        """
        shapes = {s for o in self.operations.values() for s in (*o.inputs, o.output)}
        images = sorted(filter(has_probe, shapes))
        return {f"probes {short(s)} ({k + 1})": s for s in images for k in range(_PROBE_COPIES)}

    @cached_property
    def models(self) -> Mapping[str, Callable[[], bytes]]:
        """What is to be timed, by name; a call serializes the model."""
        return {
            **{name: partial(empty_model, layers) for layers, name in EMPTY.items()},
            **{name: partial(probe_model, shape) for name, shape in self.probes.items()},
            **{key: partial(operation_model, o) for key, o in self.operations.items()},
            **{network(k): partial(onnx_bytes, g) for k, g in enumerate(self.fitted)},
            **{held_out(k): partial(onnx_bytes, g) for k, g in enumerate(self.judged)},
        }

    def empty_ms(self, times: ModelTimes) -> float:
        """Time of a run in which nothing is computed."""
        return empty_time({layers: times.ms[name] for layers, name in EMPTY.items()})

    def operation_times(self, times: ModelTimes) -> OperationTimes:
        """Times of the operations, from those of the models.

        Raises:
            ProfilingError: A model's time is missing.
        """
        missing = [name for name in self.models if name not in times.ms]
        if missing:
            raise ProfilingError(
                f"times: {len(missing)} of {len(self.models)} models were not measured, such as "
                f"{missing[0]!r}; export the job again and measure all of it",
                missing,
            )
        empty = self.empty_ms(times)
        probes: dict[Shape, float] = {}
        for name, shape in self.probes.items():
            probes[shape] = min(times.ms[name], probes.get(shape, float("inf")))
        found = {
            key: operation_time(times.ms[key], operation, probes, empty)
            for key, operation in self.operations.items()
        }
        return OperationTimes(
            {key: OperationLatency.of(o, found[key]) for key, o in self.operations.items()}
        )

    def export(self, folder: str | os.PathLike[str]) -> Path:
        """Writes models and a script to time them on another device.

        Copy the folder there, run ``python measure.py``, and bring ``measurements.json`` back
        into it: `LatencyTable.from_measurements` reads it. The device needs Python 3.10,
        onnxruntime and numpy.

        Args:
            folder: Is made where it does not exist, and must be empty.

        Raises:
            ProfilingError: The folder holds something.
        """
        target = Path(folder)
        if target.exists() and any(target.iterdir()):
            raise ProfilingError(
                f"folder: {os.fspath(folder)!r} is not empty; choose a new one", folder
            )
        (target / "models").mkdir(parents=True, exist_ok=True)
        files = {name: f"models/{k}.onnx" for k, name in enumerate(self.models)}
        for name, write in self.models.items():
            (target / files[name]).write_bytes(write())
        (target / PACKAGE_FILE).write_bytes(device_package(["timing", "on_device"]))
        (target / SCRIPT_FILE).write_text(SCRIPT, "utf-8")
        state = {**self._state(), "models": files}
        (target / JOB_FILE).write_text(json.dumps(state), "utf-8")
        return target

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> LatencyJob:
        """The job that was exported into a folder.

        Raises:
            ProfilingError: There is none.
        """
        try:
            state = json.loads((Path(folder) / JOB_FILE).read_text("utf-8"))
            state.pop("models")
            return cls(SearchSpace.from_json(state.pop("space")), **state)
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise ProfilingError(
                f"folder: {os.fspath(folder)!r} holds no exported latency job ({error})", folder
            ) from error

    def _state(self) -> dict[str, Any]:
        settings = ("networks", "held_out", "samples", "seed")
        return {"space": self.space.to_json(), **{name: getattr(self, name) for name in settings}}


def network(number: int) -> str:
    """Name of the model of a network to fit to."""
    return f"network {number}"


def held_out(number: int) -> str:
    """Name of the model of a network to judge by."""
    return f"held-out network {number}"
