"""What a study means to an evolution follows from its trials, however they are seen."""

from __future__ import annotations

from datetime import datetime, timedelta

import optuna
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optuna_nas._optuna import RECORD
from optuna_nas.samplers._history import StudyHistory
from optuna_nas.search import (
    Evidence,
    EvolutionSettings,
    Individual,
    ParameterEncoding,
    RegularizedEvolution,
)

START = datetime(2024, 1, 1)
OPERATION = CategoricalDistribution(("conv", "pool"))


def trial_of(
    number: int,
    *,
    state: TrialState = TrialState.COMPLETE,
    layers: int = 1,
    value: float = 0.0,
    completed: float | None = None,
    **arguments,
) -> FrozenTrial:
    params = {"layers": layers, **{f"layer{i}": "conv" for i in range(layers)}}
    distributions = {"layers": IntDistribution(1, 3 + number % 2)}
    distributions |= {f"layer{i}": OPERATION for i in range(layers)}
    finished = state.is_finished()
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=state,
        value=value if state == TrialState.COMPLETE else arguments.pop("pruned_value", None),
        datetime_start=START + timedelta(seconds=number),
        datetime_complete=(
            START + timedelta(seconds=number if completed is None else completed)
            if finished
            else None
        ),
        params=params,
        distributions=distributions,
        user_attrs=arguments.pop("user_attrs", {}),
        system_attrs=arguments.pop("system_attrs", {}),
        intermediate_values=arguments.pop("reports", {}),
    )


def history_of(size: int = 4) -> StudyHistory:
    strategy = RegularizedEvolution(size, 1, EvolutionSettings(2))
    return StudyHistory(strategy, [StudyDirection.MAXIMIZE], ParameterEncoding())


def members_of(history: StudyHistory) -> list[Individual]:
    return list(history.strategy.population.members)


def knows(history: StudyHistory, params: dict) -> bool:
    memory = history.memory
    return memory.archive.knows_any(memory.encoding.identities(params))


def state_of(history: StudyHistory) -> tuple:
    return (
        members_of(history),
        history.memory.archive._finished,
        history.memory.archive._running,
        history.memory.running,
        history.distributions,
        history.strategy._observed,
    )


finished_states = st.sampled_from([TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL])


@given(
    trials=st.lists(
        st.tuples(finished_states, st.integers(1, 3), st.integers(0, 6)), min_size=1, max_size=12
    ),
    data=st.data(),
)
def test_replay_at_once_equals_watching_trials_finish_in_any_order(trials, data):
    final = [
        trial_of(number, state=state, layers=layers, completed=float(completed))
        for number, (state, layers, completed) in enumerate(trials)
    ]
    at_once = history_of()
    at_once.update(final, current=-1)

    watched = history_of()
    seen = [trial_of(number, state=TrialState.RUNNING) for number in range(len(final))]
    for number in data.draw(st.permutations(range(len(final)))):
        shown = data.draw(st.integers(number, len(final))) + 1
        seen[number] = final[number]
        watched.update(seen[:shown], current=-1)
        watched.update(seen[: max(1, shown - 2)], current=-1)  # another thread's older view
    watched.update(seen, current=-1)
    assert state_of(watched) == state_of(at_once)


def test_pruned_trials_count_with_the_predicted_value_else_behind_all_others():
    everyone = history_of(size=9)
    everyone.update(_pruned_examples(), current=-1)
    order = sorted(members_of(everyone), key=lambda member: member.fitness.key)
    assert [member.age[1] for member in order] == [1, 0, 3, 5, 2, 4]
    assert order[1].fitness.evidence == Evidence.VALUES


def _pruned_examples() -> list[FrozenTrial]:
    pruned = TrialState.PRUNED
    return [
        trial_of(0, value=0.5),
        trial_of(1, state=pruned, user_attrs={RECORD: {"predicted_value": 0.7}}, reports={0: 0.1}),
        trial_of(2, state=pruned, reports={0: 0.9}),
        trial_of(3, state=pruned, reports={0: 0.2, 4: 0.3}),
        trial_of(4, state=pruned),
        trial_of(5, state=pruned, reports={4: float("nan")}),
    ]


def test_failed_trials_are_known_but_no_parents():
    history = history_of()
    failed = trial_of(0, state=TrialState.FAIL, layers=2)
    history.update([failed], current=-1)
    assert len(members_of(history)) == history.strategy._observed == 0
    assert knows(history, failed.params)
    # It may have failed before it asked for everything: what has more decisions is another thing.
    deeper = {**failed.params, "layer2": "pool"}
    assert not knows(history, deeper)


def test_running_and_enqueued_trials_are_seen():
    history = history_of()
    waiting = trial_of(1, state=TrialState.WAITING)
    waiting.params, waiting.distributions = {}, {}
    waiting.system_attrs = {"fixed_params": {"layers": 2, "layer0": "conv", "layer1": "pool"}}
    history.update([trial_of(0, state=TrialState.RUNNING, layers=3), waiting], current=-1)
    for params in (trial_of(0, layers=3).params, waiting.system_attrs["fixed_params"]):
        assert knows(history, params)


def test_enqueued_trial_that_fails_at_once_is_forgotten():
    history = history_of()
    fixed = {"fixed_params": {"layers": 1, "layer0": "pool"}}
    for state in (TrialState.WAITING, TrialState.FAIL):
        trial = trial_of(0, state=state, system_attrs=fixed)
        trial.params, trial.distributions = {}, {}
        history.update([trial], current=-1)
        known = knows(history, fixed["fixed_params"])
        assert known == (state == TrialState.WAITING)


def test_constraints_in_both_of_optunas_forms():
    history = history_of()
    history.update(
        [
            trial_of(0, value=9.0, system_attrs={"constraints": [1.0, -3.0]}),
            trial_of(1, value=8.0, system_attrs={"constraints:size": 0.5, "constraints:ms": -1.0}),
            trial_of(2, value=1.0, system_attrs={"constraints:size": 0.0}),
        ],
        current=-1,
    )
    violations = [member.fitness.violation for member in members_of(history)]
    assert violations == [1.0, 0.5, 0.0]
    best = min(members_of(history), key=lambda member: member.fitness.key)
    assert best.fitness.losses == (-1.0,)


def test_each_finished_trial_is_read_once():
    reads = []

    class Counting(ParameterEncoding):
        def identities(self, params, canonical_id=None):
            reads.append(params)
            return super().identities(params, canonical_id)

    history = StudyHistory(
        RegularizedEvolution(4, 1, EvolutionSettings(2)), [StudyDirection.MAXIMIZE], Counting()
    )
    trials = [trial_of(number, state=TrialState.RUNNING) for number in range(50)]
    history.update(trials, current=-1)
    assert len(reads) == 50
    for number in range(50):
        history.update(trials, current=-1)  # running ones are looked at again when they change
        trials[number] = trial_of(number)
    history.update(trials, current=-1)
    assert len(reads) == 100


def test_imported_history_has_its_age():
    study = optuna.create_study(direction="maximize")
    history = history_of(size=2)
    recent = [trial_of(n, completed=1000.0 + n, layers=2) for n in range(2)]
    study.add_trials(recent)
    history.update(study.trials, current=-1)
    study.add_trial(trial_of(2, completed=0.0, layers=3))  # copied from somewhere, long finished
    history.update(study.trials, current=-1)
    assert [member.age[1] for member in members_of(history)] == [0, 1]
