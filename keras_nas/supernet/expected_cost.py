"""What a network drawn from a supernet costs on average, and how that depends on the gates.

Costs of layers add up, so the mean is a polynomial in the gates, linear in those of each decision
(ProxylessNAS, Cai et al. 2019; FBNet, Wu et al. 2019).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from keras_nas.supernet.policies.policy import Array
from optuna_nas.graph import Shape, get_operation
from optuna_nas.supergraph import TAKE, Block, Gates, SuperGraph, SuperLayer

CostOf = Callable[[SuperLayer, Sequence[Shape], Shape], float]
"""``(layer, shapes read, shape given) -> cost``, such as milliseconds."""
CostTerm = Callable[[float], tuple[float, float]]
"""``cost -> (loss, its slope)``."""

Path = dict[str, frozenset[int]]
"""Positions that decisions may take, for a layer to be run."""
Factors = tuple[tuple[str, tuple[int, ...]], ...]
"""The same, to look up: the share of a path is the product of sums of gates."""

CHANNELS = ("filters", "units")


def macs(layer: SuperLayer, inputs: Sequence[Shape], output: Shape) -> float:
    """Multiply-accumulates of a layer for one example."""
    if layer.op == TAKE:
        return 0.0
    operation = get_operation(layer.op)
    return float(operation.macs(operation.attributes(layer.attributes), inputs))


class ExpectedCost:
    """The expected cost of a supergraph's networks.

    Args:
        supergraph: The networks.
        cost_of: The cost of a layer. Where the number of channels is decided it is asked for every
            number, with the layer and its shapes made as narrow.
    """

    def __init__(self, supergraph: SuperGraph, cost_of: CostOf = macs) -> None:
        costs: defaultdict[Factors, float] = defaultdict(float)
        for layer, path in _layers(supergraph.root, {}):
            for read, given, narrow in _widths(supergraph, layer, path):
                costs[_factors(narrow)] += cost_of(_narrowed(layer, given), read, given)
        terms = {factors: cost for factors, cost in costs.items() if cost}
        self._costs = np.array(list(terms.values()))  # (terms,)
        self._factors = sorted({factor for factors in terms for factor in factors})
        row = {factor: k for k, factor in enumerate(self._factors)}
        # (terms, most factors of a term); shorter ones are filled up with a last factor, 1.
        self._rows = np.full((len(terms), max(map(len, terms), default=0)), len(row))
        for k, factors in enumerate(terms):
            self._rows[k, : len(factors)] = [row[factor] for factor in factors]

    def __call__(self, gates: Gates) -> tuple[float, dict[str, Array]]:
        """The cost, and its gradient in the gates of every decision."""
        sums = [gates[name][list(positions)].sum() for name, positions in self._factors]
        shares = np.array([*sums, 1.0])[self._rows]  # (terms, factors)
        slopes = np.zeros(len(sums) + 1)
        for k in range(shares.shape[1]):
            others = np.delete(shares, k, axis=1).prod(axis=1)
            np.add.at(slopes, self._rows[:, k], self._costs * others)
        gradient = {name: np.zeros(gate.size) for name, gate in gates.items()}
        for (name, positions), slope in zip(self._factors, slopes[:-1], strict=True):
            gradient[name][list(positions)] += slope
        return float(self._costs @ shares.prod(axis=1)), gradient


def proportional(target: float, weight: float) -> CostTerm:
    """weight T / T0 (ProxylessNAS)."""
    return lambda cost: (weight * cost / target, weight / target)


def logarithmic(target: float, weight: float = 0.07) -> CostTerm:
    """weight log(T / T0): the logarithm of MnasNet's soft reward, (T / T0)^-weight."""
    return lambda cost: (weight * float(np.log(cost / target)), weight / cost)


def absolute(target: float, weight: float = 0.1) -> CostTerm:
    """weight |T / T0 - 1|, least at the target (TuNAS, Bender et al. 2020)."""

    def term(cost: float) -> tuple[float, float]:
        return weight * abs(cost / target - 1), weight / target * float(np.sign(cost - target))

    return term


def _layers(block: Block, path: Path) -> Iterator[tuple[SuperLayer, Path]]:
    """Every layer, with when it is run."""
    for item in block.items:
        if isinstance(item, SuperLayer):
            yield item, path
            continue
        for branch in item.branches:
            within = _restricted(path, item.decision, branch.alternatives)
            if within is not None:
                yield from _layers(branch.block, within)


def _restricted(path: Path, decision: str, positions: Sequence[int]) -> Path | None:
    """The path on which a decision takes one of the positions; None where it can't."""
    left = path.get(decision, frozenset(positions)) & frozenset(positions)
    return {**path, decision: left} if left else None


def _widths(
    supergraph: SuperGraph, layer: SuperLayer, path: Path
) -> Iterator[tuple[list[Shape], Shape, Path]]:
    """The shapes that a layer may read and give, each with the path on which it does."""
    choices: list[tuple[list[Shape], Path]] = [([], path)]
    for value in (*layer.inputs, layer.name):
        choices = [
            ([*shapes, shape], further)
            for shapes, before in choices
            for shape, further in _shapes(supergraph, value, before)
        ]
    for shapes, narrow in choices:
        yield shapes[:-1], shapes[-1], narrow


def _shapes(supergraph: SuperGraph, value: str, path: Path) -> Iterator[tuple[Shape, Path]]:
    shape = supergraph.shapes[value]
    if value not in supergraph.widths:
        yield shape, path
        return
    for condition, mask in supergraph.widths[value].masks:
        narrow: Path | None = path
        for decision, position in condition:
            narrow = None if narrow is None else _restricted(narrow, decision, (position,))
        if narrow is not None:
            yield (*shape[:-1], sum(mask)), narrow


def _narrowed(layer: SuperLayer, output: Shape) -> SuperLayer:
    """The layer with as many channels as it gives."""
    own = {key: output[-1] for key in CHANNELS if key in layer.attributes}
    return replace(layer, attributes={**layer.attributes, **own}) if own else layer


def _factors(path: Path) -> Factors:
    return tuple(sorted((name, tuple(sorted(positions))) for name, positions in path.items()))
