"""`Writer`: an ONNX graph in the making, in which every value knows its memory layout.

Keras's images are channels-last, ONNX's convolutions channels-first. A value is transposed when
somebody first needs it the other way, and once: a convolutional network costs one transposition
at its input, a dense one none, and what is flattened is flattened in Keras's order.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

import numpy as np

from optuna_nas.errors import ExportError
from optuna_nas.export._onnx import require_onnx
from optuna_nas.graph import ArchitectureGraph, LayerSpec


class Layout(Enum):
    """Order of a value's axes; `FIRST` exists for images and sequences only."""

    LAST = "last"  # (batch, height, width, channels), or whatever shape Keras has
    FIRST = "first"  # (batch, channels, height, width) or (batch, channels, steps)


class Writer:
    """Collects nodes and initializers; handed to the rule of each operation.

    Args:
        graph: The architecture, already pruned.
        weights: Checked weights by layer and name, in Keras's layouts.
        opset: Version of ONNX's operator set.
        tokens: Whether the input is of type int64.

    Attributes:
        nodes: The nodes so far, in topological order.
        initializers: The constant tensors so far.
    """

    def __init__(
        self,
        graph: ArchitectureGraph,
        weights: dict[str, dict[str, np.ndarray]],
        *,
        opset: int,
        tokens: bool = False,
    ) -> None:
        self.graph = graph
        self.tokens = tokens
        self.opset = opset
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self._onnx = require_onnx()
        self._weights = weights
        self._values: dict[tuple[str, Layout], str] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._names: set[str] = set()
        self._readers: dict[str, list[LayerSpec]] = {layer.name: [] for layer in graph.layers}
        for layer in graph.layers:
            for name in layer.inputs:
                self._readers[name].append(layer)

    # --- names, nodes, constants --------------------------------------------------------------

    def unique(self, name: str) -> str:
        """``name``, or with a number behind where it is taken."""
        candidate, count = name, 1
        while candidate in self._names:
            count += 1
            candidate = f"{name}_{count}"
        self._names.add(candidate)
        return candidate

    def node(self, kind: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """Appends a node of one output, called like that output; returns its name."""
        return self.output(0, kind, inputs, name, **attributes)

    def output(
        self, place: int, kind: str, inputs: Sequence[str], name: str, **attributes: Any
    ) -> str:
        """Appends a node of several outputs, of which the one at ``place`` is used, as `node`."""
        output = self.unique(name)
        outputs = [""] * place + [output]
        helper = self._onnx.helper
        self.nodes.append(helper.make_node(kind, list(inputs), outputs, name=output, **attributes))
        return output

    def constant(self, array: np.ndarray, name: str) -> str:
        """Adds a constant tensor; equal small ones are shared. Returns its name."""
        array = np.ascontiguousarray(array)
        key = (array.dtype.str, array.shape, array.tobytes() if array.size <= 16 else name.encode())
        if key not in self._constants:
            unique = self.unique(name)
            self.initializers.append(self._onnx.numpy_helper.from_array(array, unique))
            self._constants[key] = unique
        return self._constants[key]

    def weight(self, layer: LayerSpec, name: str) -> np.ndarray:
        """A weight of a layer, float32, in Keras's layout."""
        return self._weights[layer.name][name]

    # --- values -------------------------------------------------------------------------------

    def put(self, layer: LayerSpec, tensor: str, layout: Layout = Layout.LAST) -> None:
        """Records ``tensor`` as the value of a layer."""
        self._values[layer.name, layout] = tensor

    def has(self, name: str, layout: Layout) -> bool:
        """Whether a layer's value is at hand in that layout."""
        return (name, layout) in self._values

    def layout_of(self, layer: LayerSpec) -> Layout:
        """Where an operation that doesn't mind should work: where its inputs are."""
        first = any(self.has(name, Layout.FIRST) for name in layer.inputs)
        return Layout.FIRST if first else Layout.LAST

    def read(self, name: str, layout: Layout = Layout.LAST) -> str:
        """Tensor with the value of layer ``name`` in that layout, transposed if need be."""
        if not self.has(name, layout):
            other = Layout.FIRST if layout is Layout.LAST else Layout.LAST
            source = self._values[name, other]
            self._values[name, layout] = self._converted(name, source, layout)
        return self._values[name, layout]

    def _converted(self, name: str, source: str, layout: Layout) -> str:
        shape = self.graph.shapes[name]
        if len(shape) not in (2, 3):
            raise ExportError(f"layer {name!r} of shape {shape} is no image or sequence", shape)
        *places, channels = shape
        axes = range(1, len(shape))
        order, sizes = (
            ((0, len(shape), *axes), (0, channels, *places))
            if layout is Layout.FIRST
            else ((0, *[axis + 1 for axis in axes], 1), (0, *places, channels))
        )
        target = f"{name}/channels_{layout.value}"
        if channels == 1 or set(places) == {1}:  # the same bytes in either order
            return self.reshape(source, sizes, target)
        return self.node("Transpose", [source], target, perm=order)

    def reshape(self, source: str, sizes: Sequence[int], name: str) -> str:
        """Reshapes a tensor; the first of ``sizes``, the batch, is 0: kept as it is."""
        shape = self.constant(np.array(sizes, np.int64), f"{name}/shape")
        return self.node("Reshape", [source, shape], name)

    def only_reader(self, name: str) -> LayerSpec | None:
        """The one layer that reads ``name``; None if several do or the network's output is it."""
        readers = self._readers[name]
        return readers[0] if len(readers) == 1 and name != self.graph.output else None
