"""Latencies that are an offset and a sum over fused operations."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, TypeVar

from optuna_nas.errors import ProfilingError
from optuna_nas.graph import ArchitectureGraph
from optuna_nas.profiling.fusion import FusedOperation
from optuna_nas.profiling.genotype_costs import GenotypeCosts, total
from optuna_nas.space import Genotype, SearchSpace

T = TypeVar("T", bound="AdditiveLatency")


class AdditiveLatency(ABC):
    """A latency that is an offset and what each fused operation adds."""

    KIND: ClassVar[str]
    """What it is called in messages."""

    offset_ms: float
    provenance: Mapping[str, Any]
    space: SearchSpace | None

    @abstractmethod
    def operation_ms(self, operation: FusedOperation) -> float:
        """Milliseconds that an operation adds to a network.

        Raises:
            ProfilingError: Nothing is known of such operations.
        """

    @abstractmethod
    def to_json(self) -> str:
        """Serialise; `from_json` returns an equal one."""

    @classmethod
    def from_json(cls: type[T], text: str) -> T:
        """Reads what `to_json` wrote.

        Raises:
            ProfilingError: The text is something else.
        """
        try:
            state = json.loads(text)
            if state.get("space") is not None:
                state["space"] = SearchSpace.from_json(state["space"])
            return cls(**cls._fields(state))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ProfilingError(f"this is not the JSON of a {cls.KIND}: {error!r}") from error

    @classmethod
    def _fields(cls, state: dict[str, Any]) -> dict[str, Any]:
        """Arguments, from what `to_json` wrote with the space read."""
        return state

    def predict(self, network: ArchitectureGraph | Genotype) -> float:
        """Latency of a network in milliseconds.

        Args:
            network: Its graph, or a genotype of the space; what its parts add is remembered, so
                that a genotype made of known parts takes microseconds.

        Raises:
            ProfilingError: Nothing is known of an operation, or a genotype is given and there is
                no space.
            GenotypeError: The genotype is not one of the space. Decisions that have no say in the
                network, such as those about training, are not always looked at.
            InfeasibleArchitectureError: Its shapes do not fit, or it passes a limit of the space.
        """
        if isinstance(network, Genotype):
            self._require_space()
            return self.offset_ms + self._genotypes(network)
        return self.offset_ms + total(self.graph_of(network), self.operation_ms)

    def graph_of(self, network: ArchitectureGraph | Genotype) -> ArchitectureGraph:
        """The graph of a network that is given by either."""
        if isinstance(network, ArchitectureGraph):
            return network
        if not isinstance(network, Genotype):
            raise ProfilingError(
                "network: expected an ArchitectureGraph or a Genotype, got "
                f"{type(network).__name__}; make one with space.genotype(params)",
                network,
            )
        return self._require_space().graph(network)

    def _require_space(self) -> SearchSpace:
        if self.space is None:
            raise ProfilingError(
                f"network: this {type(self).__name__} has no space to read a genotype with; pass "
                "the graph"
            )
        return self.space

    @cached_property
    def _genotypes(self) -> GenotypeCosts:
        return GenotypeCosts(self._require_space(), self.operation_ms)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_genotypes"}
