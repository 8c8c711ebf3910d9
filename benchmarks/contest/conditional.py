"""Tasks over conditional spaces, with synthetic objectives whose optimum is known.

A network is a row of d layers, each in one of several states (an operation and its settings). With
k(s) the operation of state s, the row's quality is

    F_d(s) = 1/d * ( sum_i A[i, k(s_i)] + B[d - 1 - i, k(s_i)] + inside(s_i)
                     + sum_{i > 0} C[k(s_{i-1}), k(s_i)] ),

A by position from the input, B by position from the output (so that what is right at a place
depends on the depth), C by neighbours, all standard normal, drawn from the seed. The value is

    f(d, s) = -0.1 |d - d*| - (max F_d - F_d(s)) / (max F_d - mean F_d),

with d* drawn from the seed and the mean over random architectures. So the optimum is 0, a random
architecture of the best depth has -1 on average, and at each depth only the right operations
together reach its maximum. A state's own settings count by the same rule, one level below.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contest.task import Observation, Params, Task, generator, regret_of_incumbent
from optuna_nas.space import (
    Choice,
    Node,
    Repeat,
    SearchSpace,
    conv,
    global_average_pooling,
    max_pooling,
    residual,
    separable_conv,
)

DEPTH_PENALTY = 0.1
OPERATIONS = ("conv3", "conv5", "separable3", "separable5", "pool")
KERNELS = (3, 5, 7)
ACTIVATIONS = ("relu", "silu")
INNER = ("conv1", "conv3", "pool")


class Row:
    """The value of a row of layers, as the module describes.

    Args:
        rng: Draws A, B, C and d*.
        depths: Smallest and largest depth.
        best_depths: Between which d* is drawn.
        kinds: Operation of each state, shape (states,).
        chances: Probability of each state in a random architecture, shape (states,).
        inside: What the settings of each state add, shape (states,).
    """

    def __init__(
        self,
        rng: np.random.Generator,
        depths: tuple[int, int],
        best_depths: tuple[int, int],
        kinds: NDArray[np.intp],
        chances: NDArray[np.float64],
        inside: NDArray[np.float64],
    ) -> None:
        longest, operations = depths[1], int(kinds.max()) + 1
        from_input = rng.normal(size=(longest, operations))[:, kinds]
        from_output = rng.normal(size=(longest, operations))[:, kinds]
        self._neighbours = rng.normal(size=(operations, operations))[np.ix_(kinds, kinds)]
        self._best_depth = int(rng.integers(best_depths[0], best_depths[1] + 1))
        self._layers: dict[int, NDArray[np.float64]] = {}  # depth -> (depth, states)
        self._bounds: dict[int, tuple[float, float]] = {}  # depth -> mean and largest F
        for depth in range(depths[0], depths[1] + 1):
            layers = from_input[:depth] + from_output[:depth][::-1] + inside
            self._layers[depth] = layers
            pairs = (depth - 1) * float(chances @ self._neighbours @ chances)
            mean = (float((layers @ chances).sum()) + pairs) / depth
            self._bounds[depth] = mean, self._largest(layers) / depth

    def _largest(self, layers: NDArray[np.float64]) -> float:
        """Largest sum along a row, by dynamic programming (Viterbi)."""
        best = layers[0]  # (states,), over all rows that end in a state
        for layer in layers[1:]:
            best = (best[:, None] + self._neighbours).max(axis=0) + layer
        return float(best.max())

    def value(self, states: Sequence[int]) -> float:
        """f of a row, 0 at best."""
        depth = len(states)
        total = float(self._layers[depth][np.arange(depth), list(states)].sum())
        total += sum(float(self._neighbours[pair]) for pair in itertools.pairwise(states))
        mean, largest = self._bounds[depth]
        shortfall = (largest - total / depth) / (largest - mean)
        return -DEPTH_PENALTY * abs(depth - self._best_depth) - float(shortfall)


@dataclass
class RowProblem:
    """One seed's row: the layers' states are read from the decisions below `name/<number>/`."""

    name: str
    states: dict[Hashable, int]
    row: Row

    def evaluate(self, params: Params) -> Observation:
        layers = [
            self.states[state_of(params, f"{self.name}/{number}/")]
            for number in range(int(params[f"{self.name}/depth"]))
        ]
        value = self.row.value(layers)
        return Observation(tuple(layers), (value,), (value,))

    def measure(self, observations: Sequence[Observation]) -> float:
        return regret_of_incumbent(observations, 0.0)


def state_of(params: Params, prefix: str) -> Hashable:
    """The decisions below a prefix, whatever their order."""
    return frozenset(
        (name.removeprefix(prefix), value)
        for name, value in params.items()
        if name.startswith(prefix)
    )


def depth_space() -> SearchSpace:
    """One to eight layers, each of five operations: 488,280 networks, all different."""
    operations = {
        "conv3": conv(8, 3),
        "conv5": conv(8, 5),
        "separable3": separable_conv(8, 3),
        "separable5": separable_conv(8, 5),
        "pool": max_pooling(3, 1),
    }
    body = [conv(8, 1), Repeat("layer", 1, 8, Choice("op", operations)), global_average_pooling()]
    return SearchSpace("depth", input_shape=(16, 16, 3), classes=10, body=body)


def depth_problem(seed: int) -> RowProblem:
    count = len(OPERATIONS)
    states: dict[Hashable, int] = {
        frozenset({("op", op)}): number for number, op in enumerate(OPERATIONS)
    }
    chances, inside = np.full(count, 1 / count), np.zeros(count)
    row = Row(generator(seed, 8), (1, 8), (3, 8), np.arange(count), chances, inside)
    return RowProblem("layer", states, row)


def nested_space() -> SearchSpace:
    """One to four stages; a stage is a convolution with settings, or a residual row of layers."""

    def settled(make: Callable[..., Node]) -> Node:
        return make(8, Choice("kernel", KERNELS), activation=Choice("activation", ACTIVATIONS))

    inner = {"conv1": conv(8, 1), "conv3": conv(8, 3), "pool": max_pooling(3, 1)}
    kinds = {
        "conv": settled(conv),
        "separable": settled(separable_conv),
        "residual": residual(Repeat("inner", 1, 3, Choice("op", inner))),
    }
    body = [conv(8, 1), Repeat("stage", 1, 4, Choice("kind", kinds)), global_average_pooling()]
    return SearchSpace("nested", input_shape=(16, 16, 3), classes=10, body=body)


def nested_problem(seed: int) -> RowProblem:
    rng = generator(seed, 9)
    states: dict[Hashable, int] = {}
    kinds, chances, inside = [], [], []

    def add(kind: int, decisions: dict[str, object], chance: float, value: float) -> None:
        states[frozenset(decisions.items())] = len(states)
        kinds.append(kind)
        chances.append(chance / 3)
        inside.append(value)

    for kind, name in enumerate(("conv", "separable")):
        # Settings add up, and interact.
        quality = rng.normal(size=(3, 1)) + rng.normal(size=(1, 2)) + rng.normal(size=(3, 2))
        quality = (quality - quality.max()) / (quality.max() - quality.mean())
        for (i, kernel), (j, function) in itertools.product(
            enumerate(KERNELS), enumerate(ACTIVATIONS)
        ):
            path = f"kind={name}"
            decisions = {"kind": name, f"{path}/kernel": kernel, f"{path}/activation": function}
            add(kind, decisions, 1 / 6, float(quality[i, j]))
    ops = len(INNER)
    row = Row(rng, (1, 3), (1, 3), np.arange(ops), np.full(ops, 1 / ops), np.zeros(ops))
    for depth in (1, 2, 3):
        for layers in itertools.product(range(ops), repeat=depth):
            path = "kind=residual/inner"
            decisions = {"kind": "residual", f"{path}/depth": depth}
            decisions |= {f"{path}/{i}/op": INNER[layer] for i, layer in enumerate(layers)}
            add(2, decisions, 1 / 3 / ops**depth, row.value(layers))
    outer = Row(rng, (1, 4), (2, 4), np.array(kinds), np.array(chances), np.array(inside))
    return RowProblem("stage", states, outer)


_EXPLANATION = (
    "A synthetic objective, another one for each seed, in which depth and operations matter "
    "together (`benchmarks/contest/conditional.py` has the formula). Regret: 0 is the optimum, 1 "
    "an average architecture of the best depth."
)
TASKS = {
    "depth": Task(
        "depth",
        "Conditional: one to eight layers",
        _EXPLANATION,
        depth_space,
        depth_problem,
        conditional=True,
    ),
    "nested": Task(
        "nested",
        "Conditional: nested choices",
        _EXPLANATION,
        nested_space,
        nested_problem,
        conditional=True,
    ),
}
