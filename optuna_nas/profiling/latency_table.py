"""`LatencyTable`: latencies of networks predicted from times of their operations."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from optuna_nas.errors import ProfilingError
from optuna_nas.export import replace_file
from optuna_nas.graph import ArchitectureGraph, Shape
from optuna_nas.profiling.additive import AdditiveLatency
from optuna_nas.profiling.fitting import Quality, checked_latencies, fit_relative
from optuna_nas.profiling.fusion import (
    MB,
    FusedOperation,
    LayerLike,
    fused_operations,
    is_free,
    single_operation,
)
from optuna_nas.profiling.job import LatencyJob, held_out, network
from optuna_nas.profiling.latency import LatencyProfile, require_like_environments
from optuna_nas.profiling.on_device import RESULT_FILE
from optuna_nas.profiling.operation_times import OperationTimes
from optuna_nas.profiling.timing import ModelTimes, time_models
from optuna_nas.space import Genotype, SearchSpace

SHRINKAGE = 0.3
"""How firmly coefficients are held: best or nearly so for 6 to 20 networks of NAS-Bench-201,
`mobile_cnn` and `chain_cnn`, where least squares would trade operations' times for weights."""

Timer = Callable[[Mapping[str, Callable[[], bytes]]], ModelTimes]
"""Times models, each of which a call serializes, by name."""


@dataclass(frozen=True)
class LatencyTable(AdditiveLatency):
    """Latencies on one device, from the times of fused operations.

        latency = offset + scale (sum of the operations' times)
                  + per_mb (megabytes of weights)                                               (1)

    Operations are timed with their weights in the nearest cache; a network's don't fit there,
    which the last term makes up for. Look-up tables as in FBNet (Wu et al. 2019) and ProxylessNAS
    (Cai et al. 2019), but of what the runtime fuses, and less what a measurement by itself adds.

    Args:
        operations: Times of the operations.
        offset_ms: Of (1).
        scale: Of (1).
        ms_per_mb: Of (1).
        quality: On networks that were not fitted to; None where none were measured.
        provenance: Where and how it was measured.
        space: The space, for genotypes to be predicted; None for graphs only.
    """

    KIND = "latency table"

    operations: OperationTimes
    offset_ms: float
    scale: float
    ms_per_mb: float
    quality: Quality | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    space: SearchSpace | None = None

    @classmethod
    def measure(
        cls,
        space: SearchSpace,
        *,
        networks: int = 20,
        held_out: int = 20,
        samples: int = 200,
        seed: int = 0,
        timer: Timer = time_models,
    ) -> LatencyTable:
        """Measures a space on this machine, once for all searches in it.

        Args:
            space: The space.
            networks: Networks that (1) is fitted to; with none, operations are only added up.
            held_out: Networks that predictions are judged on, their operations not measured for
                them.
            samples: Operations are those of this many more random networks. What is met later
                and was not among them is interpolated.
            seed: Of the draws of networks.
            timer: Times the models; `functools.partial(time_models, seconds=0.1, threads=2)` for
                other settings, or your own for a device that it can reach.

        Raises:
            ProfilingError: ONNX Runtime is missing or fails.
            ExportError: `onnx` is missing, or an operation has no rule.
        """
        job = LatencyJob(space, networks, held_out, samples, seed)
        return cls.from_times(job, timer(job.models))

    @classmethod
    def from_measurements(
        cls,
        folder: str | os.PathLike[str],
        measurements: str | os.PathLike[str] | None = None,
    ) -> LatencyTable:
        """Reads what the script of an exported `LatencyJob` measured.

        Args:
            folder: Where the job was exported to.
            measurements: The script's result; ``measurements.json`` in the folder if left out.

        Raises:
            ProfilingError: A file is missing or holds something else.
        """
        path = Path(folder) / RESULT_FILE if measurements is None else Path(measurements)
        try:
            state = json.loads(path.read_text("utf-8"))
            found = {str(name): float(ms) for name, ms in state["times_ms"].items()}
            times = ModelTimes(found, dict(state["provenance"]))
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise ProfilingError(
                f"measurements: {os.fspath(path)!r} can't be read ({error}); run measure.py on the "
                "device and bring back the file it writes",
                path,
            ) from error
        return cls.from_times(LatencyJob.load(folder), times)

    @classmethod
    def from_times(cls, job: LatencyJob, times: ModelTimes) -> LatencyTable:
        """Makes a table of the times of a job's models.

        Raises:
            ProfilingError: Times are missing.
        """
        table = cls(
            job.operation_times(times),
            offset_ms=job.empty_ms(times),
            scale=1.0,
            ms_per_mb=0.0,
            provenance=dict(times.provenance),
            space=job.space,
        )
        measured = [times.ms[network(k)] for k in range(len(job.fitted))]
        table = table.fitted_to(job.fitted, measured) if measured else table
        judged = [times.ms[held_out(k)] for k in range(len(job.judged))]
        if not judged:
            return table
        return replace(table, quality=Quality.of(list(map(table.predict, job.judged)), judged))

    def fitted_to(
        self, graphs: Sequence[ArchitectureGraph], latencies_ms: Sequence[float]
    ) -> LatencyTable:
        """The same operations with (1) fitted to measured networks, maybe of another device.

        Coefficients stay near those the table has, times what the networks' latencies are of its
        predictions. The quality is forgotten.

        Args:
            graphs: Graphs of the networks; 5 to 20 random ones will do.
            latencies_ms: Their latencies, in milliseconds.

        Raises:
            ProfilingError: There are none, not as many of one as of the other, or a latency is
                not above 0.
        """
        latencies = checked_latencies(graphs, latencies_ms, fewest=1)
        columns = np.array([[1.0, *self._sums(graph)] for graph in graphs])  # (networks, 3)
        prior = np.array([self.offset_ms, self.scale, self.ms_per_mb])
        prior *= np.median(latencies / (columns @ prior))
        fit = fit_relative(columns, latencies, prior=prior, shrinkage=SHRINKAGE)
        offset, scale, per_mb = map(float, fit.shared)
        return replace(self, offset_ms=offset, scale=scale, ms_per_mb=per_mb, quality=None)

    def operation_ms(self, operation: FusedOperation) -> float:
        """Milliseconds that an operation adds to a network, by (1).

        One that was not measured is interpolated between those of its family that are nearest in
        work (MACs, and values read and written). `covers` tells whether a network has any.

        Raises:
            ProfilingError: Nothing like it was measured.
        """
        time, megabytes = self.operations.ms(operation), operation.weights * MB
        return self.scale * time + self.ms_per_mb * megabytes

    def missing(self, network: ArchitectureGraph | Genotype) -> list[str]:
        """Keys of a network's operations that were not measured, sorted."""
        keys = {operation.key for operation in fused_operations(self.graph_of(network))}
        return sorted(keys - set(self.operations.entries))

    def covers(self, network: ArchitectureGraph | Genotype) -> bool:
        """Whether all operations of a network were measured."""
        return not self.missing(network)

    def coverage(self, space: SearchSpace, *, networks: int = 20, seed: int = 0) -> float:
        """Share of the operations of random networks of a space, maybe another, that were measured.

        Args:
            space: The space.
            networks: How many networks.
            seed: Of the draws.
        """
        rng = np.random.default_rng(seed)
        met = Counter[str]()
        for _ in range(networks):
            for operation, count in fused_operations(space.graph(space.sample(rng))).items():
                met[operation.key] += count
        known = sum(count for key, count in met.items() if key in self.operations.entries)
        return known / max(1, met.total())

    def cost_of(self, layer: LayerLike, inputs: Sequence[Shape], output: Shape) -> float:
        """Milliseconds that a layer adds, for the expected cost of a supernet.

        What is fused is counted at the layer with weights; normalisations, and activations that
        were never measured by themselves, are free. `offset_ms` is not included.

        Args:
            layer: Anything with an operation and attributes, such as a `SuperLayer`.
            inputs: Shapes read, channels last.
            output: Shape given.

        Raises:
            ProfilingError: Nothing like it was measured.
        """
        if is_free(layer.op, inputs, output):
            return 0.0
        operation = single_operation(layer.op, layer.attributes, inputs, output)
        megabytes = MB * operation.weights
        return self.scale * self.operations.ms_of_layer(operation) + self.ms_per_mb * megabytes

    def judge(
        self,
        networks: Sequence[ArchitectureGraph | Genotype],
        profiles: Sequence[LatencyProfile],
    ) -> Quality:
        """Compares predictions with profiles (`calibrated_ms`) of networks.

        Raises:
            ProfilingError: A profile was measured in another environment than the table.
        """
        for profile in profiles:
            require_like_environments(self.provenance, profile.provenance)
        return Quality.of(list(map(self.predict, networks)), [p.calibrated_ms for p in profiles])

    def _sums(self, graph: ArchitectureGraph) -> tuple[float, float]:
        """Milliseconds of all operations, and megabytes of weights."""
        time = weights = 0.0
        for operation, count in fused_operations(graph).items():
            time += count * self.operations.ms(operation)
            weights += count * operation.weights
        return time, weights * MB

    def require_comparable(self, other: LatencyTable | LatencyProfile) -> None:
        """Checks that both were measured in like environments.

        Raises:
            ProfilingError: They were not; the message says what differs.
        """
        require_like_environments(self.provenance, other.provenance)

    def to_json(self) -> str:
        """Serialise; `from_json` returns an equal one."""
        state = {
            "operations": self.operations.to_state(),
            "offset_ms": self.offset_ms,
            "scale": self.scale,
            "ms_per_mb": self.ms_per_mb,
            "quality": None if self.quality is None else self.quality.to_dict(),
            "provenance": dict(self.provenance),
            "space": None if self.space is None else self.space.to_json(),
        }
        return json.dumps(state, indent=1)

    @classmethod
    def _fields(cls, state: dict[str, Any]) -> dict[str, Any]:
        quality = state["quality"]
        return {
            **state,
            "operations": OperationTimes.from_state(state["operations"]),
            "quality": None if quality is None else Quality.from_dict(quality),
        }

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the table to a file, whole or not at all."""
        return replace_file(path, self.to_json().encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> LatencyTable:
        """Reads what `save` wrote.

        Raises:
            ProfilingError: The file can't be read or holds something else.
        """
        try:
            text = Path(path).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ProfilingError(
                f"path: can't read the latency table {os.fspath(path)!r} ({error})", path
            ) from error
        try:
            return cls.from_json(text)
        except ProfilingError as error:
            raise ProfilingError(f"path: {os.fspath(path)!r}: {error}", path) from error
