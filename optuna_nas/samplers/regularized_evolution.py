"""Regularised (aging) evolution as an Optuna sampler."""

from __future__ import annotations

from functools import partial

from optuna_nas.samplers._strategy_sampler import (
    ConstraintsFunction,
    StrategySampler,
    check_count,
    check_share,
)
from optuna_nas.search import EvolutionSettings, RegularizedEvolution, Strategy
from optuna_nas.space import SearchSpace


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
      the population.
    - Constraints (`optuna.Trial.set_constraint`): feasible trials win over infeasible ones, these
      are compared by their total violation.
    - Pruned trials count with the value the pruner predicted (`TrialRecord.predicted_value`);
      without one they rank behind all finished trials, the longer they ran the better.
    - Failed trials are no parents, and what they tried is not tried again.

    What the sampler knows follows from the trials in the study's storage, so studies can be
    resumed, and shared by threads and processes. It writes nothing to the storage but, once a
    study, the `space`. The cost of a trial does not grow with the number of trials.

    Args:
        population_size: Number of trials that can become parents. Larger ones explore longer
            before they converge. 30, with tournaments of 10, is what several NAS libraries use.
        tournament_size: Number of trials a parent is the best of. Larger ones are greedier, which
            pays where values carry little noise.
        space: The declared space of the objective, if there is one.
        n_startup_trials: Random trials before evolution begins; trials that were added or enqueued
            count. Fewer than `population_size`, because many searches can afford 100 trials or
            less; set it to `population_size` for the algorithm as published.
        crossover_probability: How often a child has two parents, from each of which it takes some
            decisions, before it is mutated.
        deduplicate: Whether a proposal that equals a known trial is drawn anew, a bounded number of
            times. Without it, re-evaluations can average out the noise of an objective.
        seed: Makes trials reproducible with ``n_jobs=1``: the same seed, the same trials. Trials
            depend on it and on their number, so workers may share one seed, and a resumed study
            does not begin again.
        constraints_func: As in Optuna's own samplers: maps a finished trial to constraint values,
            where positive ones are violations. `optuna.Trial.set_constraint` is the newer way.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        *,
        population_size: int = 30,
        tournament_size: int = 10,
        space: SearchSpace | None = None,
        n_startup_trials: int = 20,
        crossover_probability: float = 0.0,
        deduplicate: bool = True,
        seed: int | None = None,
        constraints_func: ConstraintsFunction | None = None,
    ) -> None:
        check_count("population_size", population_size)
        check_count("tournament_size", tournament_size)
        check_count("n_startup_trials", n_startup_trials)
        check_share("crossover_probability", crossover_probability)
        settings = EvolutionSettings(tournament_size, crossover_probability, deduplicate)
        super().__init__(
            partial(_strategy, population_size, n_startup_trials, settings),
            space=space,
            seed=seed,
            constraints_func=constraints_func,
        )


def _strategy(
    population_size: int, n_startup: int, settings: EvolutionSettings, maximize: tuple[bool, ...]
) -> Strategy:
    return RegularizedEvolution(population_size, n_startup, settings)
