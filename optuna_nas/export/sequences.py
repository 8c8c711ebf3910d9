"""ONNX rules of operations on sequences; recurrent layers become ONNX's own LSTM and GRU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from optuna_nas.export.activations import ACTIVATIONS
from optuna_nas.export.rules import Rule, WeightShapes, register_rule
from optuna_nas.export.writer import Writer
from optuna_nas.graph import LayerSpec, Shape

_INT64 = 7  # onnx.TensorProto.INT64

# Where the gates of ONNX are among those of Keras: i, o, f, c of i, f, c, o; z, r, h of the same.
_LSTM_GATES = (0, 3, 1, 2)
_GRU_GATES = (0, 1, 2)


def _embedding(writer: Writer, layer: LayerSpec) -> None:
    (source,) = layer.inputs
    tokens = writer.read(source)
    if not (writer.tokens and source == writer.graph.layers[0].name):
        tokens = writer.node("Cast", [tokens], f"{layer.name}/tokens", to=_INT64)
    table = writer.constant(writer.weight(layer, "embeddings"), f"{layer.name}/embeddings")
    writer.put(layer, writer.node("Gather", [table, tokens], layer.name, axis=0))


def _embedding_weights(attributes: Mapping[str, Any], _inputs: Sequence[Shape]) -> WeightShapes:
    return {"embeddings": (attributes["input_dim"], attributes["output_dim"])}


def _directions(attributes: Mapping[str, Any]) -> tuple[str, ...]:
    return ("forward_", "backward_") if attributes["bidirectional"] else ("",)


def _recurrent(
    kind: str, gates: Sequence[int], **extra: int
) -> Callable[[Writer, LayerSpec], None]:
    def write(writer: Writer, layer: LayerSpec) -> None:
        (source,) = layer.inputs
        attributes, ways = layer.attributes, _directions(layer.attributes)
        units, (steps, _) = attributes["units"], writer.graph.shapes[source]

        def gated(name: str) -> np.ndarray:
            """A weight of every direction, (directions, ..., gates * units), in ONNX's order."""
            weight = np.stack([writer.weight(layer, way + name) for way in ways])
            parts = np.split(weight, len(gates), axis=-1)
            return np.concatenate([parts[gate] for gate in gates], axis=-1)

        weights = {
            "kernel": gated("kernel").transpose(0, 2, 1),
            "recurrent_kernel": gated("recurrent_kernel").transpose(0, 2, 1),
            "bias": _both_biases(gated("bias")),
        }
        constants = [writer.constant(w, f"{layer.name}/{key}") for key, w in weights.items()]
        steps_first = writer.node(
            "Transpose", [writer.read(source)], f"{layer.name}/steps_first", perm=[1, 0, 2]
        )
        sequences = attributes["return_sequences"]
        # All states, (steps, directions, batch, units), or the last, (directions, batch, units).
        states = writer.output(
            0 if sequences else 1,
            kind,
            [steps_first, *constants],
            f"{layer.name}/states",
            hidden_size=units,
            direction="bidirectional" if len(ways) > 1 else "forward",
            **extra,
        )
        order = [2, 0, 1, 3] if sequences else [1, 0, 2]
        batch_first = writer.node("Transpose", [states], f"{layer.name}/batch_first", perm=order)
        sizes = [0, steps, len(ways) * units] if sequences else [0, len(ways) * units]
        writer.put(layer, writer.reshape(batch_first, sizes, layer.name))

    return write


def _both_biases(bias: np.ndarray) -> np.ndarray:
    """ONNX adds a bias for the input and one for the state; Keras's LSTM has the first alone."""
    if bias.ndim == 2:
        return np.concatenate([bias, np.zeros_like(bias)], axis=-1)
    return bias.reshape(len(bias), -1)


def _recurrent_weights(
    gates: int, biases: int
) -> Callable[[Mapping[str, Any], Sequence[Shape]], WeightShapes]:
    def shapes(attributes: Mapping[str, Any], inputs: Sequence[Shape]) -> WeightShapes:
        units = attributes["units"]
        one_way = {
            "kernel": (inputs[0][-1], gates * units),
            "recurrent_kernel": (units, gates * units),
            "bias": (gates * units,) if biases == 1 else (biases, gates * units),
        }
        return {
            way + key: shape for way in _directions(attributes) for key, shape in one_way.items()
        }

    return shapes


# --- the recurrent cell of DARTS ---------------------------------------------------------------


def _darts_rnn(writer: Writer, layer: LayerSpec) -> None:
    (source,) = layer.inputs
    x, cell, units = writer.read(source), layer.attributes["cell"], layer.attributes["units"]
    steps, channels = writer.graph.shapes[source]
    first, further = writer.weight(layer, "first_kernel"), writer.weight(layer, "nodes_kernel")

    def halves(kernel: np.ndarray, name: str) -> tuple[str, str]:
        """The matrices of the gate and of the new state."""
        gate, new = np.split(kernel, 2, axis=-1)
        name = f"{layer.name}/{name}"
        return writer.constant(gate, f"{name}/gate"), writer.constant(new, f"{name}/new")

    def products(x: str, kernels: tuple[str, str], name: str) -> list[str]:
        return [writer.node("MatMul", [x, kernel], f"{name}/product") for kernel in kernels]

    def gated(before: str | None, both: Sequence[str], function: str, name: str) -> str:
        gate = writer.node("Sigmoid", [both[0]], f"{name}/gate")
        new = ACTIVATIONS[function](writer, both[1], f"{name}/new", -1)
        if before is None:  # of zeros
            return writer.node("Mul", [gate, new], name)
        change = writer.node("Sub", [new, before], f"{name}/change")
        taken = writer.node("Mul", [gate, change], f"{name}/taken")
        return writer.node("Add", [before, taken], name)

    kernels = [halves(kernel, f"node{i}") for i, kernel in enumerate(further, start=1)]
    driven = products(x, halves(first[:channels], "input"), f"{layer.name}/driven")
    state: str | None = None
    states = []
    for step in range(steps):
        name = f"{layer.name}/{step}"
        index = writer.constant(np.array(step, np.int64), "step")
        both = [writer.node("Gather", [part, index], f"{name}/driven", axis=1) for part in driven]
        if state is not None:
            fed_back = products(state, halves(first[channels:], "state"), f"{name}/state")
            pairs = zip(both, fed_back, strict=True)
            both = [writer.node("Add", list(pair), f"{name}/both") for pair in pairs]
        nodes = [gated(state, both, "tanh", f"{name}/node0")]
        for i, ((function, read), kernel) in enumerate(zip(cell, kernels, strict=True), start=1):
            both = products(nodes[read], kernel, f"{name}/node{i}")
            nodes.append(gated(nodes[read], both, function, f"{name}/node{i}"))
        state = writer.node("Mean", nodes[1:], f"{name}/mean")
        states.append(writer.reshape(state, [0, 1, units], name))
    writer.put(layer, writer.node("Concat", states, layer.name, axis=1))


def _searched_weights(attributes: Mapping[str, Any], inputs: Sequence[Shape]) -> WeightShapes:
    units, nodes = attributes["units"], len(attributes["cell"])
    return {
        "first_kernel": (inputs[0][-1] + units, 2 * units),
        "nodes_kernel": (nodes, units, 2 * units),
    }


def _cropping1d(writer: Writer, layer: LayerSpec) -> None:
    before, _ = layer.attributes["cropping"]
    steps, _ = writer.graph.shapes[layer.name]
    bounds = [
        writer.constant(np.array([value], np.int64), f"{layer.name}/{name}")
        for name, value in (("starts", before), ("ends", before + steps), ("axes", 1))
    ]
    source = writer.read(layer.inputs[0])
    writer.put(layer, writer.node("Slice", [source, *bounds], layer.name))


register_rule("darts_rnn", Rule(_darts_rnn, _searched_weights))
register_rule("cropping1d", Rule(_cropping1d))
register_rule("embedding", Rule(_embedding, _embedding_weights))
register_rule("lstm", Rule(_recurrent("LSTM", _LSTM_GATES), _recurrent_weights(4, 1)))
# Keras resets the state after the matrix product, which has a bias of its own.
register_rule(
    "gru",
    Rule(_recurrent("GRU", _GRU_GATES, linear_before_reset=1), _recurrent_weights(3, 2)),
)
