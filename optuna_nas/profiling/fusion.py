"""What a runtime executes as one: an architecture as a list of fused operations.

ONNX Runtime folds batch normalisations into the layer before them, computes activations and
additions within a convolution, moves paddings into it, and computes what is asked for twice once.
The time of a layer by itself is no part of the time of a network; that of such a group nearly is.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Protocol

from optuna_nas.graph import ArchitectureGraph, Shape, get_operation
from optuna_nas.graph.operations import Attributes
from optuna_nas.graph.pruning import gives_zero, pruned_layers
from optuna_nas.supergraph import TAKE

WEIGHTED = frozenset(["conv1d", "conv2d", "depthwise_conv2d", "dense"])
"""What batch normalisations, additions and activations are fused with."""

FUSED = frozenset(["activation", "add", "batch_normalization", "zero", "zero_padding2d"])
"""What mostly is executed within another layer."""

MB = 4e-6
"""Megabytes that a weight takes, in float32."""

MERGES = frozenset(["add", "multiply"])
"""Computed two values at a time; of one value with a constant where only one is read."""

_IRRELEVANT = frozenset(["momentum", "epsilon", "rate", "use_bias"])
"""Attributes that change no time worth a measurement."""


class LayerLike(Protocol):
    """A layer whose neighbours are unknown, such as a `SuperLayer`."""

    @property
    def op(self) -> str:
        """Name of its operation."""

    @property
    def attributes(self) -> Attributes:
        """Its attributes."""


@dataclass(frozen=True)
class Part:
    """One layer of a fused operation.

    Args:
        op: The operation.
        attributes: Its attributes, complete.
    """

    op: str
    attributes: Attributes = field(hash=False)

    @cached_property
    def text(self) -> str:
        """The layer as keys have it, such as ``conv2d(filters=16, kernel_size=3x3)``."""
        shown = [f"{k}={short(v)}" for k, v in self.attributes.items() if k not in _IRRELEVANT]
        return f"{self.op}({', '.join(shown)})" if shown else self.op


@dataclass(frozen=True)
class FusedOperation:
    """A chain of layers that a runtime executes as one.

    Args:
        parts: The chain.
        inputs: Shapes read, channels last: by the first layer, then by an addition further down.
        output: Shape given.
        macs: Multiply-accumulates for one example.
        weights: Numbers that the runtime reads besides, once normalisations are folded.
    """

    parts: tuple[Part, ...]
    inputs: tuple[Shape, ...]
    output: Shape
    macs: int
    weights: int

    @cached_property
    def key(self) -> str:
        """What tells it from all others: its layers, their attributes, the shapes."""
        read = ", ".join(map(short, self.inputs))
        return f"{' + '.join(p.text for p in self.parts)}: {read} -> {short(self.output)}"

    @cached_property
    def main(self) -> Part:
        """The layer with weights, or the first."""
        return next((part for part in self.parts if part.op in WEIGHTED), self.parts[0])

    @cached_property
    def kind(self) -> str:
        """Operations whose times go with their work: the main layer's, of one window."""
        attributes = self.main.attributes
        window = attributes.get("kernel_size", attributes.get("pool_size"))
        details = (window, attributes.get("function"))
        return " ".join([self.main.op, *(short(x) for x in details if x is not None)])

    @cached_property
    def family(self) -> str:
        """The kind, and what else is computed that takes time of its own: ``conv2d 1x1 + silu``."""
        others = [part for part in self.parts if part.op in ("activation", "add")]
        names = [part.attributes.get("function", part.op) for part in others]
        return " + ".join([self.kind, *(names if self.main.op in WEIGHTED else [])])

    @cached_property
    def work(self) -> int:
        """MACs, and values read and written: what times of one kind are nearly proportional to."""
        return self.macs + sum(map(math.prod, self.inputs)) + math.prod(self.output)

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FusedOperation) and self.key == other.key


@dataclass(frozen=True)
class _Node:
    """A layer in the making: ``reads`` are values, ``shapes`` theirs as this layer sees them."""

    value: str
    part: Part
    reads: Sequence[str]
    shapes: tuple[Shape, ...]
    output: Shape


@dataclass(frozen=True)
class Group:
    """Layers that are executed as one so far.

    Args:
        parts: The layers.
        shapes: What each of them reads.
        external: What they read of other groups.
        output: Shape given.
    """

    parts: tuple[Part, ...]
    shapes: tuple[tuple[Shape, ...], ...] = ()
    external: tuple[Shape, ...] = ()
    output: Shape = ()

    def joined(self, node: _Node, host: str) -> Group:
        """With a layer that reads the value ``host`` of this group."""
        read = zip(node.reads, node.shapes, strict=True)
        external = tuple(shape for value, shape in read if value != host)
        return Group(
            (*self.parts, node.part),
            (*self.shapes, node.shapes),
            self.external + external,
            node.output,
        )

    def takes(self, op: str) -> bool:
        """Whether a layer is executed with these, which it alone reads."""
        ops = [part.op for part in self.parts]
        if op in WEIGHTED:
            return ops == ["zero_padding2d"]
        if WEIGHTED.isdisjoint(ops) or "activation" in ops:
            return False
        if op == "batch_normalization":
            return ops[-1] in WEIGHTED
        return op == "activation" or (op == "add" and "add" not in ops)

    @property
    def open(self) -> bool:
        """Whether there are layers that it takes."""
        return self.takes("conv2d") or self.takes("activation")

    @property
    def operation(self) -> FusedOperation:
        """What is executed."""
        return _known_operation(self.parts, self.shapes, self.external, self.output)


@dataclass(frozen=True)
class Segment:
    """What is executed of a graph, which may be a part of a network's.

    Args:
        groups: What is complete.
        last: What gives the graph's output, if it may go on in the layers behind it.
        constant: Whether the output is the same for all inputs.
    """

    groups: tuple[Group, ...]
    last: Group | None
    constant: bool = False


def fused_operations(graph: ArchitectureGraph) -> Counter[FusedOperation]:
    """How often each fused operation occurs in an architecture.

    Dead layers are left out, and those whose values a runtime knows before the first input.
    """
    segment = segment_of(graph)
    groups = segment.groups if segment.last is None else (*segment.groups, segment.last)
    return Counter(group.operation for group in groups)


def segment_of(graph: ArchitectureGraph, before: Group | None = None) -> Segment:
    """What is executed of a graph behind ``before``, the group that gives its input."""
    nodes, last = _nodes(graph)
    if last is None:
        return Segment((), None, constant=True)
    readers = Counter(value for node in nodes for value in node.reads)
    groups: dict[str, Group] = {}  # by the value that each gives
    if before is not None:
        groups[graph.layers[0].name] = before
    for node in nodes:
        op = node.part.op
        fusable = op not in MERGES or len(node.reads) > 1
        alone = (v for v in node.reads if fusable and readers[v] == 1 and v in groups)
        host = next((v for v in alone if groups[v].takes(op)), None)
        if host is None:
            groups[node.value] = Group((node.part,), (node.shapes,), node.shapes, node.output)
        else:
            groups[node.value] = groups.pop(host).joined(node, host)
    end = groups.get(last)
    if end is None or not end.open:
        return Segment(tuple(groups.values()), None)
    return Segment(tuple(g for g in groups.values() if g is not end), end)


def single_operation(
    op: str, attributes: Attributes, inputs: Sequence[Shape], output: Shape
) -> FusedOperation:
    """One layer by itself."""
    part, read = part_of(op, get_operation(op).attributes(attributes)), tuple(inputs)
    return Group((part,), (read,), read, output).operation


def is_free(op: str, inputs: Sequence[Shape], output: Shape) -> bool:
    """Whether a layer takes no time: nothing is computed or moved when the network runs."""
    if op == "reshape":  # a vector seen as an image of one pixel
        return math.prod(inputs[0]) == inputs[0][-1] and math.prod(output) == output[-1]
    return op in ("input", "dropout", "identity", TAKE)


def weights_of(part: Part, inputs: Sequence[Shape]) -> int:
    """Numbers that a layer reads besides its inputs, normalisations being folded into others."""
    if part.op == "batch_normalization":
        return 0
    return int(get_operation(part.op).params(part.attributes, inputs))


def part_of(op: str, attributes: Attributes) -> Part:
    """The part of a layer; equal layers have the same."""
    try:
        return _known_part(op, tuple(attributes.items()))
    except TypeError:  # an attribute of a user's own operation can't be hashed
        return Part(op, attributes)


def short(value: Any) -> str:
    """A shape or an attribute in a few characters: ``3x3``."""
    if isinstance(value, tuple):
        nested = any(isinstance(item, tuple) for item in value)
        return "(" + ",".join(map(short, value)) + ")" if nested else "x".join(map(str, value))
    return str(value)


def _nodes(graph: ArchitectureGraph) -> tuple[list[_Node], str | None]:
    """Layers that take time, equal ones once, sums of several as sums of two; the last value.

    A value that rests on none but zeros is a constant, which a runtime computes beforehand; the
    last value is None where it is one. What is merged with constants is executed by itself, for
    the sake of their layout: it reads one value.
    """
    value: dict[str, str | None] = {}  # layer -> the value that it gives, None for constants
    zero: set[str] = set()
    seen: dict[tuple[Part, tuple[str, ...]], str] = {}
    nodes: list[_Node] = []
    layers, output = pruned_layers(graph)
    for layer in layers:
        name = layer.name
        reads = tuple(value[source] for source in layer.inputs)
        if gives_zero(layer, layer.inputs, zero):
            zero.add(name)
        if name in zero or (reads and not any(reads)):
            value[name] = None
            continue
        shapes = tuple(graph.shapes[source] for source in layer.inputs)
        given = graph.shapes[name]
        if is_free(layer.op, shapes, given):
            value[name] = reads[0] if reads else name
            continue
        part = part_of(layer.op, layer.attributes)
        # Constants differ: each has a name that no value has.
        sources = tuple(read or f"{name}/{k}" for k, read in enumerate(reads))
        value[name] = name
        if part.op not in WEIGHTED and not get_operation(part.op).params(part.attributes, shapes):
            value[name] = seen.setdefault((part, sources), name)
        if value[name] != name:
            continue
        if part.op in MERGES:
            live = [k for k, read in enumerate(reads) if read]
            pairs = [sources[k] for k in live], tuple(shapes[k] for k in live)
            nodes.extend(_binary(name, part, *pairs, given, constants=len(live) < len(reads)))
        else:
            nodes.append(_Node(name, part, sources, shapes, given))
    needed = {value[output]}
    for node in reversed(nodes):
        if node.value in needed:
            needed.update(node.reads)
    return [node for node in nodes if node.value in needed], value[output]


def _binary(
    name: str,
    part: Part,
    reads: Sequence[str],
    shapes: tuple[Shape, ...],
    output: Shape,
    *,
    constants: bool,
) -> list[_Node]:
    """Several values merged as a runtime does it, two at a time and with ``constants`` last."""
    nodes: list[_Node] = []
    left, seen = reads[0], shapes[0]
    for k, (right, shape) in enumerate(zip(reads[1:], shapes[1:], strict=True), start=2):
        value = name if k == len(reads) and not constants else f"{name}/{k}"
        nodes.append(_Node(value, part, (left, right), (seen, shape), output))
        left, seen = value, output
    if constants:
        nodes.append(_Node(name, part, (left,), (seen,), output))
    return nodes


# Networks of a space are made of the same few: a prediction looks most of them up.
@lru_cache(maxsize=16384)
def _known_part(op: str, attributes: tuple[tuple[str, Any], ...]) -> Part:
    return Part(op, dict(attributes))


@lru_cache(maxsize=16384)
def _known_operation(
    parts: tuple[Part, ...],
    shapes: tuple[tuple[Shape, ...], ...],
    external: tuple[Shape, ...],
    output: Shape,
) -> FusedOperation:
    macs = weights = 0
    for part, inputs in zip(parts, shapes, strict=True):
        macs += int(get_operation(part.op).macs(part.attributes, inputs))
        weights += weights_of(part, inputs)
    return FusedOperation(parts, external, output, macs, weights)
