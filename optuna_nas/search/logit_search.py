"""A strategy that draws from what a gradient-based search has learned."""

from __future__ import annotations

import math
from collections.abc import Sequence

from optuna_nas.search.gradient_source import ArchitectureDistribution, unseen
from optuna_nas.search.population import Individual
from optuna_nas.search.strategy import Memory, Proposal, Request
from optuna_nas.space import Genotype, SearchSpace
from optuna_nas.space.decisions import Params, Value


class LogitSearch:
    """A `Strategy`: the discretised architecture first, then others by their probability.

    Values of trials do not matter to it. Decisions that are not of the space are drawn at random.

    Args:
        space: The space of the supernet.

    Attributes:
        distribution: What is drawn from, to be kept up to date by whoever has the supernet.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._names = frozenset(space.distributions())
        self.distribution: ArchitectureDistribution | None = None

    def observe(self, individuals: Sequence[Individual], memory: Memory) -> None:
        """Nothing to learn: what was tried is in the memory."""

    def propose(self, request: Request, memory: Memory) -> Proposal:
        """An architecture that is not known, with what the request fixes.

        The note says what is proposed of the space (``proposed``), with which probability
        (``log_probability``), and whether it had to be one that is known (``repeated``). There is
        none where the request is for no decision of the space.
        """
        others: dict[str, Value] = {
            name: domain.sample(request.rng)
            for name, domain in request.domains.items()
            if name not in self._names
        }
        if self.distribution is None or self._names.isdisjoint(request.domains):
            return Proposal({**others, **request.fixed})

        def known(params: Params) -> bool:
            return memory.archive.knows_any(memory.encoding.identities(params))

        params, new = unseen(self.distribution, self._refused, known, request.rng, request.fixed)
        log_p = self.distribution.log_probability(params)
        note = {
            "proposed": params,
            # What is fixed may be impossible, for which JSON has no number.
            "log_probability": round(log_p, 6) if math.isfinite(log_p) else None,
            "repeated": not new,
        }
        return Proposal({**others, **params, **request.fixed}, note)

    def _refused(self, params: Params) -> bool:
        return not self._space.feasible(Genotype(params))
