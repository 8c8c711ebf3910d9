"""Activation functions as ONNX nodes, equal to `keras.activations` of the same name."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from optuna_nas.export.writer import Writer

# (writer, input tensor, layer name, channel axis) -> output tensor
Activation = Callable[[Writer, str, str, int], str]


def _plain(kind: str, **attributes: float) -> Activation:
    return lambda writer, x, name, _axis: writer.node(kind, [x], name, **attributes)


def _scalar(writer: Writer, value: float, name: str) -> str:
    return writer.constant(np.array(value, np.float32), name)


def _relu6(writer: Writer, x: str, name: str, _axis: int) -> str:
    limits = [_scalar(writer, 0.0, "zero"), _scalar(writer, 6.0, "six")]
    return writer.node("Clip", [x, *limits], name)


def _silu(writer: Writer, x: str, name: str, _axis: int) -> str:
    gate = writer.node("Sigmoid", [x], f"{name}/gate")
    return writer.node("Mul", [x, gate], name)


def _mish(writer: Writer, x: str, name: str, _axis: int) -> str:
    softplus = writer.node("Softplus", [x], f"{name}/softplus")
    gate = writer.node("Tanh", [softplus], f"{name}/gate")
    return writer.node("Mul", [x, gate], name)


def _gelu(writer: Writer, x: str, name: str, _axis: int) -> str:
    if writer.opset >= 20:
        return writer.node("Gelu", [x], name)
    # x / 2 * (1 + erf(x / sqrt 2)), the form ONNX Runtime recognises and fuses
    divided = writer.node("Div", [x, _scalar(writer, math.sqrt(2), "sqrt_two")], f"{name}/divided")
    erf = writer.node("Erf", [divided], f"{name}/erf")
    shifted = writer.node("Add", [erf, _scalar(writer, 1.0, "one")], f"{name}/shifted")
    product = writer.node("Mul", [x, shifted], f"{name}/product")
    return writer.node("Mul", [product, _scalar(writer, 0.5, "half")], name)


def _softmax(writer: Writer, x: str, name: str, axis: int) -> str:
    return writer.node("Softmax", [x], name, axis=axis)


def _linear(_writer: Writer, x: str, _name: str, _axis: int) -> str:
    return x


ACTIVATIONS: dict[str, Activation] = {
    "linear": _linear,
    "relu": _plain("Relu"),
    "relu6": _relu6,
    "leaky_relu": _plain("LeakyRelu", alpha=0.2),
    "elu": _plain("Elu", alpha=1.0),
    "selu": _plain("Selu"),
    "gelu": _gelu,
    "silu": _silu,
    "hard_sigmoid": _plain("HardSigmoid", alpha=1 / 6, beta=0.5),
    "hard_silu": _plain("HardSwish"),
    "mish": _mish,
    "tanh": _plain("Tanh"),
    "sigmoid": _plain("Sigmoid"),
    "softplus": _plain("Softplus"),
    "softmax": _softmax,
}
"""Slopes and scales are Keras's defaults: leaky_relu 0.2, elu 1; ONNX's selu has Keras's."""
