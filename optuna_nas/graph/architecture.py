"""`ArchitectureGraph`: what a genotype means, as a graph of layer specifications."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

from optuna_nas.errors import InfeasibleArchitectureError, OperationError
from optuna_nas.graph.canonical import canonical_id
from optuna_nas.graph.operations import Attributes, Operation, Shape, get_operation
from optuna_nas.graph.pruning import pruned_layers

BYTES_PER_VALUE = 4  # activations are float32


@dataclass(frozen=True)
class LayerSpec:
    """One layer: an operation, its attributes and the layers it reads.

    Args:
        name: Unique in its graph; lower-case letters, digits and underscores.
        op: Name of a registered operation.
        attributes: Keras argument names and plain Python values, complete.
        inputs: Names of the layers read, in order.
    """

    name: str
    op: str
    attributes: Attributes = field(default_factory=dict, hash=False)
    inputs: tuple[str, ...] = ()


class ArchitectureGraph:
    """A directed acyclic graph of layers with one input and one output.

    Everything that can be known without building the network is a property: shapes, parameters,
    multiply-accumulates, activation memory, and an identity that architectures equal in function
    share.

    Args:
        layers: In topological order; the first is the operation ``input``.
        output: Name of the layer whose value is the network's; the last layer where left out.
        shapes: Output shapes of all layers, where a `GraphBuilder` has inferred them already.

    Raises:
        OperationError: A layer uses an unknown operation, attribute or input.
        InfeasibleArchitectureError: Shapes do not fit; the message names the layer.
    """

    def __init__(
        self,
        layers: Iterable[LayerSpec],
        output: str | None = None,
        *,
        shapes: Mapping[str, Shape] | None = None,
    ) -> None:
        self.layers: tuple[LayerSpec, ...] = tuple(layers)
        if not self.layers or self.layers[0].op != "input":
            raise OperationError("A graph begins with a layer whose operation is 'input'.")
        inferred = dict(_infer_shapes(self.layers) if shapes is None else shapes)
        self.output = self.layers[-1].name if output is None else output
        if self.output not in inferred:
            raise OperationError(f"The output {self.output!r} is no layer of the graph.", output)
        self.shapes: Mapping[str, Shape] = MappingProxyType(inferred)

    @property
    def input_shape(self) -> Shape:
        """Shape of one example."""
        return self.shapes[self.layers[0].name]

    @property
    def output_shape(self) -> Shape:
        """Shape of the network's output for one example."""
        return self.shapes[self.output]

    @cached_property
    def reads_tokens(self) -> bool:
        """Whether the input is whole numbers: embeddings, and nothing else, read it."""
        source = self.layers[0].name
        readers = [layer for layer in self.layers if source in layer.inputs]
        return bool(readers) and all(layer.op == "embedding" for layer in readers)

    @cached_property
    def _by_name(self) -> dict[str, LayerSpec]:
        return {layer.name: layer for layer in self.layers}

    def layer(self, name: str) -> LayerSpec:
        """The layer of that name."""
        return self._by_name[name]

    def _count(self, rule: str, layer: LayerSpec) -> int:
        inputs = [self.shapes[name] for name in layer.inputs]
        return int(getattr(get_operation(layer.op), rule)(layer.attributes, inputs))

    def layer_params(self, name: str) -> int:
        """Trainable scalars of one layer."""
        return self._count("params", self.layer(name))

    def layer_macs(self, name: str) -> int:
        """Multiply-accumulates of one layer for one example."""
        return self._count("macs", self.layer(name))

    @cached_property
    def params(self) -> int:
        """Trainable scalars of all layers, dead branches included, as the field's tables count."""
        return sum(self._count("params", layer) for layer in self.layers)

    @cached_property
    def non_trainable_params(self) -> int:
        """Scalars kept but not trained: the moving statistics of batch normalisation."""
        return sum(self._count("non_trainable_params", layer) for layer in self.layers)

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of all layers for one example."""
        return sum(self._count("macs", layer) for layer in self.layers)

    @cached_property
    def peak_activation_bytes(self) -> int:
        """Largest memory held by layer outputs at once, for one example in float32.

        Layers run in order, each output in a buffer of its own that is freed after its last use.
        """
        last_use = {self.output: len(self.layers)}
        for position, layer in enumerate(self.layers):
            for name in layer.inputs:
                last_use[name] = max(position, last_use.get(name, 0))
        live = peak = 0
        freed: dict[int, int] = {}
        for position, layer in enumerate(self.layers):
            size = math.prod(self.shapes[layer.name])
            live += size
            peak = max(peak, live)
            end = last_use.get(layer.name, position)
            freed[end] = freed.get(end, 0) + size
            live -= freed.pop(position, 0)
        return peak * BYTES_PER_VALUE

    @cached_property
    def canonical_id(self) -> str:
        """Identity shared by architectures equal in function, but for constants of the position.

        `optuna_nas.graph.canonical` says what is taken for equal.
        """
        return canonical_id(self)

    def pruned(self) -> ArchitectureGraph:
        """The same function without what can't change it: dead layers, zeros and identities.

        Layers that stay keep their names, so trained weights still find their place.
        """
        layers, output = pruned_layers(self)
        return ArchitectureGraph(layers, output)

    def to_json(self) -> str:
        """Serialise; `from_json` returns an equal graph."""
        layers = [
            {"name": s.name, "op": s.op, "attributes": dict(s.attributes), "inputs": s.inputs}
            for s in self.layers
        ]
        return json.dumps({"layers": layers, "output": self.output})

    @classmethod
    def from_json(cls, text: str) -> ArchitectureGraph:
        """Read what `to_json` wrote."""
        state = json.loads(text)
        layers = [
            LayerSpec(
                s["name"],
                s["op"],
                {key: _tuples(value) for key, value in s["attributes"].items()},
                tuple(s["inputs"]),
            )
            for s in state["layers"]
        ]
        return cls(layers, state["output"])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ArchitectureGraph):
            return NotImplemented
        return self.layers == other.layers and self.output == other.output

    def __hash__(self) -> int:
        return hash((self.layers, self.output))

    def __repr__(self) -> str:
        return (
            f"<ArchitectureGraph {self.input_shape} -> {self.output_shape}: {len(self.layers)} "
            f"layers, {self.params:,} parameters, {self.macs:,} MACs>"
        )


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _infer_shapes(layers: Iterable[LayerSpec]) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
    for layer in layers:
        if layer.name in shapes:
            raise OperationError(f"Two layers are named {layer.name!r}.", layer.name)
        shapes[layer.name] = output_shape(layer, shapes)
    return shapes


def output_shape(layer: LayerSpec, shapes: Mapping[str, Shape]) -> Shape:
    """Output shape of a layer, given by name those of the layers before it.

    Raises:
        OperationError: The layer reads nothing, or what does not come before it.
        InfeasibleArchitectureError: Shapes do not fit; the message names the layer.
    """
    operation: Operation = get_operation(layer.op)
    missing = [name for name in layer.inputs if name not in shapes]
    if missing:
        raise OperationError(
            f"Layer {layer.name!r} reads {missing[0]!r}, which does not come before it.", missing[0]
        )
    if not layer.inputs and layer.op != "input":
        raise OperationError(f"Layer {layer.name!r} ({layer.op}) has no input.", layer.name)
    try:
        shape = operation.output_shape(layer.attributes, [shapes[name] for name in layer.inputs])
    except InfeasibleArchitectureError as error:
        raise InfeasibleArchitectureError(f"Layer {layer.name!r}: {error}", error.value) from None
    if any(size < 1 for size in shape):
        raise InfeasibleArchitectureError(
            f"Layer {layer.name!r} ({layer.op}) has the empty output shape {shape}.", shape
        )
    return shape
