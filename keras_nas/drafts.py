"""Trials that a study sees only when they are wanted."""

from __future__ import annotations

import copy
from collections.abc import Container, Mapping, Sequence
from datetime import datetime
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optuna_nas._optuna import forget_read_trials, storage_of, study_id_of


class DraftStorage(BaseStorage):
    """A storage in which a new trial is a draft until it is kept; all else is passed on.

    Optuna stores a trial before its parameters are known, and has no way to take it back. Whoever
    rejects what the sampler proposed, because it was tried before, would leave a failed trial
    behind each time. Kept drafts are written at once, not parameter by parameter.

    Only one thread at a time may work on a draft.

    Args:
        storage: Where the studies are.
    """

    def __init__(self, storage: BaseStorage) -> None:
        self._storage = storage
        self._draft: FrozenTrial | None = None
        self._study_id = -1
        self._drafted = 0

    # --- drafts ----------------------------------------------------------------------------------

    def is_draft(self, trial_id: int) -> bool:
        """Whether a trial is the draft in hand."""
        return self._draft is not None and self._draft._trial_id == trial_id

    def keep(self, attributes: Mapping[str, Any]) -> int:
        """Store the draft in hand as a running trial; returns its number."""
        assert self._draft is not None
        draft, self._draft = self._draft, None
        draft.user_attrs.update(attributes)
        trial_id = self._storage.create_new_trial(self._study_id, template_trial=draft)
        return self._storage.get_trial_number_from_id(trial_id)

    def drop(self) -> None:
        """Forget the draft in hand."""
        self._draft = None

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        if template_trial is not None:
            return self._storage.create_new_trial(study_id, template_trial)
        self._drafted += 1
        self._study_id = study_id
        self._draft = FrozenTrial(
            number=self._storage.get_n_trials(study_id),
            trial_id=-self._drafted,  # no trial of a storage has such a number
            state=TrialState.RUNNING,
            value=None,
            datetime_start=datetime.now(),
            datetime_complete=None,
            params={},
            distributions={},
            user_attrs={},
            system_attrs={},
            intermediate_values={},
        )
        return self._draft._trial_id

    def _drafted_trial(self, trial_id: int) -> FrozenTrial | None:
        return self._draft if self.is_draft(trial_id) else None

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:  # fmt: skip
        if (draft := self._drafted_trial(trial_id)) is None:
            self._storage.set_trial_param(trial_id, param_name, param_value_internal, distribution)
            return
        draft.params[param_name] = distribution.to_external_repr(param_value_internal)
        draft.distributions[param_name] = distribution

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        if self.is_draft(trial_id):
            self.drop()  # a sampler that fails a trial it can't serve
            return True
        return self._storage.set_trial_state_values(trial_id, state, values)

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        self._storage.set_trial_intermediate_value(trial_id, step, intermediate_value)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        if (draft := self._drafted_trial(trial_id)) is None:
            self._storage.set_trial_user_attr(trial_id, key, value)
        else:
            draft.user_attrs[key] = value

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        if (draft := self._drafted_trial(trial_id)) is None:
            self._storage.set_trial_system_attr(trial_id, key, value)
        else:
            draft.system_attrs[key] = value

    def get_trial(self, trial_id: int) -> FrozenTrial:
        if (draft := self._drafted_trial(trial_id)) is None:
            return self._storage.get_trial(trial_id)
        return copy.deepcopy(draft)

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        trials = self._storage.get_all_trials(study_id, deepcopy, states)
        draft = self._draft
        if draft is None or study_id != self._study_id:
            return trials
        if states is not None and draft.state not in states:
            return trials
        return [*trials, copy.deepcopy(draft) if deepcopy else draft]

    # --- passed on -------------------------------------------------------------------------------

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        return self._storage.create_new_study(directions, study_name)

    def delete_study(self, study_id: int) -> None:
        self._storage.delete_study(study_id)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        self._storage.set_study_user_attr(study_id, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self._storage.set_study_system_attr(study_id, key, value)

    def get_study_id_from_name(self, study_name: str) -> int:
        return self._storage.get_study_id_from_name(study_name)

    def get_study_name_from_id(self, study_id: int) -> str:
        return self._storage.get_study_name_from_id(study_id)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return self._storage.get_study_directions(study_id)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return self._storage.get_study_user_attrs(study_id)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self._storage.get_study_system_attrs(study_id)

    def get_all_studies(self) -> list[Any]:
        return self._storage.get_all_studies()

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(study_id, trial_number)

    def remove_session(self) -> None:
        self._storage.remove_session()


class _DraftStudy(Study):
    """A study that samplers may stop where there is no `Study.optimize` to be ended."""

    stopped = False

    def stop(self) -> None:
        self.stopped = True


class Drafts:
    """Asks a study's sampler for trials, of which only the kept ones are stored.

    Attributes:
        study: The study as samplers and pruners should always see it, so that they take it for the
            same one before and after a draft is kept.

    Args:
        study: The study to add trials to.
    """

    def __init__(self, study: Study) -> None:
        self._real = study
        self._storage = DraftStorage(storage_of(study))
        self.study = _DraftStudy(study.study_name, self._storage, study.sampler, study.pruner)
        assert study_id_of(self.study) == study_id_of(study)

    @property
    def stopped(self) -> bool:
        """Whether the sampler said that it has nothing left to propose."""
        return self.study.stopped

    def ask(self, sampler: BaseSampler | None = None) -> optuna.Trial:
        """A trial to suggest parameters of: the next that waits in the study, or a draft.

        Args:
            sampler: Draws the parameters; by default the study's.
        """
        self.study.sampler = sampler or self._real.sampler
        self.study.pruner = self._real.pruner
        self._storage.drop()
        return self.study.ask()

    def is_draft(self, trial: optuna.Trial) -> bool:
        """False for a trial that waited in the study: it is stored already."""
        return self._storage.is_draft(trial._trial_id)

    def keep(self, trial: optuna.Trial, attributes: Mapping[str, Any]) -> int:
        """Store a trial as a running one, with user attributes; returns its number."""
        if self.is_draft(trial):
            forget_read_trials(self.study)  # the draft is among them
            return self._storage.keep(attributes)
        for key, value in attributes.items():
            trial.set_user_attr(key, value)
        return trial.number

    def drop(self) -> None:
        """Forget the draft in hand."""
        forget_read_trials(self.study)
        self._storage.drop()
