"""The graph's operations as TensorFlow calls on the weights of a Keras model's layers.

Tracing a small network takes longer than training it for an epoch, and half of the tracing is
Keras's layer machinery and batch normalisation written out in a dozen operations. What is
computed stays the same: tests hold it against the Keras model. Operations without a rule, a
user's own blocks among them, are called as Keras layers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, reduce
from typing import Any

import numpy as np
import tensorflow as tf

from optuna_nas.graph import ArchitectureGraph

Forward = Callable[[Any, Any], tuple[Any, list[Any]]]
"""``(inputs, floor) -> (outputs, losses of the layers' own)``.

``floor`` is None for inference; in training it is the least weight that batch normalisation gives
the batch at hand in its moving statistics (1 / step makes them plain averages at first).
"""

Moves = list[tuple[float, Any, Any, float]]
"""Momentum, moving statistic, the batch's value, and the factor that makes it the population's."""


Rule = Callable[[Any, Sequence[Any], Mapping[str, Any], Moves | None], Any]
"""``(layer, inputs, attributes, moves) -> outputs``; None: the Keras layer is to be called."""


def forward_of(model: Any) -> Forward:
    """The forward pass of a Keras model: direct where its graph is known, Keras's call otherwise.

    Layers that can't influence the output are left out of the direct form. It is for models whose
    layers all compute in float32 and are all trained; others take Keras's call.
    """
    graph = getattr(model, "architecture", None)
    plain = all(
        layer.compute_dtype == "float32" and layer.trainable
        for layer in model.layers
        if layer.weights
    )
    if isinstance(graph, ArchitectureGraph) and plain:
        return _direct(model, graph.pruned())

    def call(inputs: Any, floor: Any) -> tuple[Any, list[Any]]:
        outputs = model(inputs, training=floor is not None)
        return tf.cast(outputs, tf.float32), list(model.losses)

    return call


def direct_call(layer: Any, op: str, attributes: Mapping[str, Any], inputs: Sequence[Any]) -> Any:
    """A layer's output without Keras's machinery; None where there is no rule for it.

    Batch normalisation has none: what it computes depends on what its statistics are.
    """
    rule = None if op == "batch_normalization" else _RULES.get(op)
    return rule(layer, inputs, attributes, None) if rule else None


def _direct(model: Any, graph: ArchitectureGraph) -> Forward:
    def call(inputs: Any, floor: Any) -> tuple[Any, list[Any]]:
        values: dict[str, Any] = {graph.layers[0].name: inputs}
        losses: list[Any] = []
        moves: Moves | None = None if floor is None else []
        for spec in graph.layers[1:]:
            layer = model.get_layer(spec.name)
            arguments: Any = [values[name] for name in spec.inputs]
            rule = _RULES.get(spec.op)
            result = rule(layer, arguments, spec.attributes, moves) if rule else None
            if result is None:
                arguments = arguments if len(arguments) > 1 else arguments[0]
                result = layer(arguments, training=floor is not None)
                losses += layer.losses
            values[spec.name] = result
        if moves:
            _move_statistics(moves, floor)
        return values[graph.output], losses

    return call


def _convolution(
    layer: Any, inputs: Sequence[Any], attributes: Mapping[str, Any], _: Moves | None
) -> Any:
    def convolve(images: Any, kernel: Any) -> Any:
        return tf.nn.conv2d(
            images,
            kernel,
            attributes["strides"],
            attributes["padding"].upper(),
            dilations=attributes["dilation_rate"],
        )

    groups, kernel = attributes["groups"], layer.kernel.value
    if groups == 1 or _groups_have_gradients():
        outputs = convolve(inputs[0], kernel)
    else:
        pairs = zip(tf.split(inputs[0], groups, -1), tf.split(kernel, groups, -1), strict=True)
        outputs = tf.concat([convolve(*pair) for pair in pairs], -1)
    return tf.nn.bias_add(outputs, layer.bias.value) if attributes["use_bias"] else outputs


def _convolution1d(
    layer: Any, inputs: Sequence[Any], attributes: Mapping[str, Any], _: Moves | None
) -> Any:
    (stride,), (dilation,) = attributes["strides"], attributes["dilation_rate"]
    steps, padding = inputs[0], attributes["padding"]
    if padding == "causal":
        before = (attributes["kernel_size"][0] - 1) * dilation
        steps, padding = tf.pad(steps, ((0, 0), (before, 0), (0, 0))), "valid"
    outputs = tf.nn.conv1d(steps, layer.kernel.value, stride, padding.upper(), dilations=dilation)
    return tf.nn.bias_add(outputs, layer.bias.value) if attributes["use_bias"] else outputs


@cache
def _groups_have_gradients() -> bool:
    """Whether grouped convolutions can be trained here: with oneDNN and on GPUs they can.

    Keras takes XLA for them, whose convolutions on a processor are slower by far.
    """
    with tf.init_scope():  # run now, also while a function is traced
        images, kernel = tf.zeros((1, 4, 4, 4)), tf.zeros((3, 3, 2, 4))
        options: dict[str, Any] = {"strides": (1, 1, 1, 1), "padding": "SAME"}
        try:
            tf.raw_ops.Conv2DBackpropInput(
                input_sizes=images.shape, filter=kernel, out_backprop=images, **options
            )
            tf.raw_ops.Conv2DBackpropFilter(
                input=images, filter_sizes=kernel.shape, out_backprop=images, **options
            )
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
            return False
    return True


def _depthwise(
    layer: Any, inputs: Sequence[Any], attributes: Mapping[str, Any], _: Moves | None
) -> Any:
    strides = attributes["strides"]
    if attributes["dilation_rate"] != (1, 1) or strides[0] != strides[1]:
        return None
    outputs = tf.nn.depthwise_conv2d(
        inputs[0], layer.kernel.value, (1, *strides, 1), attributes["padding"].upper()
    )
    return tf.nn.bias_add(outputs, layer.bias.value) if attributes["use_bias"] else outputs


def _dense(
    layer: Any, inputs: Sequence[Any], attributes: Mapping[str, Any], _: Moves | None
) -> Any:
    if len(inputs[0].shape) != 2:
        return None
    outputs = tf.matmul(inputs[0], layer.kernel.value)
    return tf.nn.bias_add(outputs, layer.bias.value) if attributes["use_bias"] else outputs


def _batch_normalization(
    layer: Any, inputs: Sequence[Any], attributes: Mapping[str, Any], moves: Moves | None
) -> Any:
    images = inputs[0]
    rank = len(images.shape)
    if rank not in (2, 3, 4):
        return None
    shape = tf.shape(images)
    if rank < 4:
        places = images.shape[1:-1] if rank == 3 else (1,)
        images = tf.reshape(images, (-1, 1, *places, images.shape[-1]))
    mean, variance = layer.moving_mean.value, layer.moving_variance.value
    unread = tf.constant([])
    outputs, batch_mean, batch_variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=images,
        scale=layer.gamma.value,
        offset=layer.beta.value,
        mean=mean if moves is None else unread,
        variance=variance if moves is None else unread,
        epsilon=attributes["epsilon"],
        is_training=moves is not None,
    )
    if moves is not None:
        examples, height, width, _channels = images.shape
        count = examples * height * width
        momentum = attributes["momentum"]
        moves.append((momentum, mean, batch_mean, 1.0))
        # The fused operation gives the sample variance; Keras averages the population's.
        moves.append((momentum, variance, batch_variance, (count - 1) / count))
    return tf.reshape(outputs, shape) if rank < 4 else outputs


def _move_statistics(moves: Moves, floor: Any) -> None:
    """Move all moving statistics towards those of the batch: few operations for many layers."""
    for momentum in sorted({move[0] for move in moves}):
        group = [move for move in moves if move[0] == momentum]
        sizes = [int(variable.shape[0]) for _, variable, _, _ in group]
        scales = np.repeat([scale for *_, scale in group], sizes).astype(np.float32)
        now = tf.concat([variable for _, variable, _, _ in group], 0)
        batch = tf.concat([value for _, _, value, _ in group], 0) * scales
        changes = (now - batch) * tf.maximum(1.0 - momentum, floor)
        for move, change in zip(group, tf.split(changes, sizes), strict=True):
            move[1].assign_sub(change, read_value=False)


def _activation(
    layer: Any, inputs: Sequence[Any], attributes: Mapping[str, Any], _: Moves | None
) -> Any:
    if attributes["function"] == "relu":
        return tf.nn.relu(inputs[0])
    return layer.activation(inputs[0])


def _max_pooling(
    _l: Any, inputs: Sequence[Any], attributes: Mapping[str, Any], _: Moves | None
) -> Any:
    padding = attributes["padding"].upper()
    return tf.nn.max_pool2d(inputs[0], attributes["pool_size"], attributes["strides"], padding)


def _average_pooling(
    _l: Any, inputs: Sequence[Any], attributes: Mapping[str, Any], _: Moves | None
) -> Any:
    padding = attributes["padding"].upper()
    return tf.nn.avg_pool2d(inputs[0], attributes["pool_size"], attributes["strides"], padding)


_OF_CELLS: dict[str, Callable[[Any], Any]] = {
    "tanh": tf.tanh,
    "relu": tf.nn.relu,
    "sigmoid": tf.sigmoid,
    "linear": tf.identity,
}


def _darts_rnn(
    layer: Any, inputs: Sequence[Any], attributes: Mapping[str, Any], _: Moves | None
) -> Any:
    cell, nodes = layer.get_layer("cell"), attributes["cell"]
    if not {function for function, _source in nodes} <= set(_OF_CELLS):
        return None

    def kernel(name: str) -> Any:
        return cell.get_layer(name).kernel.value

    def gated(before: Any, both: Any, function: str) -> Any:
        gate, new = tf.split(both, 2, -1)
        return before + tf.sigmoid(gate) * (_OF_CELLS[function](new) - before)

    first = kernel("first")
    kernels = [kernel(f"node{i}_{function}_{read}") for i, (function, read) in enumerate(nodes)]

    def following(state: Any, step: Any) -> Any:
        values = [gated(state, tf.matmul(tf.concat([step, state], -1), first), "tanh")]
        for (function, read), weights in zip(nodes, kernels, strict=True):
            values.append(gated(values[read], tf.matmul(values[read], weights), function))
        return tf.add_n(values[1:]) / len(nodes)

    # A loop is traced once; Keras's layer holds a copy of the cell for each step.
    state = tf.zeros((tf.shape(inputs[0])[0], attributes["units"]))
    states = tf.scan(following, tf.transpose(inputs[0], (1, 0, 2)), state)
    return tf.transpose(states, (1, 0, 2))


def _pooling1d(kind: str) -> Rule:
    def rule(_l: Any, inputs: Sequence[Any], attributes: Mapping[str, Any], _: Moves | None) -> Any:
        return tf.nn.pool(
            inputs[0],
            attributes["pool_size"],
            kind,
            attributes["strides"],
            attributes["padding"].upper(),
        )

    return rule


def _cropping1d(
    _l: Any, inputs: Sequence[Any], attributes: Mapping[str, Any], _: Moves | None
) -> Any:
    before, after = attributes["cropping"]
    return inputs[0][:, before : inputs[0].shape[1] - after]


def _position_embedding(
    layer: Any, inputs: Sequence[Any], _a: Mapping[str, Any], _: Moves | None
) -> Any:
    return inputs[0] + layer.get_layer("positions").embeddings.value


def _flatten(_l: Any, inputs: Sequence[Any], _a: Mapping[str, Any], _: Moves | None) -> Any:
    size = tf.TensorShape(inputs[0].shape[1:]).num_elements()
    return tf.reshape(inputs[0], (-1, size))


def _reshape(_l: Any, inputs: Sequence[Any], attributes: Mapping[str, Any], _: Moves | None) -> Any:
    return tf.reshape(inputs[0], (-1, *attributes["target_shape"]))


def _zero_padding(
    _l: Any, inputs: Sequence[Any], attributes: Mapping[str, Any], _: Moves | None
) -> Any:
    return tf.pad(inputs[0], ((0, 0), *attributes["padding"], (0, 0)))


def _cropping(
    _l: Any, inputs: Sequence[Any], attributes: Mapping[str, Any], _: Moves | None
) -> Any:
    (top, bottom), (left, right) = attributes["cropping"]
    height, width = inputs[0].shape[1:3]
    return inputs[0][:, top : height - bottom, left : width - right]


def _add(_l: Any, inputs: Sequence[Any], _a: Mapping[str, Any], _: Moves | None) -> Any:
    return tf.add_n(list(inputs))


_RULES: dict[str, Rule] = {
    "conv1d": _convolution1d,
    "conv2d": _convolution,
    "depthwise_conv2d": _depthwise,
    "dense": _dense,
    "batch_normalization": _batch_normalization,
    "activation": _activation,
    "max_pooling2d": _max_pooling,
    "average_pooling2d": _average_pooling,
    "max_pooling1d": _pooling1d("MAX"),
    "average_pooling1d": _pooling1d("AVG"),
    "global_average_pooling1d": lambda _l, x, _a, _: tf.reduce_mean(x[0], 1),
    "global_max_pooling1d": lambda _l, x, _a, _: tf.reduce_max(x[0], 1),
    "cropping1d": _cropping1d,
    "darts_rnn": _darts_rnn,
    "position_embedding": _position_embedding,
    "global_average_pooling2d": lambda _l, x, _a, _: tf.reduce_mean(x[0], (1, 2)),
    "global_max_pooling2d": lambda _l, x, _a, _: tf.reduce_max(x[0], (1, 2)),
    "flatten": _flatten,
    "reshape": _reshape,
    "zero_padding2d": _zero_padding,
    "cropping2d": _cropping,
    "slice_channels": lambda _l, x, attributes, _: x[0][..., : attributes["channels"]],
    "identity": lambda _l, x, _a, _: x[0],
    "zero": lambda _l, x, _a, _: tf.zeros_like(x[0]),
    "add": _add,
    "multiply": lambda _l, x, _a, _: reduce(tf.multiply, x),
    "concatenate": lambda _l, x, _a, _: tf.concat(list(x), -1),
}
