"""Where a predictor's candidates come from."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

import numpy as np

from optuna_nas.search.candidates import Candidate
from optuna_nas.search.companions import Companions
from optuna_nas.search.encoding import Params, SpaceEncoding
from optuna_nas.search.population import Individual
from optuna_nas.search.strategy import Memory, Request
from optuna_nas.space.decisions import Value

Key = frozenset[tuple[str, Value]]

# Shares of a pool: children of one parent, of two, and the rest drawn at random.
_MUTANTS, _CROSSED = 0.6, 0.15
# Chance of each further mutation of a mutant, and of a first one of a child of two.
_FURTHER = 0.3
_TRIES = 64


@dataclass(frozen=True)
class Pool:
    """Draws candidates for one request.

    Attributes:
        request: What is asked for.
        memory: What is known.
        companions: What comes into being with a changed decision, where no space is declared.
        admits: Says which candidates are wanted at all.
    """

    request: Request
    memory: Memory
    companions: Companions
    admits: Callable[[Params], bool]

    def random(self) -> Candidate:
        """A random candidate; an admitted one if that is found in some tries."""
        encoding, request = self.memory.encoding, self.request
        for _ in range(_TRIES):
            candidate = {**encoding.random(request.domains, request.rng), **request.fixed}
            if self.admits(candidate):
                break
        return candidate

    def candidates(
        self, count: int, parents: Sequence[Individual], known: Container[Key]
    ) -> list[Candidate]:
        """At most `count` different candidates, most of them near `parents`, the best first."""
        rng = self.request.rng
        found: dict[Key, Candidate] = {}
        for number in range(count):
            if number < _MUTANTS * count:
                candidate = self._mutated(_one_of(parents, rng).params)
                while rng.random() < _FURTHER:
                    candidate = self._mutated(candidate)
            elif number < (_MUTANTS + _CROSSED) * count:
                a, b = _one_of(parents, rng).params, _one_of(parents, rng).params
                candidate = self._finished(self.memory.encoding.crossover(a, b, rng), a)
                if rng.random() < _FURTHER:
                    candidate = self._mutated(candidate)
            else:
                candidate = self.random()
            key = frozenset(candidate.items())
            if key not in known and key not in found and self.admits(candidate):
                found[key] = candidate
        return list(found.values())

    def _mutated(self, params: Params) -> Candidate:
        domains, rng = self.request.domains, self.request.rng
        child = self.memory.encoding.mutate(params, domains, domains.keys(), rng)
        return self._finished(params if child is None else child, params)

    def _finished(self, child: Params, parent: Params) -> Candidate:
        """The child with what is fixed and with what its changed decisions bring about."""
        candidate = {**child, **self.request.fixed}
        if isinstance(self.memory.encoding, SpaceEncoding):
            return candidate
        changed = [n for n, v in candidate.items() if n not in parent or parent[n] != v]
        request = self.request
        return self.companions.complete(candidate, changed, request.domains, request.rng)


def _one_of(parents: Sequence[Individual], rng: np.random.Generator) -> Individual:
    """The better, the more likely: ranks are exponential, with a mean of a third of them."""
    rank = int(rng.exponential(len(parents) / 3))
    return parents[min(rank, len(parents) - 1)]
