"""What a supernet computes: layers, mixtures of alternatives, and blocks of both.

Values are known by name, as in an architecture graph. A block may read values of the blocks around
it. Shapes are those of the widest alternatives; where the number of channels is decided, a `Width`
tells which of them are in use.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from optuna_nas.graph.operations import Attributes, Shape
from optuna_nas.space.decisions import Value

Kind = Literal["one", "sum", "depth"]
Role = Literal["none", "skip", "pool", "operation"]
Gates = Mapping[str, NDArray[np.float64]]
"""One number an alternative, by decision."""


@dataclass(frozen=True)
class Alternatives:
    """What a decision is between.

    Args:
        name: Name of the decision.
        values: Values of its domain, in their order.
        options: Of a `Subset`: its branches, each of which has a gate of its own.
    """

    name: str
    values: tuple[Value, ...]
    options: tuple[str, ...] | None = None

    @property
    def size(self) -> int:
        """Number of gates."""
        return len(self.values if self.options is None else self.options)

    def hot(self, value: Value) -> NDArray[np.float64]:
        """Gates (size,) that stand for one value: 1 for what is chosen, 0 for what is not."""
        chosen = [value] if self.options is None else str(value).split("+")
        among = self.values if self.options is None else self.options
        return np.array([float(alternative in chosen) for alternative in among])


@dataclass(frozen=True)
class Place:
    """Where weights live; layers of one place share them.

    Args:
        op: The operation.
        attributes: Its attributes, for the most channels.
        inputs: Shapes of what is read.
        decided: Whether it stands in a cell or in a mixture.
    """

    op: str
    attributes: Attributes
    inputs: tuple[Shape, ...]
    decided: bool = False


@dataclass(frozen=True)
class SuperLayer:
    """A layer.

    Args:
        name: Of its value.
        op: The operation.
        attributes: Its attributes, for the most channels.
        inputs: Names of the values read.
        place: Where its weights live.
    """

    name: str
    op: str
    attributes: Attributes
    inputs: tuple[str, ...]
    place: str


@dataclass(frozen=True)
class Branch:
    """One of the blocks between which a decision is taken.

    Args:
        alternatives: Positions, among those of the decision, that lead here.
        block: What is computed.
        weighted: Whether gates weigh the block's output. They don't where it has done so itself:
            the deeper part of a repetition.
    """

    alternatives: tuple[int, ...]
    block: Block
    weighted: bool = True


@dataclass(frozen=True)
class Mixture:
    """Alternatives of one decision, merged into one value.

    Args:
        name: Of its value. Branches with fewer channels are filled up with zeros.
        decision: The decision.
        input: Name of the value that the branches read.
        branches: The alternatives.
        kind: "one" of the branches is chosen; or any number of them, whose "sum" is taken, each
            with the gate of its one alternative; or "depth": to stop here, or to go on.
    """

    name: str
    decision: str
    input: str
    branches: tuple[Branch, ...]
    kind: Kind = "one"


@dataclass(frozen=True)
class Block:
    """Layers and mixtures in the order of their computation; may be empty.

    Args:
        items: What is computed.
        output: Name of the value that is the block's, maybe one from around it.
    """

    items: tuple[SuperLayer | Mixture, ...]
    output: str

    def layers(self) -> Iterator[SuperLayer]:
        """All layers, those in mixtures too, in the order of emission."""
        for item in self.items:
            if isinstance(item, SuperLayer):
                yield item
            else:
                for branch in item.branches:
                    yield from branch.block.layers()

    def mixtures(self) -> Iterator[Mixture]:
        """All mixtures, inner ones after those around them."""
        for item in self.items:
            if isinstance(item, Mixture):
                yield item
                for branch in item.branches:
                    yield from branch.block.mixtures()


POOLS = frozenset(["max_pooling2d", "average_pooling2d", "max_pooling1d", "average_pooling1d"])


def roles(mixture: Mixture) -> tuple[Role, ...]:
    """What each branch does: nothing, pass its input on, pool, or compute something."""
    return tuple(_role(branch.block, mixture.input) for branch in mixture.branches)


def _role(block: Block, source: str) -> Role:
    operations = [layer.op for layer in block.layers()]
    if "zero" in operations:
        return "none"
    if set(operations) <= {"identity"}:
        return "skip"
    return "pool" if POOLS & set(operations) and len(operations) <= 2 else "operation"


Condition = tuple[tuple[str, int], ...]
"""Decisions, and the positions of the values that they must have taken."""


@dataclass(frozen=True)
class Width:
    """Channels in use, where their number is decided.

    Args:
        masks: For each of several conditions that exclude one another, which channels are in use.
    """

    masks: tuple[tuple[Condition, tuple[bool, ...]], ...]

    def mask(self, gates: Gates) -> NDArray[np.float64]:
        """The share (channels,) in which each channel is in use."""
        shares = [math.prod(gates[d][position] for d, position in c) for c, _ in self.masks]
        masks = np.array([mask for _, mask in self.masks], dtype=float)
        return np.asarray(np.array(shares) @ masks)
