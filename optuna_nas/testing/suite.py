"""What the suites for samplers have in common: how a sampler comes in, and how studies are made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import optuna
import pytest
from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage
from optuna.study import Study

SamplerFactory = Callable[["int | None"], BaseSampler]
StudyFactory = Callable[..., Study]


class SamplerSuite:
    """Base of the suites. Override `make_sampler`."""

    @pytest.fixture
    def make_sampler(self) -> SamplerFactory:
        """A function from a seed to a fresh sampler, which has to be picklable."""
        raise NotImplementedError

    @pytest.fixture
    def make_study(self, make_sampler: SamplerFactory) -> Iterator[StudyFactory]:
        """A function from a seed, and arguments of `optuna.create_study`, to a fresh study."""

        def make(seed: int | None = 0, **arguments: Any) -> Study:
            arguments = {"direction": "maximize", "sampler": make_sampler(seed), **arguments}
            return optuna.create_study(**arguments)

        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        yield make
        optuna.logging.set_verbosity(verbosity)


class CountingStorage(InMemoryStorage):
    """A storage in memory that counts the writes of attributes, which samplers are sparing with."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: Counter[str] = Counter()

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self.writes["trial"] += 1
        super().set_trial_system_attr(trial_id, key, value)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        self.writes["trial"] += 1
        super().set_trial_user_attr(trial_id, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self.writes["study"] += 1
        super().set_study_system_attr(study_id, key, value)


def params_of(study: Study) -> list[dict[str, Any]]:
    """Parameters of all trials, by number."""
    return [trial.params for trial in study.trials]


def common_start(a: Sequence[Any], b: Sequence[Any]) -> int:
    """Number of leading entries in which two sequences of one length agree."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=True)) if x != y), len(a))
