"""Three ways through a supergraph: all alternatives, those of the largest gates, given ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_nas._keras import keras
from optuna_nas.supergraph import TAKE
from optuna_nas.supergraph.structure import Block, Branch, Gates, Mixture, SuperLayer

if TYPE_CHECKING:
    from keras_nas.supernet.network import SuperNetwork

Values = Mapping[str, Any]
"""Tensors (batch, ...) by name."""


class Statistics:
    """Means and variances of batch normalisations, by layer, averaged over batches."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[Any, Any, int]] = {}

    def add(self, layer: str, mean: Any, variance: Any, examples: int) -> None:
        """Take in the statistics (channels,) of a batch of so many examples."""
        before, spread, count = self._sums.get(layer, (0.0, 0.0, 0))
        self._sums[layer] = (
            before + mean * examples,
            spread + variance * examples,
            count + examples,
        )

    def of(self, layer: str) -> tuple[Any, Any]:
        """Mean and variance (channels,)."""
        mean, variance, count = self._sums[layer]
        return mean / count, variance / count


class Walk(ABC):
    """One forward pass.

    Args:
        network: Whose layers compute.
        gates: One number an alternative, by decision.
        training: Whether dropout drops.
    """

    def __init__(
        self, network: SuperNetwork, gates: Mapping[str, Sequence[Any]], *, training: bool
    ) -> None:
        self._network = network
        self._graph = network.graph
        self._gates = gates
        self._training = training

    def run(self, x: Any) -> Any:
        """Logits (batch, classes) for inputs (batch, ...)."""
        return self._block(self._graph.root, {"input": keras.ops.convert_to_tensor(x)})

    def _block(self, block: Block, around: Values) -> Any:
        values = dict(around)
        for item in block.items:
            if isinstance(item, Mixture):
                values[item.name] = self._mixture(item, values)
            else:
                values[item.name] = self._layer(item, values)
        return values[block.output]

    def _layer(self, spec: SuperLayer, values: Values) -> Any:
        inputs = [values[name] for name in spec.inputs]
        if spec.op == "batch_normalization":
            output = self._normalized(spec, inputs[0])
        elif spec.op == TAKE:
            output = _taken(inputs[0], spec.attributes["channels"])
        else:
            layer = self._network.layers[spec.place]
            output = self._network.calls.layer(
                layer, spec.op, spec.attributes, inputs, self._training
            )
        mask = self._mask(spec.name) if spec.name in self._graph.widths else None
        return output if mask is None else output * mask

    def _mask(self, name: str) -> Any:
        """The share (channels,) in which each channel is in use."""
        total: Any = 0.0
        for condition, mask in self._graph.widths[name].masks:
            share: Any = 1.0
            for decision, position in condition:
                share = share * self._gates[decision][position]
            total = total + share * keras.ops.convert_to_tensor(np.array(mask, np.float32))
        return total

    def _normalized(self, spec: SuperLayer, x: Any) -> Any:
        scale, offset = self._network.scales.get(spec.place, (None, None))
        epsilon = spec.attributes["epsilon"]
        return self._network.calls.normalized(x, scale, offset, epsilon)[0]

    def _branch(self, mixture: Mixture, branch: Branch, values: Values) -> Any:
        """A branch's output with as many channels as the mixture's; those it lacks are zeros."""
        output = self._block(branch.block, values)
        missing = self._graph.shapes[mixture.name][-1] - output.shape[-1]
        if not missing:
            return output
        return keras.ops.pad(output, [(0, 0)] * (len(output.shape) - 1) + [(0, missing)])

    def _weight(self, mixture: Mixture, branch: Branch) -> Any:
        gates = self._gates[mixture.decision]
        first, *others = branch.alternatives
        return sum((gates[position] for position in others), gates[first])

    def _nothing(self, mixture: Mixture, values: Values) -> Any:
        shape = self._graph.shapes[mixture.name]
        return keras.ops.zeros((keras.ops.shape(values[mixture.input])[0], *shape))

    @abstractmethod
    def _mixture(self, mixture: Mixture, values: Values) -> Any:
        """The value of a mixture."""


def _taken(x: Any, channels: Sequence[int]) -> Any:
    """Some channels of a tensor (..., channels)."""
    if list(channels) == list(range(len(channels))):
        return x[..., : len(channels)]
    return keras.ops.take(x, channels, axis=-1)


class SoftWalk(Walk):
    """All alternatives, weighed by gates (DARTS, Liu et al. 2019, eq. 2)."""

    def __init__(
        self,
        network: SuperNetwork,
        gates: Mapping[str, Sequence[Any]],
        *,
        training: bool,
        auxiliary: Any = None,
    ) -> None:
        super().__init__(network, gates, training=training)
        self._auxiliary = auxiliary

    def _mixture(self, mixture: Mixture, values: Values) -> Any:
        total = None
        for branch in mixture.branches:
            output = self._branch(mixture, branch, values)
            if branch.weighted:
                output = output * self._weight(mixture, branch)
            total = output if total is None else total + output
        shapes = self._graph.shapes
        keeps = shapes[mixture.input] == shapes[mixture.name] and mixture.kind != "depth"
        if self._auxiliary is not None and keeps:
            total = total + values[mixture.input] * self._auxiliary
        return total


class HardWalk(Walk):
    """Of every mixture the branches with the largest gates, chosen while the network runs."""

    def _mixture(self, mixture: Mixture, values: Values) -> Any:
        weights = [self._weight(mixture, branch) for branch in mixture.branches]

        def run(position: int) -> Any:
            branch = mixture.branches[position]
            output = self._branch(mixture, branch, values)
            return output * weights[position] if branch.weighted else output

        if mixture.kind == "sum":
            return sum(
                keras.ops.cond(
                    weight > 0.5,
                    lambda position=position: run(position),
                    lambda: self._nothing(mixture, values),
                )
                for position, weight in enumerate(weights)
            )
        choices = [lambda position=position: run(position) for position in range(len(weights))]
        return keras.ops.switch(keras.ops.argmax(keras.ops.stack(weights)), choices)


class FixedWalk(Walk):
    """The branches of one architecture, chosen in advance, for inference.

    Args:
        network: Whose layers compute.
        gates: Of the architecture, each 0 or 1.
        statistics: Those that batch normalisation takes; None: those of the batch.
        record: Takes the statistics of the batch.
    """

    def __init__(
        self,
        network: SuperNetwork,
        gates: Gates,
        statistics: Statistics | None,
        record: Statistics | None,
    ) -> None:
        super().__init__(network, gates, training=False)  # type: ignore[arg-type]
        self._statistics = statistics
        self._record = record

    def _mask(self, name: str) -> Any:
        mask = self._graph.widths[name].mask(self._gates)  # type: ignore[arg-type]
        return None if np.all(mask) else keras.ops.convert_to_tensor(mask.astype(np.float32))

    def _normalized(self, spec: SuperLayer, x: Any) -> Any:
        scale, offset = self._network.scales.get(spec.place, (None, None))
        calls, epsilon = self._network.calls, spec.attributes["epsilon"]
        if self._statistics is not None:
            mean, variance = self._statistics.of(spec.name)
            return calls.normalized_by(x, mean, variance, scale, offset, epsilon)
        output, mean, variance = calls.normalized(x, scale, offset, epsilon)
        if self._record is not None:
            still = keras.ops.stop_gradient
            self._record.add(spec.name, still(mean), still(variance), x.shape[0])
        return output

    def _mixture(self, mixture: Mixture, values: Values) -> Any:
        chosen = [b for b in mixture.branches if self._weight(mixture, b) > 0.5]
        if not chosen:
            return self._nothing(mixture, values)
        return sum(self._branch(mixture, branch, values) for branch in chosen)
