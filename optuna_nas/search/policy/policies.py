"""What a policy is: a distribution over each decision, given those before it."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from optuna_nas.search.policy.layout import Layout
from optuna_nas.search.policy.vocabulary import Vocabulary

Array = NDArray[np.float64]
Parameters = dict[str, Array]  # also gradients: one array a name of a parameter

# Initial weights come from here, so that all workers hold the same policy.
INITIAL_SEED = 2017


class Policy(Protocol):
    """Gives logits.

    It holds no parameters: these are values, made by `grown`, that are handed in. Decisions come in
    the vocabulary's order.
    """

    def grown(self, parameters: Parameters, vocabulary: Vocabulary) -> Parameters:
        """Parameters for all of a vocabulary: old ones as they are, and new initial ones.

        Args:
            parameters: Those for an older state of the vocabulary; empty at first.
            vocabulary: What is known by now.
        """

    def score(
        self, parameters: Parameters, layout: Layout, choices: NDArray[np.int64]
    ) -> tuple[Array, Any]:
        """Logits of every decision given the choices before it, and what `gradient` needs.

        Args:
            parameters: The policy's.
            layout: The decisions.
            choices: Cell that was chosen, -1 where nothing was decided; such a decision leaves no
                trace in those behind it. Shape (batch, decisions).

        Returns:
            Shape (decisions, batch, most cells); of what was not decided it means nothing.
        """

    def gradient(self, parameters: Parameters, record: Any, slopes: Array) -> Parameters:
        """Gradient in the parameters from that in the logits.

        Args:
            parameters: As in `score`.
            record: What `score` returned.
            slopes: Shape (decisions, batch, most cells), 0 where the logits mean nothing.
        """

    def writer(self, parameters: Parameters, layout: Layout) -> Writer:
        """Draws architectures.

        Args:
            parameters: The policy's.
            layout: The decisions.
        """


class Writer(Protocol):
    """A policy that goes through the decisions of a layout, one after the other."""

    def restart(self) -> None:
        """Begin another architecture."""

    def logits(self, step: int) -> Array:
        """Logits of a decision, shape (most cells,); those where it has no cell mean nothing.

        Args:
            step: Number of the decision in the layout; some may be left out.
        """

    def choose(self, step: int, cell: int) -> None:
        """Tell what was chosen."""
