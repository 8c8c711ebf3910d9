"""`graph_of`: a functional Keras model, also one written by hand, becomes a graph and weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache, reduce
from typing import Any

import numpy as np

from keras_nas._keras import keras
from keras_nas.composite_rules import composite_step
from keras_nas.layer_rules import AUGMENTATIONS, RULES, Step, UnsupportedModelError
from keras_nas.sequence_rules import SEQUENCE_RULES
from optuna_nas.errors import InfeasibleArchitectureError, OperationError
from optuna_nas.export import Preprocessing
from optuna_nas.graph import ArchitectureGraph, GraphBuilder

__all__ = ["ModelGraph", "UnsupportedModelError", "graph_of"]


@dataclass(frozen=True)
class ModelGraph:
    """A Keras model taken apart.

    Args:
        graph: Its architecture, layers named as in the model where their names allow it.
        weights: Layer name -> weight name -> float32 array in Keras's layout.
        preprocessing: What Rescaling and Normalization layers at its start do to the input; they
            are not in the graph. None where there are none.
    """

    graph: ArchitectureGraph
    weights: dict[str, dict[str, np.ndarray]]
    preprocessing: Preprocessing | None


@dataclass(frozen=True)
class _Value:
    """A Keras tensor's counterpart: a layer, and for the input how often it has been scaled."""

    layer: str
    scaled: int = 0


@dataclass
class _Conversion:
    builder: GraphBuilder
    weights: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    preprocessings: list[Preprocessing] = field(default_factory=list)
    input_reads: set[int] = field(default_factory=set)  # `_Value.scaled` of those that were read

    def read(self, values: list[_Value]) -> list[str]:
        self.input_reads.update(value.scaled for value in values if value.layer == _INPUT)
        return [value.layer for value in values]

    def preprocessing(self) -> Preprocessing | None:
        if self.input_reads - {len(self.preprocessings)}:
            raise UnsupportedModelError(
                "model: some layers read the input before it is scaled, others after"
            )
        return reduce(Preprocessing.then, self.preprocessings) if self.preprocessings else None


_INPUT = "input"
_RULES = {**RULES, **SEQUENCE_RULES}


def graph_of(model: Any) -> ModelGraph:
    """Takes a Functional or Sequential Keras model apart.

    A layer with ``activation=`` becomes two layers, SeparableConv2D becomes two or three, models
    used as layers are dissolved, noise and its kin vanish, Rescaling and Normalization at the
    start become a `Preprocessing`.

    Args:
        model: A built `keras.Model` with one input and one output.

    Raises:
        UnsupportedModelError: The model is subclassed, has several inputs or outputs, or a layer
            or setting that graphs can't express; the message names it.
    """
    functional = _functional(model)
    shape = functional.inputs[0].shape[1:]
    if any(size is None for size in shape):
        raise UnsupportedModelError(
            f"model: the input shape {tuple(shape)} has free sizes; give keras.Input fixed ones"
        )
    conversion = _Conversion(GraphBuilder(shape))
    try:
        output = _convert_model(conversion, functional, _Value(_INPUT))
        (name,) = conversion.read([output])
        graph = conversion.builder.graph(name)
    except (OperationError, InfeasibleArchitectureError) as error:
        raise UnsupportedModelError(f"model: {error}") from error
    expected = tuple(functional.outputs[0].shape[1:])
    if graph.output_shape != expected:
        raise UnsupportedModelError(
            f"model: its output has shape {expected}, the graph's {graph.output_shape}"
        )
    return ModelGraph(graph, conversion.weights, conversion.preprocessing())


def _functional(model: Any) -> Any:
    if isinstance(model, keras.Sequential):
        if not model.built:
            raise UnsupportedModelError(
                f"model {model.name!r} is not built; begin it with keras.Input or call it once"
            )
        model = model._functional
    functional = _functional_class()
    # A subclass may compute something else than the layers it was made from.
    if not isinstance(model, functional) or type(model).call is not functional.call:
        raise UnsupportedModelError(
            f"model: {type(model).__name__} is neither Functional nor Sequential, so its layers "
            "can't be followed"
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise UnsupportedModelError(
            f"model {model.name!r} has {len(model.inputs)} inputs and {len(model.outputs)} "
            "outputs; graphs have one of each"
        )
    return model


@lru_cache(maxsize=1)
def _functional_class() -> Any:
    """The class of functional models, for which Keras has no public name."""
    tensor = keras.Input((1,))
    # Older versions of Keras take no output that is an input.
    return type(keras.Model(tensor, keras.layers.Identity()(tensor)))


def _convert_model(conversion: _Conversion, model: Any, source: _Value) -> _Value:
    """Adds the layers of ``model``, applied to ``source``; returns its output."""
    values = {id(model.inputs[0]): source}
    by_depth = model._nodes_by_depth  # the deepest are nearest to the input
    for depth in sorted(by_depth, reverse=True):
        for node in by_depth[depth]:
            if isinstance(node.operation, keras.layers.InputLayer):
                continue
            if len(node.outputs) != 1:
                raise UnsupportedModelError(f"layer {node.operation.name!r} has several outputs")
            inputs = [values[id(tensor)] for tensor in node.input_tensors]
            values[id(node.outputs[0])] = _convert_node(conversion, node, inputs)
    return values[id(model.outputs[0])]


def _convert_node(conversion: _Conversion, node: Any, inputs: list[_Value]) -> _Value:
    operation = node.operation
    kind = type(operation)
    if node.arguments.kwargs.get("training") and kind.__name__ not in AUGMENTATIONS:
        raise UnsupportedModelError(f"layer {operation.name!r} is called with training=True")
    if isinstance(operation, keras.Model):
        composite = composite_step(operation)
        if composite is not None:
            return _Value(_add(conversion, composite, operation.name, conversion.read(inputs)))
        return _convert_model(conversion, _functional(operation), inputs[0])
    rule = _RULES.get(kind.__name__) if kind.__module__.startswith("keras.") else None
    if rule is None:
        raise UnsupportedModelError(
            f"layer {operation.name!r}: {kind.__module__.partition('.')[0]}'s {kind.__name__} has "
            "no counterpart among the graph's operations"
        )
    converted = rule(operation, node)
    if isinstance(converted, Preprocessing):
        return _scale_input(conversion, operation, converted, inputs[0])
    if not converted:
        return inputs[0]
    names = conversion.read(inputs)
    for step in converted:
        names = [_add(conversion, step, operation.name + step.suffix, names[: step.reads])]
    return _Value(names[0])


def _add(conversion: _Conversion, step: Step, name: str, inputs: list[str]) -> str:
    added = conversion.builder.add(step.op, step.attributes, inputs, name=name)
    if step.weights:
        conversion.weights[added] = dict(step.weights)
    return added


def _scale_input(
    conversion: _Conversion, layer: Any, preprocessing: Preprocessing, source: _Value
) -> _Value:
    """Takes a layer at the model's start for preprocessing: its output is the input, scaled."""
    if source.layer != _INPUT or source.scaled != len(conversion.preprocessings):
        raise UnsupportedModelError(
            f"layer {layer.name!r}: scaling is understood at the start of a model alone"
        )
    conversion.preprocessings.append(preprocessing)
    return _Value(_INPUT, source.scaled + 1)
