"""`LatencyProfile`: what one measurement found, how sure it is, and where it was taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from optuna_nas.errors import ProfilingError

# What must agree before two latencies say anything about each other.
_ENVIRONMENT = ("onnxruntime", "provider", "threads", "cpu", "cores", "governor", "os", "batch")


@dataclass(frozen=True)
class OperationTime:
    """Time of one node of the optimised model (ONNX Runtime fuses: ``Conv`` may hold its ReLU).

    Args:
        name: The node's name after fusion.
        kind: Its ONNX operator.
        share: Its share of the time spent in nodes, 0 to 1.
        ms: That share of the profile's `min_ms`, since profiling itself slows every node down.
    """

    name: str
    kind: str
    share: float
    ms: float


@dataclass(frozen=True)
class LatencyProfile:
    """Latency of one model, all times in milliseconds for one run of one batch.

    Args:
        median_ms: Median over rounds of the median run in each round.
        p90_ms: 90th percentile of all timed runs.
        min_ms: Quickest timed run: the steadiest of the raw estimates.
        ci_ms: 95 % bootstrap interval (low, high) of `median_ms`, rounds resampled whole since
            neighbouring runs share a machine's slow and quick spells.
        ratio_to_anchor: Quickest run over the quickest run of the anchor network that alternated
            with it; None where it was measured without.
        ratio_ci: 95 % bootstrap interval of the median over rounds of that ratio.
        anchor_ms: Quickest run of the anchor here.
        anchor_reference_ms: What the anchor takes on this machine undisturbed, as the caller
            gave it (`anchor_reference_ms()` once a study); else None.
        runs: Timed runs.
        rounds: Rounds in which the model and the anchor took turns.
        seconds: Wall time of the measurement, loading and warm-up included.
        stopped_by: ``"narrow"``: the interval reached its target in an undisturbed moment;
            ``"budget"``: time ran out before.
        size_bytes: Size of the model file, external weights not included.
        peak_memory_bytes: Growth of the resident memory's high-water mark of a fresh process from
            just before the session is made until it has run: weights as the runtime lays them
            out, activations, the runtime's bookkeeping; neither the interpreter nor the library.
            None where it was not measured: without ``isolate=True``, with several models in
            one process, or outside Linux.
        energy_mj: Millijoules that the processor's packages drew for one run, other processes
            and idle draw included (see `optuna_nas.profiling.energy`); None where the machine
            shows no counters, which the provenance explains under ``energy``.
        operations: Time by node; empty unless asked for.
        params: Numbers stored as weights; None unless operations were asked for, and without the
            `onnx` package.
        macs: Multiply-accumulates of a run; None as for `params`, and where they can't be told.
        provenance: Where, when and how; see `optuna_nas.profiling.environment`.
    """

    median_ms: float
    p90_ms: float
    min_ms: float
    ci_ms: tuple[float, float]
    ratio_to_anchor: float | None
    ratio_ci: tuple[float, float] | None
    anchor_ms: float | None
    anchor_reference_ms: float | None
    runs: int
    rounds: int
    seconds: float
    stopped_by: str
    size_bytes: int
    peak_memory_bytes: int | None = None
    energy_mj: float | None = None
    operations: tuple[OperationTime, ...] = ()
    params: int | None = None
    macs: int | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def calibrated_ms(self) -> float:
        """The latency to optimise: `ratio_to_anchor` times what the anchor takes undisturbed.

        Slow spells of the machine, which the anchor shares, cancel out. Without a reference the
        anchor's own time in this measurement stands in, which makes it `min_ms`.
        """
        if self.ratio_to_anchor is None or self.anchor_reference_ms is None:
            return self.min_ms
        return self.ratio_to_anchor * self.anchor_reference_ms

    @property
    def slowdown(self) -> float | None:
        """How much slower than undisturbed the machine was: 1.1 means the anchor took 10 % more."""
        if self.anchor_ms is None or self.anchor_reference_ms is None:
            return None
        return self.anchor_ms / self.anchor_reference_ms

    def operations_by_kind(self) -> dict[str, OperationTime]:
        """Time of each kind of operator, dearest first; `name` counts its nodes."""
        kinds: dict[str, list[OperationTime]] = {}
        for operation in self.operations:
            kinds.setdefault(operation.kind, []).append(operation)
        sums = [
            OperationTime(
                f"{len(nodes)} nodes", kind, sum(n.share for n in nodes), sum(n.ms for n in nodes)
            )
            for kind, nodes in kinds.items()
        ]
        return {total.kind: total for total in sorted(sums, key=lambda total: -total.share)}

    def differences(self, other: LatencyProfile) -> dict[str, tuple[Any, Any]]:
        """What of the environment differs: ``{"threads": (1, 2)}``; empty where comparable."""
        return environment_differences(self.provenance, other.provenance)

    def comparable_with(self, other: LatencyProfile) -> bool:
        """Whether both were taken in like environments, so that their times may be compared."""
        return not self.differences(other)

    def require_comparable(self, other: LatencyProfile) -> None:
        """Checks that both were taken in like environments.

        Raises:
            ProfilingError: They were not; the message says what differs.
        """
        require_like_environments(self.provenance, other.provenance)

    def to_dict(self) -> dict[str, Any]:
        """The profile as plain, JSON-able values."""
        state = asdict(self)
        state["provenance"] = dict(self.provenance)
        state["operations"] = [asdict(operation) for operation in self.operations]
        state["ci_ms"] = list(self.ci_ms)
        state["ratio_ci"] = None if self.ratio_ci is None else list(self.ratio_ci)
        return state

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> LatencyProfile:
        """Reads what `to_dict` gave; keys of later versions are ignored.

        Raises:
            ProfilingError: A value that every profile has is missing.
        """
        known = {item.name for item in fields(cls)}
        values = {key: value for key, value in state.items() if key in known}
        try:
            values["ci_ms"] = tuple(values["ci_ms"])
            values["ratio_ci"] = tuple(values["ratio_ci"]) if values["ratio_ci"] else None
            values["operations"] = tuple(OperationTime(**o) for o in values.get("operations", ()))
            return cls(**values)
        except (KeyError, TypeError) as error:
            raise ProfilingError(f"this is no stored LatencyProfile: {error}", state) from error


def environment_differences(
    mine: Mapping[str, Any], theirs: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """What differs between the environments of two provenances: ``{"threads": (1, 2)}``."""
    return {
        key: (mine.get(key), theirs.get(key))
        for key in _ENVIRONMENT
        if mine.get(key) != theirs.get(key)
    }


def require_like_environments(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    """Checks that two provenances are of like environments.

    Raises:
        ProfilingError: They are not; the message says what differs.
    """
    differences = environment_differences(mine, theirs)
    if differences:
        listed = ", ".join(f"{key}: {a!r} and {b!r}" for key, (a, b) in differences.items())
        raise ProfilingError(
            f"these latencies can't be compared, they were measured with different {listed}; "
            "measure both again in one environment (profile_many)",
            differences,
        )
