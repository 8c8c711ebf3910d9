"""Which layers matter, and the paths on which a network's input reaches its output.

Both follow the canonical identity: a value that does not depend on the input is a constant, and
what only makes constants, or is not read on the way to the output, is dead.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optuna_nas.graph.pruning import gives_zero

if TYPE_CHECKING:
    from optuna_nas.graph.architecture import ArchitectureGraph, LayerSpec


def live_layers(graph: ArchitectureGraph) -> list[LayerSpec]:
    """Layers on a path from the input to the output along which no value is constant, in order."""
    zero: set[str] = set()
    constant: set[str] = set()
    for layer in graph.layers:
        inputs = layer.inputs
        if layer.op == "zero" or (zero and gives_zero(layer, inputs, zero)):
            zero.add(layer.name)
            constant.add(layer.name)
        elif constant and inputs and constant.issuperset(inputs):
            constant.add(layer.name)
    needed = {graph.output} - constant
    live = []
    for layer in reversed(graph.layers):
        if layer.name in needed:
            live.append(layer)
            needed.update(
                [x for x in layer.inputs if x not in constant] if constant else layer.inputs
            )
    live.reverse()
    return live


@dataclass(frozen=True)
class Paths:
    """Paths through live layers, from the input to the output.

    Attributes:
        total: Their number.
        through: How many of them lead through each live layer.
        shortest: Fewest weighted layers on one of them.
        longest: Most weighted layers on one of them.
    """

    total: int
    through: dict[str, int]
    shortest: int
    longest: int


def paths(live: Sequence[LayerSpec], weighted: Collection[str]) -> Paths:
    """Count the paths through live layers, by dynamic programming over the graph.

    Counts are exact: they grow with the power of the depth. Where identities, sums or equal layers
    without weights are put together, as for the canonical identity, no count changes.

    Args:
        live: Layers as `live_layers` gives them, at least one.
        weighted: Names of the layers that lengths count.
    """
    first, last = live[0].name, live[-1].name
    before, fewest, most = {first: 1}, {first: 0}, {first: 0}  # of the paths from the input
    for layer in live[1:]:
        name, own = layer.name, layer.name in weighted
        read = layer.inputs
        if len(read) == 1:
            (x,) = read
            before[name], fewest[name], most[name] = before[x], fewest[x] + own, most[x] + own
        else:
            read = tuple(x for x in read if x in before)
            before[name] = sum([before[x] for x in read])
            fewest[name] = min([fewest[x] for x in read]) + own
            most[name] = max([most[x] for x in read]) + own
    after = dict.fromkeys(before, 0)  # paths to the output
    after[last] = 1
    for layer in reversed(live):
        onwards = after[layer.name]
        for x in layer.inputs:
            if x in after:
                after[x] += onwards
    through = {name: count * after[name] for name, count in before.items()}
    return Paths(before[last], through, fewest[last], most[last])
