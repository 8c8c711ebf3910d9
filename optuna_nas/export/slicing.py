"""ONNX rules of the operations that keep a part of what they read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optuna_nas.export.rules import Rule, register_rule
from optuna_nas.export.writer import Layout, Writer
from optuna_nas.graph import LayerSpec


def _slice(
    writer: Writer,
    layer: LayerSpec,
    axes: Sequence[int],
    starts: Sequence[int],
    ends: Sequence[int],
) -> None:
    """Keep positions from ``starts`` to ``ends`` along axes of (batch, channels, height, width)."""
    bounds = [
        writer.constant(np.array(values, np.int64), f"{layer.name}/{name}")
        for name, values in (("starts", starts), ("ends", ends), ("axes", axes))
    ]
    source = writer.read(layer.inputs[0], Layout.FIRST)
    writer.put(layer, writer.node("Slice", [source, *bounds], layer.name), Layout.FIRST)


def _cropping2d(writer: Writer, layer: LayerSpec) -> None:
    (top, _), (left, _) = layer.attributes["cropping"]
    height, width, _ = writer.graph.shapes[layer.name]
    _slice(writer, layer, (2, 3), (top, left), (top + height, left + width))


def _slice_channels(writer: Writer, layer: LayerSpec) -> None:
    _slice(writer, layer, (1,), (0,), (layer.attributes["channels"],))


register_rule("cropping2d", Rule(_cropping2d))
register_rule("slice_channels", Rule(_slice_channels))
