"""Operations that keep a part of what they read: pixels of an image, or its first channels."""

from __future__ import annotations

from collections.abc import Sequence

from optuna_nas.errors import InfeasibleArchitectureError
from optuna_nas.graph.operations import (
    REQUIRED,
    Attributes,
    Operation,
    Shape,
    register_operation,
)


def _cropped(attributes: Attributes, inputs: Sequence[Shape]) -> Shape:
    ((height, width, channels),) = _images("cropping2d", inputs)
    (top, bottom), (left, right) = attributes["cropping"]
    return (height - top - bottom, width - left - right, channels)


def _sliced(attributes: Attributes, inputs: Sequence[Shape]) -> Shape:
    ((height, width, channels),) = _images("slice_channels", inputs)
    if attributes["channels"] > channels:
        raise InfeasibleArchitectureError(
            f"slice_channels: {attributes['channels']} channels can't be kept of {channels}.",
            channels,
        )
    return (height, width, attributes["channels"])


def _images(operation: str, inputs: Sequence[Shape]) -> Sequence[Shape]:
    if any(len(shape) != 3 for shape in inputs):
        raise InfeasibleArchitectureError(
            f"{operation} needs an input of shape (height, width, channels), got {inputs[0]}.",
            inputs[0],
        )
    return inputs


register_operation(Operation("cropping2d", _cropped, defaults={"cropping": ((1, 1), (1, 1))}))
register_operation(Operation("slice_channels", _sliced, defaults={"channels": REQUIRED}))
