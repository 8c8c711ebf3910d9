"""Policy-gradient search: a `Strategy` that replays what finished in the order of age."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence

from optuna_nas.search.deduplication import unknown
from optuna_nas.search.policy.drawing import Draws
from optuna_nas.search.policy.learner import LOG_PROBABILITIES, Learner, LearnerState
from optuna_nas.search.population import Individual
from optuna_nas.search.strategy import Memory, Proposal, Request


class PolicyGradient:
    """A `Strategy`: candidates are drawn from a policy that is trained on those before.

    The policy is trained on a batch whenever enough individuals have finished, in the order of
    their age. Each state it went through follows from the individuals so far, so that it can be
    made again anywhere. Where one arrives that is older than what was trained on, training goes
    back to a state before it. The states kept get sparser with their age, so this costs a few times
    the training since then at most, and there are about twice as many as the logarithm of all.

    Args:
        learner: How the policy is trained.
        deduplicate: Whether what is known already is drawn anew.
    """

    def __init__(self, learner: Learner, deduplicate: bool) -> None:
        self._learner = learner
        self._deduplicate = deduplicate
        self._individuals: list[Individual] = []
        self._states = [learner.start()]

    @property
    def state(self) -> LearnerState:
        """What was learnt of all full batches."""
        return self._states[-1]

    def observe(self, individuals: Sequence[Individual], memory: Memory) -> None:
        """Train on what is new, and again on what is younger than that."""
        for individual in individuals:
            position = bisect_left(self._individuals, individual.age, key=lambda i: i.age)
            while self._states[-1].count > position:
                self._states.pop()
            insort(self._individuals, individual, key=lambda i: i.age)
        batch_size = self._learner.batch_size
        while len(self._individuals) >= self.state.count + batch_size:
            self._states.append(self._learner.after(self.state, self._individuals))
            self._states = _thinned(self._states, batch_size)

    def propose(self, request: Request, memory: Memory) -> Proposal:
        """A candidate drawn from the policy, with the log-probabilities of its decisions."""
        draws = Draws(self._learner, self.state, request, memory)
        if self._deduplicate:
            candidate = unknown(draws.next, request, memory, walk=True)
        else:
            candidate = draws.next()
        log_probabilities = draws.log_probabilities(candidate)
        if not log_probabilities:
            return Proposal(candidate)
        return Proposal(candidate, {LOG_PROBABILITIES: log_probabilities})


def _thinned(states: list[LearnerState], batch_size: int) -> list[LearnerState]:
    """The first state, the last, and of those 2^k to 2^(k+1) batches ago the oldest two."""
    last = states[-1].count // batch_size
    kept: list[LearnerState] = []
    levels: dict[int, int] = {}
    for state in states[1:]:
        level = (last - state.count // batch_size).bit_length()
        levels[level] = levels.get(level, 0) + 1
        if level <= 2 or levels[level] <= 2:
            kept.append(state)
    return [states[0], *kept]
