"""What follows the body of every space."""

from __future__ import annotations

from dataclasses import dataclass

from optuna_nas.space.decisions import Point
from optuna_nas.space.nodes import Emitter, Node

LOGITS = "logits"


@dataclass(frozen=True)
class Head(Node):
    """A dense layer that gives one logit a class.

    Args:
        classes: Number of classes.
    """

    classes: int

    def points(self, path: str) -> tuple[Point, ...]:
        return ()

    def emit(self, emitter: Emitter, path: str, x: str) -> str:
        return emitter.builder.add("dense", {"units": self.classes}, [x], name=LOGITS)
