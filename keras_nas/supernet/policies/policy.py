"""What chooses the paths of a supernet: from parameters of the architecture to gates, and back.

A gate is the weight of one alternative in its mixture. The network turns gates into a loss and
gives its gradient in the gates; a policy turns that into the gradient in its own parameters, the
alphas. All of it is NumPy with one generator, so that a search is the same with every backend.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from optuna_nas.supergraph import Alternatives, Gates

Array = NDArray[np.float64]
Alphas = Mapping[str, Array]
"""Parameters of the architecture (size,), by decision."""


@dataclass(frozen=True)
class Sample:
    """Gates, and the way back.

    Args:
        gates: For every decision, (size,).
        backward: From the loss's gradient in the gates to that in the alphas, for each decision
            that has some: the vector-Jacobian product. Without alphas there is nothing to go to.
    """

    gates: dict[str, Array]
    backward: Callable[[Gates], dict[str, Array]] = lambda _gradients: {}


class PathPolicy(ABC):
    """A rule that gives each decision's alternatives their gates.

    Policies hold no state: what they learn is in the alphas, and their randomness in the generator
    that they are handed. `alternatives` are always those of the whole supernet, by decision.
    """

    hard: ClassVar[bool]
    """Whether weights are trained on one path at a time, not on a mixture of all."""
    learns: ClassVar[bool]
    """Whether there are alphas."""
    selects: ClassVar[bool] = False
    """Whether the architecture is selected by perturbation, once the weights are trained."""

    def initial_alphas(
        self, alternatives: Mapping[str, Alternatives], rng: np.random.Generator
    ) -> dict[str, Array]:
        """The alphas at the start of a search; none where the policy does not learn."""
        return {}

    @abstractmethod
    def gates(
        self,
        alternatives: Mapping[str, Alternatives],
        alphas: Alphas,
        progress: float,
        rng: np.random.Generator,
    ) -> Sample:
        """Gates for a step.

        Args:
            alternatives: The decisions.
            alphas: Their parameters.
            progress: The share of the search that is over, 0 to 1.
            rng: Source of randomness.
        """

    def paths(
        self,
        alternatives: Mapping[str, Alternatives],
        alphas: Alphas,
        progress: float,
        rng: np.random.Generator,
    ) -> list[dict[str, Array]]:
        """Gates of each pass of a step of the weights; gradients of the passes are added up."""
        return [self.gates(alternatives, alphas, progress, rng).gates]

    def probabilities(
        self, alternatives: Mapping[str, Alternatives], alphas: Alphas
    ) -> dict[str, Array]:
        """How strong each alternative is, (size,), by decision; all alike without alphas."""
        return {name: chances(decision) for name, decision in alternatives.items()}

    def mixture(self, alternatives: Mapping[str, Alternatives], alphas: Alphas) -> dict[str, Array]:
        """Gates, (size,), of the mixture of all paths: the supernet as it stands, not a draw."""
        return self.probabilities(alternatives, alphas)

    def penalty(self, alphas: Alphas) -> tuple[float, dict[str, Array]]:
        """A loss of the policy's own on its alphas, and its gradient."""
        return 0.0, {}


def draw(alternatives: Alternatives, rng: np.random.Generator) -> Array:
    """Gates (size,) of a value drawn uniformly."""
    return alternatives.hot(alternatives.values[rng.integers(len(alternatives.values))])


def chances(alternatives: Alternatives) -> Array:
    """The probability (size,) of each gate to be on where values are drawn uniformly."""
    return np.mean([alternatives.hot(value) for value in alternatives.values], axis=0)
