"""`GraphBuilder`: an architecture put together layer by layer."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from functools import lru_cache

from optuna_nas.graph.architecture import ArchitectureGraph, LayerSpec, output_shape
from optuna_nas.graph.operations import Attributes, Operation, Shape, get_operation


class LayerTemplates(dict[Hashable, "tuple[Operation, Attributes, Shape]"]):
    """Layers that were checked before, with their shapes: networks of one space share most."""

    # Decisions on a continuum make ever new layers.
    MAX_SIZE = 4096

    def __init__(self) -> None:
        super().__init__()
        self._layers: dict[Hashable, LayerSpec] = {}

    def keep(self, key: Hashable, operation: Operation, attributes: Attributes, to: Shape) -> None:
        """Remember a layer: its operation, complete attributes and output shape."""
        if len(self) >= self.MAX_SIZE:
            self.clear()
        self[key] = operation, attributes, to

    def layer(
        self, name: str, op: str, attributes: Attributes, inputs: tuple[str, ...]
    ) -> LayerSpec:
        """A layer of a template in its place; graphs that have it there share one object."""
        place = name, inputs, id(attributes)
        layer = self._layers.get(place)
        if layer is None:
            if len(self._layers) >= self.MAX_SIZE:
                self._layers.clear()
            # It keeps its attributes, so that their `id` remains their own.
            layer = self._layers[place] = LayerSpec(name, op, attributes, inputs)
        return layer


class GraphBuilder:
    """Collects layers one after another, naming them and inferring shapes on the way.

    Args:
        input_shape: Shape of one example, channels last.
        templates: Where layers added with a ``key`` are remembered; builders may share it.
    """

    def __init__(
        self, input_shape: Sequence[int], *, templates: LayerTemplates | None = None
    ) -> None:
        shape = tuple(int(size) for size in input_shape)
        self.layers = [LayerSpec("input", "input", {"shape": shape})]
        self.shapes: dict[str, Shape] = {"input": shape}
        self._templates = LayerTemplates() if templates is None else templates
        self._repeats: dict[str, int] = {}

    def add(
        self,
        op: str,
        attributes: Attributes,
        inputs: Sequence[str],
        *,
        name: str = "",
        key: Hashable = None,
    ) -> str:
        """Append a layer; return its unique name, made from ``name`` where that is taken.

        Args:
            op: Name of a registered operation.
            attributes: Its attributes.
            inputs: Names of the layers read.
            name: What the layer is called.
            key: Where it is given, it stands for the operation and its attributes, so that a layer
                that was added before with the same key and input shapes is not checked again.
        """
        operation, shapes = get_operation(op), self.shapes
        stem = _stem(name or op) or op
        unique = stem
        while unique in shapes:
            self._repeats[stem] = self._repeats.get(stem, 0) + 1
            unique = f"{stem}_{self._repeats[stem]}"
        if key is not None:
            key = (key, *[shapes.get(name) for name in inputs])
            known = self._templates.get(key)
            if known is not None and known[0] is operation:
                self.layers.append(self._templates.layer(unique, op, known[1], tuple(inputs)))
                shapes[unique] = known[2]
                return unique
        layer = LayerSpec(unique, op, operation.attributes(attributes), tuple(inputs))
        shapes[unique] = output_shape(layer, shapes)
        self.layers.append(layer)
        if key is not None:
            self._templates.keep(key, operation, layer.attributes, shapes[unique])
        return unique

    def graph(self, output: str) -> ArchitectureGraph:
        """The graph with ``output`` as its value, without layers that nothing reads.

        A framework can't hold those, so they count for nothing. An edge that a space says is there,
        but is "none", is read: its layer is a `zero`.
        """
        read = {self.layers[0].name, output}
        for layer in reversed(self.layers):
            if layer.name in read:
                read.update(layer.inputs)
        layers, shapes = self.layers, self.shapes
        if len(read) < len(layers):
            layers = [layer for layer in layers if layer.name in read]
            shapes = {layer.name: shapes[layer.name] for layer in layers}
        return ArchitectureGraph(layers, output, shapes=shapes)


@lru_cache(maxsize=4096)
def _stem(name: str) -> str:
    """A name of lower-case letters, digits and underscores; empty where none of them is left."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
