"""The DARTS sampler in studies: one that has the supernet, and those that follow it."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import threading
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.artifacts import FileSystemArtifactStore
from optuna.samplers import PartialFixedSampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import Trial, TrialState

from optuna_nas._optuna import draw_of, supernet_of
from optuna_nas.errors import SpaceMismatchError, SupernetError
from optuna_nas.samplers import DARTSSampler, darts
from optuna_nas.space import (
    Choice,
    Float,
    Given,
    Let,
    SearchSpace,
    conv,
    global_average_pooling,
)
from optuna_nas.testing.objectives import large_objective
from optuna_nas.testing.samplers import (
    DrivingPromises,
    ReproducibilityPromises,
    SamplerFactory,
    ThreadPromises,
)
from tests.optuna_nas.samplers.bandit import Bandit, checkpoints
from tests.optuna_nas.samplers.studies import CHAIN, create_study, size_of

pytestmark = pytest.mark.usefixtures("quiet_optuna")

TARGET = {"block/depth": 3} | {f"block/{i}/op": "conv" for i in range(4)}
BEST = {**TARGET, **{f"block/{i}/op=conv/f": 2 for i in range(4)}}  # ties: the first value

# The parameters of `large_objective`, as a space: no two of its networks are equal.
EDGES = SearchSpace(
    "edges",
    input_shape=(4, 4, 1),
    classes=2,
    body=[
        *(Let(Choice(f"edge{i}", [0, 1, 2, 3])) for i in range(8)),
        *(Given(f"edge{i}", {str(v): conv(v + 1, 1) for v in range(4)}) for i in range(8)),
        global_average_pooling(),
    ],
)


def bandit(**arguments) -> Bandit:
    return Bandit(CHAIN, TARGET, **arguments)


def best_of(space: SearchSpace, params: dict) -> str:
    return space.identity(space.genotype(params))


def networks(study: optuna.Study) -> list[str]:
    return [best_of(CHAIN, trial.params) for trial in study.trials if trial.params]


class TestPromises(ReproducibilityPromises, DrivingPromises, ThreadPromises):
    @pytest.fixture
    def make_sampler(self) -> SamplerFactory:
        target = {f"edge{i}": 2 for i in range(8)}
        return lambda seed: DARTSSampler(
            space=EDGES, source=Bandit(EDGES, target, epochs=2), seed=seed
        )


def test_the_first_trial_is_the_discretised_architecture():
    source = bandit(epochs=4)
    study = create_study(DARTSSampler(space=CHAIN, source=source, seed=0))
    study.optimize(size_of, n_trials=1)
    assert source.advanced == 4
    params = study.trials[0].params
    assert params == {name: value for name, value in BEST.items() if name in params}
    assert len(params) == 7  # a depth, three operations and their widths
    study.optimize(size_of, n_trials=5)
    assert source.advanced == 4


def test_no_network_is_drawn_twice_until_all_were():
    study = create_study(DARTSSampler(space=CHAIN, source=bandit(epochs=6, step=2.0), seed=0))
    study.optimize(size_of, n_trials=35)
    assert len(set(networks(study)[:31])) == 31
    assert [draw_of(trial)["repeated"] for trial in study.trials] == [False] * 31 + [True] * 4


def test_probable_architectures_come_early():
    study = create_study(DARTSSampler(space=CHAIN, source=bandit(epochs=6), seed=0))
    study.optimize(size_of, n_trials=30)
    p = [draw_of(trial)["log_probability"] for trial in study.trials]
    assert np.mean(p[:10]) > np.mean(p[20:]) + 1


def test_with_several_objectives_equal_functions_may_differ_in_cost():
    study = optuna.create_study(
        directions=["maximize", "minimize"],
        sampler=DARTSSampler(space=CHAIN, source=bandit(), seed=0),
    )
    study.optimize(lambda trial: (size_of(trial), 0.0), n_trials=60)
    assert len({frozenset(trial.params.items()) for trial in study.trials}) == 60


def test_failed_and_pruned_networks_are_not_drawn_again():
    def objective(trial: Trial) -> float:
        size = size_of(trial)
        if trial.number % 3 == 1:
            raise RuntimeError("out of memory")
        if trial.number % 3 == 2:
            raise optuna.TrialPruned
        return size

    study = create_study(DARTSSampler(space=CHAIN, source=bandit(), seed=0))
    study.optimize(objective, n_trials=31, catch=(RuntimeError,))
    assert len(set(networks(study))) == 31


def test_what_is_over_a_limit_is_not_drawn():
    space = SearchSpace(
        "limited", input_shape=(8, 8, 1), classes=3, body=CHAIN.body, max_params=100
    )
    source = Bandit(space, {"block/depth": 4, **TARGET}, step=2.0)  # three wide layers: too large
    study = create_study(DARTSSampler(space=space, source=source, seed=0))
    study.optimize(lambda trial: space.graph(space.suggest(trial)).params, n_trials=15)
    assert all(trial.state == TrialState.COMPLETE for trial in study.trials)
    possible = {
        best_of(CHAIN, genotype) for genotype in CHAIN.genotypes() if space.feasible(genotype)
    }
    assert 3 < len(possible) < 15
    assert set(networks(study)) == possible  # then they are repeated


def test_parameters_beside_the_network_are_drawn_at_random():
    space = SearchSpace(
        "with training",
        input_shape=(4, 4, 1),
        classes=2,
        body=[conv(Choice("w", [1, 2, 3]), 1), global_average_pooling()],
        training=[Float("rate", 0.0, 1.0)],
    )
    source = Bandit(
        SearchSpace("bare", input_shape=(4, 4, 1), classes=2, body=space.body), {"w": 2}, step=5.0
    )

    def objective(trial: Trial) -> float:
        space.suggest(trial)
        return trial.suggest_float("momentum", 0.0, 1.0)

    study = create_study(DARTSSampler(space=space, source=source, seed=0))
    study.optimize(objective, n_trials=40)
    widths = [trial.params["w"] for trial in study.trials]
    assert widths[0] == 2
    assert sorted(widths[:3]) == [1, 2, 3]  # a network is tried once, however it is trained
    assert widths[3:].count(2) >= 35  # and then as often as it is probable
    for name in ("training/rate", "momentum"):
        values = [trial.params[name] for trial in study.trials]
        assert len(set(values)) == 40
        assert 0.3 < np.mean(values) < 0.7


def test_fixed_and_enqueued_parameters():
    study = create_study(DARTSSampler(space=CHAIN, source=bandit(), seed=0))
    study.enqueue_trial({"block/depth": 1, "block/0/op": "skip"})
    study.enqueue_trial({"block/depth": 2})
    study.optimize(size_of, n_trials=3)
    assert study.trials[0].params == {"block/depth": 1, "block/0/op": "skip"}
    assert study.trials[1].params == {
        name: value for name, value in BEST.items() if name.split("/")[1] in ("0", "1")
    } | {"block/depth": 2}
    assert study.trials[2].params["block/depth"] == 3  # the best of all was not tried yet
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        study.sampler = PartialFixedSampler({"block/0/op": "skip"}, study.sampler)
    study.optimize(size_of, n_trials=5)
    assert all(trial.params["block/0/op"] == "skip" for trial in study.trials[3:])
    assert len(set(networks(study)[3:])) == 5


def test_epochs_between_the_trials():
    source = bandit(epochs=5)
    study = create_study(DARTSSampler(space=CHAIN, source=source, epochs_per_trial=2, seed=0))
    advanced = []
    for _ in range(4):
        study.optimize(size_of, n_trials=1)
        advanced.append(source.advanced)
    assert advanced == [2, 4, 5, 5]
    assert [draw_of(trial)["epochs"] for trial in study.trials] == [2, 4, 5, 5]


def test_logits_of_all_epochs_are_in_the_study():
    study = create_study(DARTSSampler(space=CHAIN, source=bandit(epochs=3), seed=0))
    study.optimize(size_of, n_trials=2)
    stored = supernet_of(study)
    assert stored is not None
    state, epochs = stored
    assert (state.epochs, state.final, state.trial) == (3, True, None)
    assert [epoch.logits["block/depth"] for epoch in epochs.values()] == [
        [0.0, 0.0, 0.5 * number, 0.0] for number in (1, 2, 3)
    ]
    assert [epoch.status["epoch"] for epoch in epochs.values()] == [1, 2, 3]


def test_minus_infinity_survives_the_storage(tmp_path):
    source = bandit()
    source.weights["block/depth"][:] = [-np.inf, -np.inf, 0.0, -np.inf]
    storage = open_storage(str(tmp_path / "journal.log"))
    study = create_study(DARTSSampler(space=CHAIN, source=source, seed=0), storage=storage)
    study.optimize(size_of, n_trials=3)
    study.sampler = DARTSSampler(space=CHAIN, seed=0)
    study.optimize(size_of, n_trials=3)
    assert all(trial.params["block/depth"] == 3 for trial in study.trials)


@pytest.mark.parametrize("epochs_per_trial", [None, 1])
def test_a_resumed_study_goes_on_as_without_a_break(tmp_path, epochs_per_trial):
    runs = []
    for name, breaks in (("whole", [20]), ("resumed", [2, 3, 15])):
        store = FileSystemArtifactStore(tmp_path)
        study = create_study(None)
        advanced = 0
        for n_trials in breaks:
            source = bandit(epochs=6)
            study.sampler = DARTSSampler(
                space=CHAIN,
                source=source,
                epochs_per_trial=epochs_per_trial,
                artifact_store=store,
                seed=0,
            )
            study.optimize(size_of, n_trials=n_trials)
            advanced += source.advanced
            assert source.epoch == (6 if epochs_per_trial is None else min(6, len(study.trials)))
        assert advanced == 6, name
        runs.append([trial.params for trial in study.trials])
    assert runs[0] == runs[1]
    assert checkpoints(tmp_path) == 2  # the last one of each study


def test_final_logits_need_no_checkpoint(caplog):
    study = create_study(DARTSSampler(space=CHAIN, source=bandit(), seed=0))
    study.optimize(size_of, n_trials=3)
    source = bandit()
    study.sampler = DARTSSampler(space=CHAIN, source=source, seed=0)
    with caplog.at_level(logging.WARNING):
        study.optimize(size_of, n_trials=3)
    assert source.advanced == 0
    assert caplog.text.count("no checkpoint of it is at hand") == 1  # its weights are untrained
    assert len(set(networks(study))) == 6


def test_without_a_checkpoint_the_search_begins_again(caplog, tmp_path):
    study = create_study(
        DARTSSampler(
            space=CHAIN,
            source=bandit(),
            epochs_per_trial=2,
            artifact_store=FileSystemArtifactStore(tmp_path),
            seed=0,
        )
    )
    study.optimize(size_of, n_trials=1)
    ready = []

    class Watched(Bandit):
        def advance(self) -> bool:
            stored = supernet_of(study)
            assert stored is not None
            ready.append(stored[0].ready)
            return super().advance()

    source = Watched(CHAIN, TARGET)
    study.sampler = DARTSSampler(space=CHAIN, source=source, seed=0)
    with caplog.at_level(logging.WARNING):
        study.optimize(size_of, n_trials=2)
    assert source.advanced == 4
    assert caplog.text.count("going on from epoch 0") == 1
    stored = supernet_of(study)
    assert stored is not None
    assert stored[0].epochs == 4
    assert stored[0].artifact is None  # the one there was is of another search
    assert ready == [False] * 4  # nobody may follow before it is trained


def test_a_source_with_checkpoints_of_its_own_goes_on():
    study = create_study(DARTSSampler(space=CHAIN, source=bandit(), epochs_per_trial=2, seed=0))
    study.optimize(size_of, n_trials=1)
    source = bandit()
    source.restore(study.sampler._make_supernet.args[0].checkpoint())  # type: ignore[attr-defined]
    study.sampler = DARTSSampler(space=CHAIN, source=source, seed=0)
    study.optimize(size_of, n_trials=1)
    assert source.advanced == 2


def test_a_source_that_was_trained_before():
    source = bandit(epochs=3)
    while source.advance():
        pass
    study = create_study(DARTSSampler(space=CHAIN, source=source, seed=0))
    study.optimize(size_of, n_trials=2)
    stored = supernet_of(study)
    assert stored is not None
    assert (stored[0].epochs, list(stored[1]), stored[0].final) == (3, [3], True)


def test_the_alarm_is_noted_with_trials_and_logged_once(caplog):
    sampler = DARTSSampler(space=CHAIN, source=bandit(alarm_at=2), epochs_per_trial=1, seed=0)
    study = create_study(sampler)
    with caplog.at_level(logging.WARNING):
        study.optimize(size_of, n_trials=6)
    assert [draw_of(t)["status"]["alarm"] for t in study.trials[:2]] == ["", "nothing but skips"]
    assert "degenerates at epoch 2: nothing but skips" in caplog.text
    assert caplog.text.count("degenerates") == 1


def test_who_draws_the_same_at_the_same_moment_gives_way(monkeypatch):
    study = create_study(DARTSSampler(space=CHAIN, source=bandit(), seed=0))
    other = optuna.load_study(
        study_name=study.study_name,
        storage=study._storage,
        sampler=DARTSSampler(space=CHAIN, seed=0),
    )
    trials = [study.ask()]  # the supernet is trained, nothing is drawn yet
    tell = darts.save_draw

    def late(*arguments):
        monkeypatch.setattr(darts, "save_draw", tell)
        trials.append(other.ask())
        size_of(trials[1])  # drawn and told before the first one tells
        tell(*arguments)

    monkeypatch.setattr(darts, "save_draw", late)
    for trial in trials[:1]:
        size_of(trial)
    assert networks(study)[1] == best_of(CHAIN, BEST)
    assert networks(study)[0] != networks(study)[1]


def test_a_draw_is_seen_before_its_parameters_are():
    study = create_study(DARTSSampler(space=CHAIN, source=bandit(), seed=0))
    first = study.ask()
    first.suggest_int("block/depth", 1, 4)  # and no more for the time being
    study.sampler = DARTSSampler(space=CHAIN, seed=0)
    size_of(study.ask())
    size_of(first)
    assert len(set(networks(study))) == 2


def test_followers_in_threads():
    study = create_study(None)
    failed = []

    def work(source: Bandit | None) -> None:
        sampler = DARTSSampler(space=CHAIN, source=source, seed=0, timeout=60.0)
        worker = optuna.load_study(
            study_name=study.study_name, storage=study._storage, sampler=sampler
        )
        try:
            worker.optimize(size_of, n_trials=7)
        except Exception as error:
            failed.append(error)

    sources = (None, None, bandit(pause=0.02))
    threads = [threading.Thread(target=work, args=(source,)) for source in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(study.trials) == 21
    assert len(set(networks(study))) == 21
    assert best_of(CHAIN, BEST) in networks(study)


def open_storage(path: str) -> BaseStorage:
    if path.endswith(".db"):
        return RDBStorage(f"sqlite:///{path}")
    return JournalStorage(JournalFileBackend(path))


def work(path: str, source: Bandit | None, artifacts: str | None, n_trials: int) -> None:
    """Run trials of the study "shared"; in a process of its own."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    store = None if artifacts is None else FileSystemArtifactStore(artifacts)
    sampler = DARTSSampler(space=CHAIN, source=source, artifact_store=store, seed=0, timeout=60.0)
    study = optuna.load_study(study_name="shared", storage=open_storage(path), sampler=sampler)
    study.optimize(size_of, n_trials=n_trials)


def start(*arguments: object) -> multiprocessing.process.BaseProcess:
    process = multiprocessing.get_context("spawn").Process(target=work, args=arguments)
    process.start()
    return process


@pytest.mark.parametrize(("name", "n_trials"), [("journal.log", 6), ("study.db", 1)])
def test_two_followers_and_one_owner_in_three_processes(tmp_path, name, n_trials):
    path = str(tmp_path / name)
    study = create_study(None, storage=open_storage(path), study_name="shared")
    followers = [start(path, None, None, n_trials) for _ in range(2)]
    owner = start(path, bandit(pause=0.1), None, n_trials)
    for process in (*followers, owner):
        process.join(120)
        assert process.exitcode == 0
    assert len(study.trials) == 3 * n_trials
    assert all(trial.state == TrialState.COMPLETE for trial in study.trials)
    assert len(set(networks(study))) == 3 * n_trials
    assert best_of(CHAIN, BEST) in networks(study)


def test_a_killed_search_goes_on_from_its_last_checkpoint(tmp_path):
    path, artifacts = str(tmp_path / "journal.log"), str(tmp_path / "artifacts")
    Path(artifacts).mkdir()
    study = create_study(None, storage=open_storage(path), study_name="shared")
    killed = start(path, bandit(epochs=5, kill_at=3), artifacts, 1)
    killed.join(120)
    assert killed.exitcode == -signal.SIGKILL
    source = bandit(epochs=5)
    store = FileSystemArtifactStore(artifacts)
    study.sampler = DARTSSampler(space=CHAIN, source=source, artifact_store=store, seed=0)
    study.optimize(size_of, n_trials=2)
    assert (source.epoch, source.advanced) == (5, 2)
    stored = supernet_of(study)
    assert stored is not None
    assert list(stored[1]) == [1, 2, 3, 4, 5]
    assert study.trials[0].state == TrialState.FAIL  # nobody else would have finished it
    assert networks(study)[0] == best_of(CHAIN, BEST)
    assert checkpoints(Path(artifacts)) == 1


def test_a_second_source_follows_while_the_first_process_lives(tmp_path):
    path, artifacts = str(tmp_path / "journal.log"), str(tmp_path / "artifacts")
    Path(artifacts).mkdir()
    study = create_study(None, storage=open_storage(path), study_name="shared")
    owner = start(path, bandit(pause=0.2), artifacts, 2)
    while supernet_of(study) is None:
        owner.join(0.05)
    source = bandit()
    store = FileSystemArtifactStore(artifacts)
    study.sampler = DARTSSampler(
        space=CHAIN, source=source, artifact_store=store, seed=0, timeout=60
    )
    study.optimize(size_of, n_trials=2)
    owner.join(120)
    assert owner.exitcode == 0
    assert (source.epoch, source.advanced) == (4, 0)  # restored, not trained
    assert len(set(networks(study))) == 4


def test_a_follower_is_told_who_stopped():
    class Broken(Bandit):
        def advance(self) -> bool:
            super().advance()
            return 1 // (2 - self.epoch) > 0  # it breaks in the second epoch

    study = create_study(DARTSSampler(space=CHAIN, source=Broken(CHAIN, {})))
    with pytest.raises(ZeroDivisionError):
        study.ask()
    study.sampler = DARTSSampler(space=CHAIN, timeout=0.1)
    with pytest.raises(SupernetError, match=rf"may be used yet \(process {os.getpid()} on"):
        study.ask()


def test_a_follower_alone_gives_up():
    study = create_study(DARTSSampler(space=CHAIN, timeout=0.1))
    with pytest.raises(
        SupernetError, match=r"has none, and .* timeout=0.1 seconds. Start a worker"
    ):
        study.optimize(size_of, n_trials=1)
    assert study.trials[0].state == TrialState.FAIL


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda weights: weights.pop("block/1/op"), "decision 'block/1/op' .* has none"),
        (lambda weights: weights.update({"block/depth": np.zeros(3)}), "'block/depth': expected 4"),
        (lambda weights: weights["block/0/op"].fill(np.nan), "'block/0/op': expected numbers"),
    ],
)
def test_logits_that_do_not_fit_the_space(spoil, message):
    source = Bandit(CHAIN, {})
    spoil(source.weights)
    study = create_study(DARTSSampler(space=CHAIN, source=source))
    with pytest.raises(SupernetError, match=message):
        study.optimize(size_of, n_trials=1)
    assert study.trials[0].state == TrialState.FAIL
    stored = supernet_of(study)
    assert stored is not None
    assert stored[0].epochs == 0  # nobody follows what is broken


def test_an_error_in_the_search_fails_the_trial_and_is_told():
    class Broken(Bandit):
        def advance(self) -> bool:
            raise FloatingPointError("loss is nan")

    study = create_study(DARTSSampler(space=CHAIN, source=Broken(CHAIN, {})))
    with pytest.raises(FloatingPointError, match="loss is nan"):
        study.ask()
    assert study.trials[0].state == TrialState.FAIL
    assert "loss is nan" in study.trials[0].user_attrs["optuna_nas:failure"]


def test_another_store_is_refused(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    study = create_study(None)

    def sampler(folder: str) -> DARTSSampler:
        store = FileSystemArtifactStore(tmp_path / folder)
        return DARTSSampler(space=CHAIN, source=bandit(), artifact_store=store)

    study.sampler = sampler("one")
    study.optimize(size_of, n_trials=1)
    study.sampler = sampler("two")
    with pytest.raises(SupernetError, match="is not in it"):
        study.optimize(size_of, n_trials=1)


def test_a_study_of_another_space_is_refused():
    study = create_study(DARTSSampler(space=CHAIN, source=bandit()))
    study.optimize(size_of, n_trials=1)
    study.sampler = DARTSSampler(space=EDGES)
    with pytest.raises(SpaceMismatchError):
        study.optimize(large_objective, n_trials=1)


def test_a_follower_can_be_pickled():
    study = create_study(DARTSSampler(space=CHAIN, source=bandit(), seed=0))
    study.optimize(size_of, n_trials=3)
    study.sampler = pickle.loads(pickle.dumps(DARTSSampler(space=CHAIN, seed=0)))
    study.optimize(size_of, n_trials=3)
    assert len(set(networks(study))) == 6


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"space": "small"}, TypeError, "space must be a SearchSpace, got 'small'"),
        ({"source": "net"}, TypeError, r"source must be a GradientSource.*has no advance\(\)"),
        ({"epochs_per_trial": 0}, ValueError, "epochs_per_trial must be an integer of at least 1"),
        ({"temperature": 0.0}, ValueError, "temperature must be above 0 and finite, got 0.0"),
        ({"temperature": "1"}, ValueError, "temperature must be above 0 and finite, got '1'"),
        ({"timeout": float("inf")}, ValueError, "timeout must be above 0 and finite, got inf"),
        ({"seed": -1}, ValueError, "seed must be"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        DARTSSampler(**{"space": CHAIN, **arguments})
