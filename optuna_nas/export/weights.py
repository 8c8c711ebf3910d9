"""Weights of a graph: the shapes they must have, and random ones for skeletons."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from optuna_nas.errors import ExportError
from optuna_nas.export.rules import rule_for
from optuna_nas.graph import ArchitectureGraph, LayerSpec

Weights = Mapping[str, Mapping[str, np.ndarray]]


def weight_shapes(graph: ArchitectureGraph) -> dict[str, dict[str, tuple[int, ...]]]:
    """Shapes of all weights by layer and weight name, in Keras's layouts.

    Raises:
        UnsupportedOperationError: A layer's operation has no rule.
    """
    shapes = {layer.name: _shapes_of(graph, layer) for layer in graph.layers}
    return {name: weights for name, weights in shapes.items() if weights}


def _shapes_of(graph: ArchitectureGraph, layer: LayerSpec) -> dict[str, tuple[int, ...]]:
    inputs = [graph.shapes[name] for name in layer.inputs]
    return rule_for(layer).weights(layer.attributes, inputs)


def random_weights(graph: ArchitectureGraph, *, seed: int = 0) -> dict[str, dict[str, np.ndarray]]:
    """Random weights under which activations keep the size they have in a trained network.

    Latency hardly depends on values, but for denormal numbers, which some processors compute a
    hundred times slower. So every kernel is scaled by the estimated power (mean square) of its
    input, and moving variances are that power: nothing vanishes or overflows, however deep.

    Args:
        graph: The architecture.
        seed: Same seed, same weights.

    Returns:
        Layer name -> weight name -> float32 array in Keras's layout.
    """
    rng = np.random.default_rng(seed)
    power: dict[str, float] = {}
    weights: dict[str, dict[str, np.ndarray]] = {}
    for layer in graph.layers:
        before = [power[name] for name in layer.inputs]
        shapes = _shapes_of(graph, layer)
        if shapes:
            weights[layer.name] = {
                name: _random(
                    rng, name, shape, power=max(before), terms=_terms(graph, layer, shape)
                )
                for name, shape in shapes.items()
            }
        power[layer.name] = _power(layer, bool(shapes), before)
    return weights


def _power(layer: LayerSpec, weighted: bool, inputs: list[float]) -> float:
    if weighted or not inputs:
        return 1.0
    if layer.op == "add":
        return sum(inputs)
    if layer.op == "activation" and layer.attributes["function"] != "linear":
        return min(0.5 * inputs[0], 1.0) or 1.0
    return max(inputs)


def _terms(graph: ArchitectureGraph, layer: LayerSpec, kernel: tuple[int, ...]) -> int:
    """How many products an output of a kernel sums: of its window, what lies within the input."""
    reach = graph.shapes[layer.inputs[0]]
    # A depthwise kernel (height, width, channels, 1) sums over height and width alone.
    window = kernel[:2] if layer.op == "depthwise_conv2d" else kernel[:-1]
    return math.prod(map(min, window, reach if len(window) > 1 else reach[-1:]))


def _random(
    rng: np.random.Generator, name: str, shape: tuple[int, ...], *, power: float, terms: int
) -> np.ndarray:
    if name == "gamma":
        return np.ones(shape, np.float32)
    if name == "moving_variance":
        return np.full(shape, power, np.float32)
    limit = math.sqrt(3.0 / (terms * power)) if name.endswith("kernel") else 0.1
    if name == "embeddings":
        limit = math.sqrt(3.0)
    values = rng.random(shape, dtype=np.float32)
    values *= 2.0 * limit
    values -= limit
    return values


def checked_weights(graph: ArchitectureGraph, weights: Weights) -> dict[str, dict[str, np.ndarray]]:
    """The weights ``graph`` needs, as float32.

    Raises:
        ExportError: One is missing or has another shape.
    """
    found: dict[str, dict[str, np.ndarray]] = {}
    for layer, shapes in weight_shapes(graph).items():
        found[layer] = {}
        for name, shape in shapes.items():
            given = weights.get(layer, {})
            array = given.get(name, given.get(f"depthwise_{name}"))  # Keras 2 called it so
            if array is None:
                raise ExportError(
                    f"weights: {layer}/{name} of shape {shape} is missing; "
                    "pass the weights of the model built from this very graph",
                    layer,
                )
            if tuple(np.shape(array)) != shape:
                raise ExportError(
                    f"weights: {layer}/{name} must have shape {shape}, got {np.shape(array)}; "
                    "pass the weights of the model built from this very graph",
                    layer,
                )
            found[layer][name] = np.asarray(array, dtype=np.float32)
    return found
