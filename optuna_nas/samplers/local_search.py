"""Local search as an Optuna sampler."""

from __future__ import annotations

from functools import partial

from optuna_nas._arguments import check_count
from optuna_nas.samplers._strategy_sampler import ConstraintsFunction, StrategySampler
from optuna_nas.search import LocalSearch, Strategy
from optuna_nas.space import SearchSpace


class LocalSearchSampler(StrategySampler):
    """Local search with restarts (White et al. 2020, https://arxiv.org/abs/2005.02960).

    A strong baseline without anything to tune. Of some random trials the best is taken, and its
    neighbours, which differ in one decision, are tried in random order. The first better one takes
    its place. When all neighbours are known, another climb begins with random trials. No trial is
    proposed that is finished, failed or running.

    It works with any objective, also with parameters that exist only under some values of others
    (newly active ones are drawn at random) and with continuous ones (their neighbours are normal
    steps). Give it the `space` of an objective that calls ``space.suggest(trial)``, and neighbours
    are edits of structure too (copies of a block are put in, taken out and moved), and networks
    that are equal in function are taken for one.

    - Several objectives: Pareto local search (Paquete et al. 2004). All trials of the climb that no
      other one dominates take part, and neighbours are those of a random one of them.
    - Constraints (`optuna.Trial.set_constraint`): feasible trials are better than infeasible ones,
      these are compared by their total violation.
    - Pruned trials count with the value the pruner predicted (`TrialRecord.predicted_value`);
      without one they are worse than all finished trials, the longer they ran the better.
    - Failed trials are not climbed upon, and what they tried is not tried again.

    What the sampler knows follows from the trials in the study's storage, so studies can be
    resumed, and shared by threads and processes, which then try neighbours of the same trial. It
    writes a small attribute with the random trials of later climbs, and once a study the `space`.
    The cost of a trial does not grow with the number of trials; with several objectives it grows
    with the number that no other one dominates.

    Args:
        space: The declared space of the objective, if there is one.
        n_startup_trials: Random trials each climb begins with; in the first one, trials that were
            added or enqueued count.
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
        space: SearchSpace | None = None,
        n_startup_trials: int = 10,
        seed: int | None = None,
        constraints_func: ConstraintsFunction | None = None,
    ) -> None:
        check_count("n_startup_trials", n_startup_trials)
        super().__init__(
            partial(_strategy, n_startup_trials),
            space=space,
            seed=seed,
            constraints_func=constraints_func,
        )


def _strategy(n_startup: int, maximize: tuple[bool, ...]) -> Strategy:
    return LocalSearch(n_startup)
