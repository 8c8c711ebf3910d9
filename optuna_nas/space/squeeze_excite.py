"""Squeeze-and-excitation: channels weighed by what all positions hold (Hu et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from optuna_nas.space.decisions import Point
from optuna_nas.space.nodes import Emitter, Node, multiple, value_points


@dataclass(frozen=True)
class SqueezeExcite(Node):
    """``x * gate(W2 activation(W1 mean(x)))``, the mean over all positions of an image.

    Args:
        ratio: Units of W1 for each channel, or a decision on it.
        divisor: Units are rounded to a multiple of this, see `Channels`.
        activation: Between the two dense layers, or a decision on it.
        gate: Brings the weights between 0 and 1.
    """

    ratio: Any = 0.25
    divisor: int = 8
    activation: Any = "relu"
    gate: str = "hard_sigmoid"

    def points(self, path: str) -> tuple[Point, ...]:
        return value_points(self.ratio, path) + value_points(self.activation, path)

    def emit(self, emitter: Emitter, path: str, x: str) -> str | None:
        start = emitter.position
        (ratio, activation), names = emitter.resolve((self.ratio, self.activation), path)
        channels = emitter.channels(x)
        layers: list[tuple[str, dict[str, Any]]] = [
            ("global_average_pooling2d", {}),
            ("dense", {"units": multiple(channels * ratio, self.divisor)}),
            ("activation", {"function": activation}),
            ("dense", {"units": channels}),
            ("activation", {"function": self.gate}),
            ("reshape", {"target_shape": (1, 1, channels)}),
        ]
        weights = x
        for op, attributes in layers:
            key = (op, *attributes.values())
            name = f"{path}{op}"
            weights = emitter.builder.add(op, attributes, [weights], name=name, key=key)
        scaled = emitter.builder.add(
            "multiply", {}, [x, weights], name=f"{path}multiply", key="multiply"
        )
        if names:
            emitter.govern(names, start)
        return scaled
