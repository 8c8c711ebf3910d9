"""`build_model`: an architecture graph becomes a Keras model."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from keras_nas._keras import keras
from keras_nas.blocks import make_layer
from keras_nas.blocks.costs import first_line
from optuna_nas.errors import InfeasibleArchitectureError, NASError, OperationError
from optuna_nas.graph import ArchitectureGraph, LayerSpec, Shape

_seeding = threading.Lock()


def build_model(graph: ArchitectureGraph, *, seed: int | None = None, name: str = "network") -> Any:
    """Build the network of a graph, with new weights.

    Every layer bears the name of its specification and weights come in the graph's order. The
    model holds `ArchitectureGraph` ``graph`` as its attribute ``architecture``.

    Args:
        graph: The architecture. Layers that its output does not read, directly or not, are left
            out, for a Keras model can't hold them.
        seed: Seeds the initial weights and dropout; None draws one from Python's `random`, as
            Keras does.
        name: The model's name.

    Returns:
        A functional `keras.Model` from ``(batch, *graph.input_shape)`` to
        ``(batch, *graph.output_shape)``. Its input is of integers where embeddings alone read it.

    Raises:
        OperationError: An operation has no Keras layer, or a block counts its parameters wrongly.
        InfeasibleArchitectureError: Keras refuses a layer, or gives another shape than the graph.
    """
    tensors: dict[str, Any] = {}
    layers: list[Any] = []
    with seeded(seed):
        for spec in _needed(graph):
            if spec.op == "input":
                dtype = "int32" if graph.reads_tokens else None
                tensors[spec.name] = keras.Input(graph.input_shape, dtype=dtype, name=spec.name)
                continue
            inputs = [tensors[source] for source in spec.inputs]
            layer, tensors[spec.name] = _call(spec, graph, inputs)
            if any(layer is other for other in layers):
                raise OperationError(
                    f"Layer {spec.name!r}: block {spec.op!r} returned a layer it had returned "
                    "before; its build must make a new one each time.",
                    spec.op,
                )
            layers.append(layer)
    model = keras.Model(tensors[graph.layers[0].name], tensors[graph.output], name=name)
    model.architecture = graph
    return model


def _needed(graph: ArchitectureGraph) -> list[LayerSpec]:
    """Layers on a path from the input to the output, in order, the input always."""
    needed, stack = {graph.layers[0].name}, [graph.output]
    while stack:
        name = stack.pop()
        if name not in needed:
            needed.add(name)
            stack.extend(graph.layer(name).inputs)
    return [spec for spec in graph.layers if spec.name in needed]


def _call(spec: LayerSpec, graph: ArchitectureGraph, inputs: list[Any]) -> tuple[Any, Any]:
    """Make a layer and apply it; what disagrees with the graph is an error that names it."""
    try:
        layer = make_layer(spec, [graph.shapes[name] for name in spec.inputs])
        output = layer(inputs if len(inputs) > 1 else inputs[0])
    except NASError:
        raise
    except (ValueError, TypeError) as error:
        raise InfeasibleArchitectureError(
            f"Layer {spec.name!r} ({spec.op}) can't be built: {first_line(error)}", spec
        ) from error
    if not _same_shape(tuple(output.shape[1:]), graph.shapes[spec.name]):
        raise InfeasibleArchitectureError(
            f"Layer {spec.name!r} ({spec.op}) has the output shape {tuple(output.shape[1:])} in "
            f"Keras, but {graph.shapes[spec.name]} in the graph.",
            spec,
        )
    counted = sum(math.prod(weight.shape) for weight in layer.trainable_weights)
    if counted != graph.layer_params(spec.name):
        raise OperationError(
            f"Layer {spec.name!r}: block {spec.op!r} has {counted} trainable parameters in Keras, "
            f"but counts {graph.layer_params(spec.name)}; correct its params=.",
            spec.op,
        )
    return layer, output


def _same_shape(found: tuple[int | None, ...], expected: Shape) -> bool:
    """Whether shapes agree, as far as Keras knows its own."""
    return len(found) == len(expected) and all(
        a in (None, b) for a, b in zip(found, expected, strict=True)
    )


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Make what Keras draws from Python's generator depend on ``seed``, and leave that as it was.

    Keras takes the seed of every initialiser and dropout without one from `random`.
    """
    if seed is None:
        yield
        return
    with _seeding:
        state = random.getstate()
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(state)
