"""The tabular policy: each decision on its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optuna_nas.search.policy.layout import Layout, summed
from optuna_nas.search.policy.policies import Array, Parameters
from optuna_nas.search.policy.vocabulary import Vocabulary


class IndependentPolicy:
    """One logit a value of a decision (the REINFORCE of NATS-Bench, Dong et al. 2021).

    All start at 0: each value is as likely.
    """

    def grown(self, parameters: Parameters, vocabulary: Vocabulary) -> Parameters:
        """See `Policy.grown`."""
        table = np.zeros(len(vocabulary.slots))
        old = parameters.get("table", table[:0])
        table[: len(old)] = old
        return {"table": table}

    def score(
        self, parameters: Parameters, layout: Layout, choices: NDArray[np.int64]
    ) -> tuple[Array, Layout]:
        """See `Policy.score`."""
        logits = parameters["table"][layout.slots][:, None]  # (decisions, 1, cells)
        shape = (len(layout.slots), len(choices), layout.slots.shape[1])
        return np.broadcast_to(logits, shape), layout

    def gradient(self, parameters: Parameters, record: Layout, slopes: Array) -> Parameters:
        """See `Policy.gradient`."""
        sums = slopes.sum(axis=1)  # over the batch; 0 where there is no cell
        return {"table": summed(sums, record.slots, len(parameters["table"]))}

    def writer(self, parameters: Parameters, layout: Layout) -> _Writer:
        """See `Policy.writer`."""
        return _Writer(parameters["table"][layout.slots])


class _Writer:
    """See `Writer`.

    Args:
        logits: Shape (decisions, cells).
    """

    def __init__(self, logits: Array) -> None:
        self._logits = logits

    def restart(self) -> None:
        """There is nothing to forget."""

    def logits(self, step: int) -> Array:
        """See `Writer.logits`."""
        logits: Array = self._logits[step]
        return logits

    def choose(self, step: int, cell: int) -> None:
        """What was chosen changes nothing."""
