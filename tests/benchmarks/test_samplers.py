"""The comparison of samplers runs without data, can be resumed, and measures what it says."""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import samplers as script
from contest import report, runs
from contest.conditional import TASKS, depth_problem
from contest.contenders import ours, peers
from contest.searchers import OptunaSearcher
from contest.tables import BLOCKS, LAYERS, OneObjective, Table, TwoObjectives, nas_bench_macro
from contest.task import Observation, Task, hypervolume
from optuna.samplers import RandomSampler

from optuna_nas.search import SpaceEncoding
from optuna_nas.space import Choice, SearchSpace, dense, flatten

NAMES, CODES = ("a", "b", "c"), ("relu", "tanh", "elu")
ROWS = np.array(list(itertools.product(range(3), repeat=3)), dtype=np.int8)
TABLE = Table(NAMES, CODES, ROWS)
TRUTH = np.arange(27.0)
RUNS = np.stack([TRUTH - 1, TRUTH, np.full(27, np.nan)], axis=1)


def tiny_space() -> SearchSpace:
    layers = [dense(4, activation=Choice(name, list(CODES))) for name in NAMES]
    return SearchSpace("tiny", input_shape=(2,), classes=2, body=[flatten(), *layers])


def one_objective(seed: int) -> OneObjective:
    return OneObjective(TABLE, RUNS, TRUTH, seed)


def two_objectives(_seed: int) -> TwoObjectives:
    return TwoObjectives(TABLE, 90 - 3 * TRUTH, np.where(TRUTH % 5 == 0, -1.0, 1 + TRUTH))


ONE = Task("one", "One", "Observed with noise.", tiny_space, one_objective)
TWO = Task(
    "two",
    "Two",
    "With a constraint.",
    tiny_space,
    two_objectives,
    ("minimize", "minimize"),
    larger_is_better=True,
)
CONTENDERS = {**ours(), **peers()}


@pytest.mark.parametrize("task", [ONE, TWO, TASKS["nested"]], ids=lambda task: task.name)
@pytest.mark.parametrize("name", ["evolution", "evolution+space", "random"])
def test_one_seed_always_gives_the_same_search(task: Task, name: str) -> None:
    contender = CONTENDERS[name]
    first = runs.run(task, contender, task.space(), 0, trials=26)
    other = runs.run(task, contender, task.space(), 1, trials=26)
    with runs.shared(task.space()) as space:
        again = runs.run(task, contender, space, 0, trials=26)
    assert first["digest"] == again["digest"] != other["digest"]
    assert first["measures"] == again["measures"]
    assert list(first["measures"]) == ["25", "26"]


def test_a_run_is_continued_and_reported(tmp_path: Path) -> None:
    store, contender = runs.Store(tmp_path), CONTENDERS["evolution"]
    runs.complete(ONE, contender, store, seeds=2, trials=25)
    (path,) = tmp_path.iterdir()
    path.write_text(path.read_text() + '{"seed": 2, "tri')  # killed in the middle of a line
    runs.complete(ONE, contender, store, seeds=2, trials=25)
    assert sorted(store.runs("one", "evolution", 25)) == [0, 1]
    before = path.read_text()
    runs.complete(ONE, contender, store, seeds=4, trials=25)
    assert path.read_text().startswith(before)
    assert sorted(store.runs("one", "evolution", 25)) == [0, 1, 2, 3]
    assert not store.runs("one", "evolution", 26)
    results = report.summaries([ONE], [contender], store, 25)
    measures = [line["measures"]["25"] for line in store.runs("one", "evolution", 25).values()]
    assert results["one"]["evolution"]["mean"] == [pytest.approx(np.mean(measures))]
    assert "| RegularizedEvolution | 4 " in report.section(
        ONE, {"evolution": "RegularizedEvolution"}, results["one"]
    )


def test_the_incumbent_is_the_best_by_observation() -> None:
    problem = one_objective(0)
    lucky = Observation(0, (90.0,), (1.0,))
    better = Observation(1, (80.0,), (20.0,))
    assert problem.measure([better]) == 6.0
    assert problem.measure([better, lucky]) == 25.0


def test_noise_is_a_recorded_run() -> None:
    problem = one_objective(0)
    params = dict(zip(NAMES, ("elu", "elu", "elu"), strict=True))
    values = {problem.evaluate(params).values for _ in range(50)}
    assert values == {(25.0,), (26.0,)}


def test_hypervolume_and_the_exact_front() -> None:
    assert hypervolume([(0.5, 0.5)]) == 0.25
    assert hypervolume([(0.25, 0.75), (0.5, 0.5), (0.6, 0.6), (2.0, 0.0)]) == pytest.approx(0.3125)
    problem = two_objectives(0)
    everything = [
        problem.evaluate(dict(zip(NAMES, (CODES[i] for i in row), strict=True))) for row in ROWS
    ]
    assert problem.measure(everything) == pytest.approx(100)
    assert problem.measure([o for o in everything if not o.feasible]) == 0
    assert sum(not o.feasible for o in everything) == 6


def test_an_architecture_that_is_not_supported_can_fail() -> None:
    problem = TwoObjectives(TABLE, TRUTH, np.full(27, -1.0) + (TRUTH > 0) * 3, fails=True)
    observation = problem.evaluate(dict.fromkeys(NAMES, "relu"))
    assert observation.failed
    searcher = OptunaSearcher(TWO, tiny_space(), RandomSampler(seed=0))
    searcher.ask()
    searcher.tell(observation)


def test_the_optimum_of_a_conditional_problem_is_known() -> None:
    row = depth_problem(3).row
    values = [
        row.value(states)
        for depth in range(1, 6)
        for states in itertools.product(range(5), repeat=depth)
    ]
    assert max(values) == pytest.approx(0)  # this seed's best depth is 3
    # Penalties and shortfalls of random architectures, by depth: 1 on average at the best one.
    three = [row.value(states) for states in itertools.product(range(5), repeat=3)]
    assert np.mean(three) == pytest.approx(-1)


@pytest.mark.parametrize("name", list(TASKS))
def test_architectures_of_a_conditional_task_are_all_different(name: str) -> None:
    space, rng = TASKS[name].space(), np.random.default_rng(0)
    genotypes = {space.sample(rng) for _ in range(80)}
    assert len({space.identity(genotype) for genotype in genotypes}) == len(genotypes)


@pytest.mark.parametrize(("code", "params"), [(0, 387_882), (2, 2_932_586)])
def test_the_macro_space_is_the_benchmarks(code: int, params: int) -> None:
    space = nas_bench_macro()
    assert space.graph(space.genotype(dict.fromkeys(LAYERS, BLOCKS[code]))).params == params


def test_the_command_runs_without_data(tmp_path: Path) -> None:
    command = [sys.executable, script.__file__, "--tasks", "depth", "--samplers", "random"]
    command += ["evolution", "--seeds", "2", "--trials", "25", "--jobs", "2"]
    command += ["--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "report.json")]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    results = json.loads((tmp_path / "report.json").read_text())["results"]["depth"]
    assert {name: result["seeds"] for name, result in results.items()} == {
        "random": 2,
        "evolution": 2,
    }


def test_shared_features_are_the_same() -> None:
    describe = SpaceEncoding.describe
    with runs.shared(tiny_space()) as space:
        params = space.sample(np.random.default_rng(0)).params
        kept, domains = SpaceEncoding(space), space.distributions()
        assert kept.describe(params, domains) == describe(kept, params, domains)
        assert kept.describe(params, domains) is SpaceEncoding(space).describe(params, domains)
        other = SpaceEncoding(tiny_space())
        assert other.describe(params, domains) is not kept.describe(params, domains)
    assert SpaceEncoding.describe is describe
