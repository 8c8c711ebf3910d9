"""What a sampler is asked to solve, and how well it did."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np

from optuna_nas.space import SearchSpace
from optuna_nas.space.decisions import Value

CHECKPOINTS = (25, 50, 100, 150, 200, 300)
Params = Mapping[str, Value]
Direction = Literal["minimize", "maximize"]


class Observation(NamedTuple):
    """One evaluation.

    Attributes:
        architecture: Key of what was evaluated; equal ones are duplicates.
        values: What the sampler is told.
        truth: What counts.
        violation: Above 0 where a constraint is violated; None in tasks without constraints.
        failed: Whether the trial fails; the sampler is then told no values.
    """

    architecture: Hashable
    values: tuple[float, ...]
    truth: tuple[float, ...]
    violation: float | None = None
    failed: bool = False

    @property
    def feasible(self) -> bool:
        return not self.failed and not (self.violation or 0.0) > 0


class Problem(Protocol):
    """A task under one seed."""

    def evaluate(self, params: Params) -> Observation:
        """Evaluate an architecture once; noise comes from the seed and the count of calls."""

    def measure(self, observations: Sequence[Observation]) -> float:
        """How well a search did that made these observations."""


@dataclass(frozen=True)
class Task:
    """A family of problems, one a seed, over one space.

    Attributes:
        name: For the command line and the files.
        title: For the report.
        explanation: What is observed and what is reported.
        space: Declares the space anew, with nothing cached.
        problem: The problem of a seed.
        directions: One a value.
        conditional: Whether some decisions exist only under others.
        larger_is_better: Whether the measure is.
    """

    name: str
    title: str
    explanation: str
    space: Callable[[], SearchSpace]
    problem: Callable[[int], Problem]
    directions: tuple[Direction, ...] = ("maximize",)
    conditional: bool = False
    larger_is_better: bool = False


def regret_of_incumbent(observations: Sequence[Observation], optimum: float) -> float:
    """How far the true value of the incumbent is below the optimum.

    The incumbent is the best by the observed value, which is maximised.
    """
    incumbent = max(observations, key=lambda o: o.values[0])
    return optimum - incumbent.truth[0]


def hypervolume(points: Sequence[tuple[float, float]]) -> float:
    """Area that points to be minimised dominate in the unit square, reference (1, 1)."""
    area, lowest = 0.0, 1.0
    for x, y in sorted(points):
        if x < 1.0 and y < lowest:
            area += (1.0 - x) * (lowest - y)
            lowest = y
    return area


def generator(seed: int, stream: int) -> np.random.Generator:
    """A source of randomness of a task, apart from the samplers' own."""
    return np.random.default_rng([seed, stream])
