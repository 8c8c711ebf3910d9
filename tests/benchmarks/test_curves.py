"""The benchmark of learning curves scores what it should, and goes on where it was interrupted."""

import curves as script
import numpy as np
import pytest
from learning_curves.data import make_task, suite_of
from learning_curves.scores import forecast, kendall, score, summary
from learning_curves.slow import Kept, order

from optuna_nas.curves import LastValue

RNG = np.random.default_rng(0)
LOSSES = RNG.uniform(0.2, 0.6, (12, 1)) + np.arange(1.0, 11.0) ** -0.5
TASK = make_task("toy__valid_loss", LOSSES + 0.01 * RNG.normal(size=LOSSES.shape))


@pytest.mark.parametrize(
    ("name", "suite"),
    [
        ("metaqnn_cifar10__val_accuracy", "baker"),
        ("taskset_x__valid_loss", "taskset"),
        ("digits_mlp__val_accuracy", "recorded"),
    ],
)
def test_suites_are_publications(name, suite):
    assert suite_of(name) == suite


def test_points_are_medians_and_errors_are_in_task_scale():
    found = [forecast(LastValue().fit([], 10.0), TASK, run, 0.4) for run in range(12)]
    last = TASK.losses[:, 3]
    assert [f.median for f in found] == pytest.approx(last.tolist())
    scores = summary(TASK, [found])
    assert scores.mae == pytest.approx(np.abs(last - TASK.finals).mean() / TASK.scale)
    assert scores.kendall == pytest.approx(kendall(last, TASK.finals))
    group = (np.arange(12), np.array([], dtype=int))
    assert score(LastValue(), TASK, 0.4, groups=[group]).mae == pytest.approx(scores.mae)


def test_forecasts_of_slow_rivals_are_kept(tmp_path):
    path = tmp_path / "rival.jsonl"
    make = lambda task: LastValue()  # noqa: E731
    first = Kept(path).complete([TASK], (0.2, 0.4), make, seed=0, runs=3)
    done = [next(first) for _ in range(3)]  # and interrupted
    again = Kept(path)
    assert again.of(TASK, 0.2, 0, 3) == [done[0], done[2]]
    assert len(list(again.complete([TASK], (0.2, 0.4), make, seed=0, runs=3))) == 3
    assert [f.run for f in again.of(TASK, 0.4, 0, 3)] == order(TASK, 0)[:3].tolist()
    assert len(path.read_text().splitlines()) == 6


def test_ours_are_scored_on_the_runs_that_a_slow_rival_got(tmp_path):
    kept = Kept(tmp_path / "rival.jsonl")
    make = lambda task: LastValue()  # noqa: E731
    runs = kept.complete([TASK], script.CUTOFFS, make, seed=0, runs=4)
    for _ in range(14):  # the fourth run lacks two cutoffs
        next(runs)
    ours = {"ours": (make, 5)}
    rows = script.beside([TASK], "rival", kept, ours, runs=4, seed=0)
    assert {row["cases"] for row in rows} == {3}
    theirs, same = (row for row in rows if row["cutoff"] == 0.6)
    assert same["log_likelihood"] == pytest.approx(theirs["log_likelihood"])
    assert same["mae"] == pytest.approx(theirs["mae"])
