"""Numbers of channels that are multiples of other numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from optuna_nas.space.decisions import Params, Point
from optuna_nas.space.nodes import Node, multiple, resolve, value_points


@dataclass(frozen=True)
class Scaled(Node):
    """A value for ``filters`` or ``units``: the product of two values.

    Args:
        width: A number of channels, or a decision on it.
        factor: A number, or a decision on it, such as a width multiplier (Howard et al. 2017).
        divisor: The product is rounded to a multiple of this, see `Channels`.
    """

    width: Any
    factor: Any
    divisor: int = 1

    def points(self, path: str) -> tuple[Point, ...]:
        return value_points(self.width, path) + value_points(self.factor, path)

    def value(self, params: Params, path: str) -> Any:
        width, factor = (resolve(part, params, path) for part in (self.width, self.factor))
        return multiple(width * factor, self.divisor)
