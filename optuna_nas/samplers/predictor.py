"""Model-based search as an Optuna sampler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from optuna_nas._arguments import check_count
from optuna_nas.samplers._strategy_sampler import ConstraintsFunction, StrategySampler
from optuna_nas.search import Strategy
from optuna_nas.space import SearchSpace
from optuna_nas.space.decisions import Value


class PredictorSampler(StrategySampler):
    """Bayesian optimisation of architectures: a model of the objective chooses what to try next.

    A Gaussian process predicts the objective from features of an architecture: with a declared
    `space` from its network (which operations are on live paths, how many, how deep, at what cost),
    without one from its parameters (each value, how often values and pairs of neighbours occur,
    which parameters exist). From a pool of mutated, crossed and random candidates the one with the
    largest expected improvement on the best prediction is tried. Trials that are finished, failed
    or running are not proposed again.

    It is meant for up to some thousand trials that are dear, and pays from about the tenth on. It
    works with any objective, also with parameters that exist only under some values of others.

    - Several objectives: each is predicted, and the expected growth of the dominated hypervolume
      decides. Give cheap ones, such as latency or parameters, as `known_objectives`.
    - Constraints (`optuna.Trial.set_constraint`) and failures: improvement is weighed with the
      predicted probability that a candidate is feasible. As long as no trial is, less violation is
      searched for.
    - Pruned trials count with the value the pruner predicted (`TrialRecord.predicted_value`);
      without one they are worse than all finished trials, the longer they ran the better.
    - Noise is estimated, and improvement is on what is predicted for the best trial, not on its
      lucky value. ``study.best_trial`` is still the luckiest: repeat the best few.
    - Trials that run at the same time are taken to get the values predicted for them.

    What the sampler knows follows from the trials in the study's storage, so studies can be
    resumed, and shared by threads and processes. It writes nothing to the storage but, once a
    study, the `space`. The model is made anew at growing intervals, from at most 150 trials, so
    that the cost of a trial is bounded however many there are.

    Args:
        space: The declared space of the objective, if there is one.
        n_startup_trials: Random trials before the model is used; trials that were added or enqueued
            count.
        n_candidates: Candidates drawn for each trial, of which the best is tried; three fifths of
            them after 200 trials.
        known_objectives: Objectives that can be computed without training: by number, a function
            from parameters to the value, in the unit in which the trial reports it. A candidate for
            which it is not a finite number, or raises an error, is not tried. The random trials of
            the start are not asked for it.
        extra_features: A function from parameters to further named features, such as zero-cost
            scores. Numbers that are not finite are left out; a candidate for which it raises
            `ValueError` (`InfeasibleArchitectureError` is one) is not tried. It is asked for what
            trials had as well, the failed ones among them, which may lack parameters.
        widen: Progressive widening (Liu et al. 2018, PNAS) of integer or categorical parameters:
            ``{"stage/depth": 20}`` begins with the lowest depth and lets in the next one after each
            20 trials. Of several narrow ones, random trials may miss some. Continuous parameters,
            and names that no trial has, are passed over.
        seed: Makes trials reproducible with ``n_jobs=1``: the same seed, the same trials. Trials
            depend on it and on their number, so workers may share one seed, and a resumed study
            does not begin again.
        constraints_func: As in Optuna's own samplers: maps a finished trial to constraint values,
            where positive ones are violations. `optuna.Trial.set_constraint` is the newer way.

    Raises:
        ValueError: If an argument is out of range; from the first trial, if `known_objectives` does
            not leave an objective to be predicted.
    """

    def __init__(
        self,
        *,
        space: SearchSpace | None = None,
        n_startup_trials: int = 10,
        n_candidates: int = 100,
        known_objectives: Mapping[int, Callable[[Mapping[str, Value]], float]] | None = None,
        extra_features: Callable[[Mapping[str, Value]], Mapping[str, float]] | None = None,
        widen: Mapping[str, int] | None = None,
        seed: int | None = None,
        constraints_func: ConstraintsFunction | None = None,
    ) -> None:
        check_count("n_startup_trials", n_startup_trials)
        check_count("n_candidates", n_candidates)
        for name, trials in (widen or {}).items():
            check_count(f"widen[{name!r}]", trials)
        super().__init__(
            partial(
                _strategy,
                n_startup_trials,
                n_candidates,
                dict(known_objectives or {}),
                extra_features,
                dict(widen or {}),
            ),
            space=space,
            seed=seed,
            constraints_func=constraints_func,
        )


def _strategy(
    n_startup: int,
    n_candidates: int,
    known_objectives: Mapping[int, Callable[[Mapping[str, Value]], float]],
    extra_features: Callable[[Mapping[str, Value]], Mapping[str, float]] | None,
    widen: Mapping[str, int],
    maximize: tuple[bool, ...],
) -> Strategy:
    # Imported late, for SciPy comes with it, which nothing else here needs.
    from optuna_nas.search.predictor import Predictor, PredictorSettings

    settings = PredictorSettings(n_candidates, known_objectives, extra_features, widen)
    return Predictor(n_startup, settings, maximize)
