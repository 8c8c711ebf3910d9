"""Aging evolution: one proposal from a history (Real et al. 2019, algorithm 1)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from optuna_nas.search.archive import Archive
from optuna_nas.search.encoding import Domains, Encoding, Params
from optuna_nas.search.population import Population
from optuna_nas.search.selection import tournament
from optuna_nas.space.decisions import Value

# A proposal that is known already is drawn anew, from another tournament; when all of these are
# known, the neighbourhood of the best is exhausted and the search walks away from it, one mutation
# a step. A space in which all is known costs this many draws, and then gives a duplicate.
REDRAWS = 10
STEPS = 40


@dataclass(frozen=True)
class EvolutionSettings:
    """How evolution proceeds.

    Attributes:
        tournament_size: Members drawn, with replacement, to find a parent.
        crossover_probability: How often a child has two parents, before it is mutated.
        deduplicate: Whether what is known already is drawn anew.
    """

    tournament_size: int
    crossover_probability: float = 0.0
    deduplicate: bool = True


def propose(
    population: Population | None,
    archive: Archive,
    encoding: Encoding,
    settings: EvolutionSettings,
    *,
    domains: Domains,
    fixed: Params,
    rng: np.random.Generator,
) -> dict[str, Value]:
    """The decisions of the next candidate.

    Args:
        population: Where parents are found; None while it is still being filled: the candidate is
            random.
        archive: What is known already.
        encoding: How candidates vary.
        settings: How evolution proceeds.
        domains: The decisions that are free, as far as they are known.
        fixed: Decisions that are taken already, whatever is proposed.
        rng: Source of all randomness.

    Returns:
        Decisions by name, with `fixed` among them. Some may be inactive in what they describe, and
        active ones may be missing where nothing is known of them.
    """

    def draw() -> dict[str, Value]:
        if population is None:
            candidate = encoding.random(domains, rng)
        else:
            candidate = _child(population, encoding, settings, domains.keys(), rng)
        return {**candidate, **fixed}

    first = candidate = draw()
    if not settings.deduplicate:
        return first
    for attempt in range(REDRAWS + STEPS):
        if not archive.knows_any(encoding.identities(candidate)):
            return candidate
        if population is None or attempt < REDRAWS:
            candidate = draw()
            continue
        step = encoding.mutate(candidate, domains, domains.keys() - fixed.keys(), rng)
        if step is None:
            break
        candidate = step
    return first


def _child(
    population: Population,
    encoding: Encoding,
    settings: EvolutionSettings,
    free: Collection[str],
    rng: np.random.Generator,
) -> dict[str, Value]:
    parent = tournament(population, settings.tournament_size, rng)
    params: Params = parent.params
    if settings.crossover_probability > 0 and rng.random() < settings.crossover_probability:
        other = tournament(population, settings.tournament_size, rng)
        params = encoding.crossover(params, other.params, rng)
    child = encoding.mutate(params, parent.domains, free, rng)
    return dict(params) if child is None else child
