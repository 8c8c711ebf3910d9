"""How searches are compared: where each stood after so many epochs."""

from __future__ import annotations

from typing import Any

import keras_tuners as script
import numpy as np
import pytest

from optuna_nas import SearchSpace


def search(name: str, seed: int, *steps: tuple[int, float]) -> dict[str, Any]:
    return {
        "tuner": name,
        "seed": seed,
        "steps": [
            {"epochs": e, "seconds": e / 10, "trials": e // 5, "validation": v, "test": v - 0.1}
            for e, v in steps
        ],
    }


ONE = search("RandomSearch", 0, (1, 0.2), (7, 0.5), (10, 0.5), (15, 0.9), (20, 0.9))


@pytest.mark.parametrize(("budget", "validation"), [(1, 0.2), (9, 0.5), (10, 0.5), (20, 0.9)])
def test_a_search_stands_where_it_last_improved(budget: int, validation: float) -> None:
    assert script.at(ONE, budget)["validation"] == validation


@pytest.mark.parametrize(("goal", "epochs"), [(0.1, 1), (0.5, 7), (0.6, 15), (0.95, 20)])
def test_a_goal_that_was_not_reached_costs_the_budget(goal: float, epochs: int) -> None:
    assert script.epochs_to(ONE, goal, 20) == epochs


def test_tables_hold_means_with_their_standard_errors() -> None:
    runs = [ONE, search("RandomSearch", 1, (1, 0.4), (10, 0.6), (20, 0.8))]
    runs += [search("OptunaTuner", s, (1, 0.1), (10, 0.9), (20, v)) for s, v in enumerate((1, 0.9))]
    text = script.report(runs, (10, 20), 0.9)
    row = next(line for line in text.splitlines() if line.startswith("| RandomSearch | 20"))
    assert "85.00 ± 5.00" in row
    assert "17.50 ± 2.50" in row
    row = script.paired(runs, (10, 20)).splitlines()[-1]
    # By seed: 1.0 - 0.9 and 0.9 - 0.8; earlier 0.9 - 0.5 and 0.9 - 0.6.
    assert "10.00 ± 0.00" in row
    assert "35.00 ± 5.00" in row


def test_the_splits_are_disjoint_and_depend_on_the_seed() -> None:
    parts = script.load(None, 0)
    assert [len(x) for x, _ in parts] == [1_000, 400, 397]
    images = {x.tobytes() for part, _ in parts for x in part}
    assert len(images) == len({x.tobytes() for part, _ in script.load(None, 1) for x in part})
    assert not np.array_equal(parts[0][0], script.load(None, 1)[0][0])
    assert 0 <= parts[0][0].min() <= parts[0][0].max() == 1


def test_the_space_is_small_and_conditional() -> None:
    space: SearchSpace = script.space_of((8, 8, 1))
    assert "stage/0/block=conv/kernel" in space.distributions()
    rng = np.random.default_rng(0)
    assert all(space.feasible(space.sample(rng)) for _ in range(20))
