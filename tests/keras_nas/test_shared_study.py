"""One study, some of whose trials `study.optimize` runs and others a Keras tuner."""

from __future__ import annotations

from typing import Any

import optuna
import pytest

from keras_nas import NASHyperModel, NASObjective, OptunaTuner
from keras_nas.data import Dataset, load
from optuna_nas._optuna import record_of
from optuna_nas.report import leaderboard
from optuna_nas.samplers import RegularizedEvolutionSampler
from optuna_nas.space import SearchSpace
from optuna_nas.spaces import tabular_mlp

pytestmark = pytest.mark.usefixtures("quiet_optuna", "quick_collections", "eager")


@pytest.fixture(scope="module")
def iris() -> Dataset:
    return load("iris")


@pytest.fixture
def space() -> SearchSpace:
    return tabular_mlp(
        input_shape=(4,), classes=3, widths=(4, 8), activations=("relu",), max_blocks=1
    )


def _tuner(space: SearchSpace, storage: str, trials: int, **arguments: Any) -> OptunaTuner:
    return OptunaTuner(
        NASHyperModel(space),
        max_trials=trials,
        storage=storage,
        study_name="shared",
        **arguments,
    )


def _search(tuner: OptunaTuner, data: Dataset) -> None:
    before = data.preprocessing.apply
    tuner.search(
        before(data.x_train), data.y_train, epochs=1, verbose=0,
        validation_data=(before(data.x_val), data.y_val),
    )  # fmt: skip


@pytest.mark.parametrize("optuna_first", [True, False])
def test_half_by_optuna_half_by_keras_tuner(tmp_path, space, iris, optuna_first) -> None:
    storage = f"sqlite:///{tmp_path}/study.db"
    sampler = RegularizedEvolutionSampler(space=space, population_size=4, seed=0)
    with NASObjective(
        space, iris, objectives=("accuracy", "params"), epochs=1, isolation="none"
    ) as objective:

        def by_optuna() -> None:
            study = optuna.create_study(
                study_name="shared", storage=storage, directions=objective.directions,
                sampler=sampler, load_if_exists=True,
            )  # fmt: skip
            study.optimize(objective, n_trials=3)

        def by_keras_tuner(trials: int) -> OptunaTuner:
            tuner = _tuner(
                space, storage, trials, objective=["val_accuracy", "params"], sampler=sampler,
                directory=tmp_path,
            )  # fmt: skip
            _search(tuner, iris)
            return tuner

        if optuna_first:
            by_optuna()
        by_keras_tuner(3)
        by_optuna()
        tuner = by_keras_tuner(6)
        if not optuna_first:
            by_optuna()

    study = optuna.load_study(study_name="shared", storage=storage)
    trials = study.trials
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 12
    assert all(record_of(trial).reused_from is None for trial in trials)
    assert len({tuple(sorted(trial.params.items())) for trial in trials}) == 12
    assert len({space.identity(space.genotype(trial.params)) for trial in trials}) == 12
    assert len(tuner.oracle.trials) == 6
    # The distributions are those of the space, whoever asked.
    by_name: dict[str, Any] = {}
    for trial in trials:
        for name, distribution in trial.distributions.items():
            assert by_name.setdefault(name, distribution) == distribution
    assert by_name.keys() <= space.distributions().keys()

    rows = leaderboard(study)
    assert sum(row.repeats for row in rows) == 12
    assert {name for row in rows for name in row.values} == {"accuracy", "params"}
    assert all(row.epochs == 1 and row.canonical_id and row.macs for row in rows)
    assert all(row.values["accuracy"] == pytest.approx(row.accuracy) for row in rows)


def test_a_plain_objective_of_the_space(tmp_path, space, iris) -> None:
    """The space is nearly used up: what is left goes to whoever asks first, and to one only."""
    storage = f"sqlite:///{tmp_path}/study.db"

    def objective(trial: optuna.Trial) -> float:
        return float(space.graph(space.suggest(trial)).params % 7)

    size = len({space.identity(genotype) for genotype in space.genotypes()})
    study = optuna.create_study(
        study_name="shared", storage=storage, direction="maximize",
        sampler=RegularizedEvolutionSampler(space=space, population_size=4, seed=0),
    )  # fmt: skip
    study.optimize(objective, n_trials=size - 2)
    tuner = _tuner(
        space, storage, 5, objective="val_accuracy", directory=tmp_path,
        sampler=optuna.samplers.RandomSampler(seed=0),
    )  # fmt: skip
    _search(tuner, iris)
    trials = study.get_trials()
    assert len({tuple(sorted(trial.params.items())) for trial in trials}) == len(trials)
    assert 2 <= len(tuner.oracle.trials) < 5
    assert all(trial.state == optuna.trial.TrialState.COMPLETE for trial in trials)
