"""Our pruners keep the promises of `optuna_nas.testing.pruners`; what Optuna's own do with them.

A class's ``findings`` are the promises that its pruner is known not to keep, and why; each is
expected to fail.
"""

from __future__ import annotations

from typing import ClassVar

import pytest
from optuna import pruners
from optuna.storages import BaseStorage, InMemoryStorage

from optuna_nas.pruners import DiscardPruner, LearningCurvePruner
from optuna_nas.testing.learning_curves import STEPS
from optuna_nas.testing.pruners import PrunerFactory, PrunerPromises

LATER_TRIALS = ("test_other_trials_do_not_change_an_answer",)
NOT_KEPT = "the answer at a step depends on when it is asked for"
COST = ("test_cost_does_not_grow_with_the_study",)
READS_ALL = "each report compares with all trials of the study"


@pytest.fixture(autouse=True)
def _expect_findings(request: pytest.FixtureRequest) -> None:
    reason = getattr(request.cls, "findings", {}).get(request.node.originalname)
    if reason is not None:
        request.applymarker(pytest.mark.xfail(strict=True, reason=reason))


class TestLearningCurvePruner(PrunerPromises):
    @pytest.fixture
    def make_pruner(self) -> PrunerFactory:
        return LearningCurvePruner


class TestLearningCurvePrunerOfFixedLength(PrunerPromises):
    @pytest.fixture
    def make_pruner(self) -> PrunerFactory:
        return lambda: LearningCurvePruner(
            STEPS, min_probability=0.1, n_startup_trials=1, interval_steps=2, top_fraction=0.1
        )


class TestDiscardPruner(PrunerPromises):
    findings: ClassVar = {
        "test_patience_around_it": "judges once, and patience may not ask it then",
        "test_cost_does_not_grow_with_the_study": "its one judgement a trial reads all trials",
    }

    @pytest.fixture
    def make_pruner(self) -> PrunerFactory:
        return lambda: DiscardPruner(3)


# NumPy warns of slices without a number, and Wilcoxon's pruner of what it ignores.
@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::UserWarning")
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
class OptunasOwn(PrunerPromises):
    """Optuna's pruners, with what the suite finds of each."""

    @pytest.fixture
    def storage(self) -> BaseStorage:
        return InMemoryStorage()  # databases are Optuna's own matter, and slow


class TestMedian(OptunasOwn):
    findings: ClassVar = dict.fromkeys(LATER_TRIALS, NOT_KEPT) | dict.fromkeys(COST, READS_ALL)

    @pytest.fixture
    def make_pruner(self) -> PrunerFactory:
        return pruners.MedianPruner


class TestPercentile(OptunasOwn):
    findings: ClassVar = TestMedian.findings

    @pytest.fixture
    def make_pruner(self) -> PrunerFactory:
        return lambda: pruners.PercentilePruner(25.0)


class TestSuccessiveHalving(OptunasOwn):
    findings: ClassVar = {
        "test_asked_twice_one_answer": "being asked promotes the trial to the next rung",
        "test_patience_around_it": "rungs are only entered by being asked, which patience avoids",
        "test_at_most_one_write_a_trial": "one attribute a rung",
    } | dict.fromkeys(COST, READS_ALL)

    @pytest.fixture
    def make_pruner(self) -> PrunerFactory:
        return lambda: pruners.SuccessiveHalvingPruner(min_resource=1)


class TestHyperband(OptunasOwn):
    findings: ClassVar = TestSuccessiveHalving.findings

    @pytest.fixture
    def make_pruner(self) -> PrunerFactory:
        return lambda: pruners.HyperbandPruner(min_resource=1, max_resource=STEPS)


class TestPatient(OptunasOwn):
    stops_the_hopeless = False

    @pytest.fixture
    def make_pruner(self) -> PrunerFactory:
        return lambda: pruners.PatientPruner(pruners.MedianPruner(), patience=2)


class TestThreshold(OptunasOwn):
    findings: ClassVar = {
        "test_directions_are_symmetric": "its bounds are those of values, not of losses",
        "test_patience_around_it": "the values are within its bounds",
    }

    @pytest.fixture
    def make_pruner(self) -> PrunerFactory:
        return lambda: pruners.ThresholdPruner(lower=0.05, upper=2.0, n_warmup_steps=5)


class TestWilcoxon(OptunasOwn):
    @pytest.fixture
    def make_pruner(self) -> PrunerFactory:
        # SciPy's exact test takes a tenth of a second a report: few are asked for here.
        return lambda: pruners.WilcoxonPruner(n_startup_steps=STEPS - 2)


class TestNop(OptunasOwn):
    stops_the_hopeless = False

    @pytest.fixture
    def make_pruner(self) -> PrunerFactory:
        return pruners.NopPruner
