"""Regularised (aging) evolution as an Optuna sampler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from optuna_nas._arguments import check_count, check_share
from optuna_nas.samplers._strategy_sampler import ConstraintsFunction, StrategySampler
from optuna_nas.search import EvolutionSettings, RegularizedEvolution, Strategy
from optuna_nas.search.population import Population
from optuna_nas.search.removal import Mixture, oldest, worst
from optuna_nas.space import SearchSpace
from optuna_nas.space.crossover import crossover_of


class RegularizedEvolutionSampler(StrategySampler):
    """Asynchronous aging evolution (Real et al. 2019, https://arxiv.org/abs/1802.01548).

    The population is the last `population_size` finished trials, whatever their values. A new trial
    is the best of `tournament_size` of them, drawn with replacement, with exactly one decision
    changed to a different value. Trials that are finished, failed or running are not proposed
    again.

    It works with any objective, also with parameters that exist only under some values of others
    (newly active ones are drawn at random) and with ranges that change. Give it the `space` of an
    objective that calls ``space.suggest(trial)``, and it also edits structure (copies of a block
    are put in, taken out and moved), and takes networks that are equal in function for one.

    - Several objectives: the tournament is decided by non-domination rank, then by crowding, within
      the population. Where some of them need no training, see `known_objectives`.
    - Constraints (`optuna.Trial.set_constraint`): feasible trials win over infeasible ones, these
      are compared by their total violation.
    - Pruned trials count with the value the pruner predicted; without one they rank behind all
      finished trials, the longer they ran the better.
    - Failed trials are no parents, and what they tried is not tried again.
    - Warm starts: trials that were enqueued (`optuna.Study.enqueue_trial`) or added are members of
      the population like any other, so good references become parents; see also `score`.

    What the sampler knows follows from the trials in the study's storage, so studies can be
    resumed, and shared by threads and processes. It writes nothing to the storage but, once a
    study, the `space`. The cost of a trial does not grow with the number of trials.

    Args:
        population_size: Number of trials that can become parents. Larger ones explore longer
            before they converge. 30, with tournaments of 10, is what several NAS libraries use.
        tournament_size: Number of trials a parent is the best of. Larger ones are greedier, which
            pays where values carry little noise.
        replacement: Whether the trials of a tournament are drawn with replacement, as published.
            Without it the worst ``tournament_size - 1`` trials are never parents.
        removal: Who leaves the population when a trial comes in: "oldest" (aging, robust against
            noise); "worst" (elitist: the best trials stay for ever; with several objectives the
            last by rank and crowding goes, as in NSGA-II, which pays there); or a number from 0 to
            1, the probability with which the oldest goes, else the worst (Zhu et al. 2019,
            https://arxiv.org/abs/1905.07320). The coin depends on the number of the trial that
            comes in, so that all workers have one population.
        space: The declared space of the objective, if there is one.
        n_startup_trials: Random trials before evolution begins; trials that were added or enqueued
            count. Fewer than `population_size`, because many searches can afford 100 trials or
            less; set it to `population_size` for the algorithm as published.
        crossover_probability: How often a child has two parents, each the winner of a tournament,
            before it is mutated.
        crossover: What it takes from the second: "uniform" (each decision with probability 1/2),
            "two-point" (those between two cuts, in the order of the decisions) or "subtree" (one
            whole stage, block, branch or copy of a repetition; without a `space`, what the names
            show to belong together: a common path before a slash, or a common number as in
            ``units_2`` and ``dropout_2``).
        mutation_rate: None changes exactly one decision. Otherwise each decision of the parent
            changes with this probability, at least one of them.
        deduplicate: Whether a proposal that equals a known trial is drawn anew, a bounded number of
            times. Without it, re-evaluations can average out the noise of an objective.
        score: Warm start by a zero-cost score (Abdelfattah et al. 2021,
            https://arxiv.org/abs/2101.08134): each of the `n_startup_trials` is the best of
            `n_candidates` random candidates. It is called with a mapping of parameters and returns
            a number, larger is better. A candidate for which it raises, or returns none that is
            finite, comes last.
        known_objectives: By number, objectives that can be computed without training, such as the
            parameters of a network: a function from a mapping of parameters to the objective's
            value, in the same unit. They make evolution look for what its front lacks (LEMONADE,
            Elsken et al. 2019, https://arxiv.org/abs/1804.09081): parents are drawn from the
            population's front, and one child of `n_candidates`, both with probabilities in
            proportion to 1 / density, the kernel density estimate of these objectives. This
            spreads along the front rather than improves it, and was made for children that inherit
            their parents' weights; otherwise tournaments do as well. Children for which one
            raises, or is not finite, are left out. The study's objective still returns them.
        n_candidates: Number of candidates that `score` or `known_objectives` choose from.
        seed: Makes trials reproducible with ``n_jobs=1``: the same seed, the same trials. Trials
            depend on it and on their number, so workers may share one seed, and a resumed study
            does not begin again.
        constraints_func: As in Optuna's own samplers: maps a finished trial to constraint values,
            where positive ones are violations. `optuna.Trial.set_constraint` is the newer way.

    The mapping that `score` and `known_objectives` are called with holds all parameters that the
    candidate will have and perhaps more, that do not exist under its other ones; with a `space`,
    ``space.genotype(params)`` takes the right ones out. Parameters that no trial ever had are
    missing.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        *,
        population_size: int = 30,
        tournament_size: int = 10,
        replacement: bool = True,
        removal: str | float = "oldest",
        space: SearchSpace | None = None,
        n_startup_trials: int = 10,
        crossover_probability: float = 0.0,
        crossover: str = "uniform",
        mutation_rate: float | None = None,
        deduplicate: bool = True,
        score: Callable[[Mapping[str, Any]], float] | None = None,
        known_objectives: Mapping[int, Callable[[Mapping[str, Any]], float]] | None = None,
        n_candidates: int = 32,
        seed: int | None = None,
        constraints_func: ConstraintsFunction | None = None,
    ) -> None:
        check_count("population_size", population_size)
        check_count("tournament_size", tournament_size)
        check_count("n_startup_trials", n_startup_trials)
        check_count("n_candidates", n_candidates)
        check_share("crossover_probability", crossover_probability)
        crossover_of(crossover)  # refuses what it does not know
        if mutation_rate is not None:
            check_share("mutation_rate", mutation_rate)
        settings = EvolutionSettings(
            tournament_size=tournament_size,
            replacement=replacement,
            removal=_removal(removal),
            crossover_probability=crossover_probability,
            crossover=crossover,
            mutation_rate=mutation_rate,
            deduplicate=deduplicate,
            score=score,
            known_objectives=dict(known_objectives or {}),
            n_candidates=n_candidates,
        )
        super().__init__(
            partial(_strategy, population_size, n_startup_trials, settings),
            space=space,
            seed=seed,
            constraints_func=constraints_func,
        )


def _removal(removal: str | float) -> Callable[[Population], int]:
    named = {"oldest": oldest, "worst": worst}
    if isinstance(removal, str) and removal in named:
        return named[removal]
    if isinstance(removal, int | float) and 0.0 <= removal <= 1.0:
        return Mixture(removal)
    raise ValueError(
        f'removal must be "oldest", "worst" or the probability, from 0 to 1, with which the '
        f"oldest goes, got {removal!r}."
    )


def _strategy(
    population_size: int, n_startup: int, settings: EvolutionSettings, maximize: tuple[bool, ...]
) -> Strategy:
    return RegularizedEvolution(population_size, n_startup, settings, maximize)
