"""Candidates drawn from a policy."""

from __future__ import annotations

import numpy as np

from optuna_nas.search.encoding import Params
from optuna_nas.search.policy.layout import layout_of
from optuna_nas.search.policy.learner import Learner, LearnerState
from optuna_nas.search.policy.policies import Array
from optuna_nas.search.policy.rollout import NO_CELL, Rollout, log_softmax
from optuna_nas.search.policy.vocabulary import Batch
from optuna_nas.search.strategy import Memory, Request
from optuna_nas.space.decisions import Value


class Draws:
    """Candidates for one request.

    Args:
        learner: Knows the policy.
        state: What it has learnt.
        request: What is asked for.
        memory: What is known.
    """

    def __init__(
        self, learner: Learner, state: LearnerState, request: Request, memory: Memory
    ) -> None:
        self._learner, self._state = learner, state
        self._request, self._memory = request, memory
        self._decisions = state.vocabulary.among(request.domains, request.fixed)
        self._names = [decision.name for decision in self._decisions]
        self._layout = layout_of(self._decisions)
        self._writer = learner.policy.writer(state.parameters, self._layout)
        # Candidates, the cells they chose by number of the decision, and all logits.
        self._drawn: list[tuple[Params, dict[int, int], Array]] = []

    def next(self) -> dict[str, Value]:
        """Another candidate, decision by decision; what exists depends on those before.

        Decisions that the policy does not know yet are drawn at random.
        """
        request, encoding, writer = self._request, self._memory.encoding, self._writer
        layout, squash = self._layout, self._learner.logits.squash
        writer.restart()
        # The largest of logits + Gumbel noise is a draw from their softmax.
        noise = np.where(layout.valid, request.rng.gumbel(size=layout.valid.shape), -np.inf)
        logits = np.zeros(layout.valid.shape)
        cells: dict[int, int] = {}
        candidate = dict(request.fixed)
        undecided = set(self._names)
        for step, (name, decision) in enumerate(zip(self._names, self._decisions, strict=True)):
            undecided.discard(name)
            if not encoding.exists(name, candidate, undecided):
                continue
            x = writer.logits(step)
            if name in request.fixed:
                cell = decision.cells.find(request.fixed[name])
            else:
                logits[step] = x = squash(x)
                cells[step] = cell = int((x + noise[step]).argmax())
                candidate[name] = decision.cells.draw(cell, request.rng)
            writer.choose(step, cell)
        candidate = encoding.complete(candidate, request.domains, request.rng)
        candidate.update(request.fixed)
        self._drawn.append((candidate, cells, logits))
        return candidate

    def log_probabilities(self, candidate: Params) -> dict[str, float]:
        """The policy's log-probability of each decision of a candidate that was not fixed."""
        for drawn, cells, logits in self._drawn:
            if drawn is candidate:
                log_p = log_softmax(np.where(self._layout.valid, logits, NO_CELL))
                chosen = log_p[list(cells), list(cells.values())].tolist()
                noted = dict(zip((self._names[step] for step in cells), chosen, strict=True))
                break
        else:  # it was mutated: what counts is how the policy would have come to it
            noted = self._scored(candidate)
        # Four digits are far more than the weights they make need.
        return {
            name: round(log_p, 4)
            for name, log_p in noted.items()
            if name in candidate and name not in self._request.fixed
        }

    def _scored(self, candidate: Params) -> dict[str, float]:
        choices = [
            decision.cells.find(candidate[decision.name]) if decision.name in candidate else -1
            for decision in self._decisions
        ]
        batch = Batch(self._decisions, np.array([choices], dtype=np.int64))
        learner = self._learner
        rollout = Rollout(learner.policy, self._state.parameters, batch, learner.logits)
        return dict(zip(self._names, rollout.log_probabilities[0].tolist(), strict=True))
