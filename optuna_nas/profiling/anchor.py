"""The anchor: one fixed small network every measurement is taken beside.

A machine has slow windows of seconds in which everything takes 25 to 30 % longer, also when idle. A
network whose runs alternate with those of a network that never changes shares such windows with it,
so the *ratio* of the two is far steadier than either time. The anchor mixes what searched networks
are made of: plain, depthwise and pointwise convolution, an addition, pooling, a dense layer.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from optuna_nas.export import require_onnx

ANCHOR_NAME = "conv-anchor-1"
"""Names the network below; both change together, for ratios to different anchors don't compare."""

_SIZE = 32
_CHANNELS = 16


@lru_cache(maxsize=1)
def anchor_bytes() -> bytes:
    """The anchor as a serialized ONNX model: float32 (1, 3, 32, 32) to (1, 10), 4.5 million MACs.

    Raises:
        ExportError: The `onnx` package is missing.
    """
    onnx = require_onnx()
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    rng = np.random.default_rng(0)
    initializers, nodes = [], []

    def weight(name: str, *shape: int) -> str:
        fan_in = int(np.prod(shape[1:])) or 1
        limit = np.sqrt(6.0 / fan_in)
        values = rng.uniform(-limit, limit, shape).astype(np.float32)
        initializers.append(numpy_helper.from_array(values, name))
        return name

    def node(kind: str, inputs: list[str], output: str, **attributes: object) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def conv(
        value: str, name: str, inputs: int, outputs: int, kernel: int, **attributes: object
    ) -> str:
        pad = [kernel // 2] * 4
        group = int(str(attributes.get("group", 1)))
        kernel_name = weight(f"{name}_w", outputs, inputs // group, kernel, kernel)
        value = node(
            "Conv", [value, kernel_name], name, kernel_shape=[kernel] * 2, pads=pad, **attributes
        )
        return node("Relu", [value], f"{name}_relu")

    c = _CHANNELS
    stem = conv("image", "stem", 3, c, 3)
    full = conv(stem, "full", c, c, 3)
    depthwise = conv(full, "depthwise", c, c, 3, group=c)
    pointwise = conv(depthwise, "pointwise", c, c, 1)
    total = node("Add", [stem, pointwise], "add")
    down = conv(total, "down", c, 2 * c, 3, strides=[2, 2])
    pooled = node("GlobalAveragePool", [down], "pool")
    flat = node("Flatten", [pooled], "flat")
    node("Gemm", [flat, weight("head_w", 10, 2 * c)], "logits", transB=1)

    floats = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        ANCHOR_NAME,
        [helper.make_tensor_value_info("image", floats, [1, 3, _SIZE, _SIZE])],
        [helper.make_tensor_value_info("logits", floats, [1, 10])],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString(deterministic=True))
