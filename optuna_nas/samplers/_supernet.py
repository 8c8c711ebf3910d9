"""Who has a study's supernet trains it, and all draw from what it has learned."""

from __future__ import annotations

import contextlib
import io
import logging
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optuna_nas._optuna import (
    SupernetEpoch,
    SupernetState,
    fail_trial,
    save_supernet,
    supernet_of,
    trials_of,
)
from optuna_nas._processes import Owner
from optuna_nas.errors import SupernetError
from optuna_nas.search.gradient_source import ArchitectureDistribution, GradientSource
from optuna_nas.space import SearchSpace

if TYPE_CHECKING:
    from optuna.artifacts._protocol import ArtifactStore

_logger = logging.getLogger(__name__)

# Seconds between two looks at a study whose supernet is not ready: doubled from the first on.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0


class StudySupernet:
    """The supernet of one study, seen from one process.

    A process with a source leads: it advances the supernet and stores what that learned, unless
    another process on this machine does so already. All others follow what is stored.

    Args:
        source: The supernet, where this process has it.
        space: The space it is made of.
        temperature: Of the draws.
        epochs_per_trial: Units of search before each trial; None does all before the first.
        artifact_store: Where checkpoints are kept.
        timeout: Seconds without news after which a follower gives up.

    Attributes:
        epochs: Units of search behind `distribution`.
        status: What the source said of itself then.
        distribution: What trials are drawn from; None before the first `prepare`.
    """

    def __init__(
        self,
        source: GradientSource | None,
        space: SearchSpace,
        temperature: float,
        epochs_per_trial: int | None,
        artifact_store: ArtifactStore | None,
        timeout: float,
    ) -> None:
        self._source = source
        self._space = space
        self._temperature = temperature
        self._epochs_per_trial = epochs_per_trial
        self._artifact_store = artifact_store
        self._timeout = timeout
        self._lock = threading.Lock()
        self._leads = False
        self._final = False
        self._artifact: str | None = None  # that the source was restored from or saved to
        self._alarmed = False
        self.epochs = 0
        self.status: Mapping[str, Any] = {}
        self.distribution: ArchitectureDistribution | None = None

    def prepare(self, study: Study, number: int) -> None:
        """Do or await what has to come before a trial, in whose name this happens.

        Raises:
            SupernetError: The logits do not fit the space, or nobody gave any for too long.
        """
        with self._lock:
            if self._final:
                return
            if not self._follow(study):
                self._lead(study, number)

    def _follow(self, study: Study) -> bool:
        """Take over what is stored as soon as trials may use it. False if it is ours to lead."""
        seen, since, pause = -1, time.monotonic(), _FIRST_PAUSE
        while True:
            stored = supernet_of(study)
            state = None if stored is None else stored[0]
            if self._source is not None and (state is None or not (state.final or _led(state))):
                return False
            if stored is not None and stored[0].ready:
                self._adopt(study, *stored)
                return True
            if state is not None and state.epochs != seen:
                seen, since = state.epochs, time.monotonic()
            if time.monotonic() - since > self._timeout:
                raise SupernetError(_nothing_heard(study, state, self._timeout), state)
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _lead(self, study: Study, number: int) -> None:
        assert self._source is not None
        state = self._begin(study)
        more, done = True, 0
        while more and done != self._epochs_per_trial:
            if done == 0:  # before the work, so that others see who does it
                save_supernet(study, replace(state, trial=number))
            more = self._source.advance()
            done += 1
            last = not more or done == self._epochs_per_trial
            state = replace(
                state,
                final=not more,
                ready=not more or self._epochs_per_trial is not None,
                trial=None if last else number,
            )
            state = self._record(study, state)
        self._final = not more

    def _begin(self, study: Study) -> SupernetState:
        """The state to go on from; the source becomes what it was then."""
        assert self._source is not None
        owner = Owner.current().to_dict()
        stored = supernet_of(study)
        if stored is None:
            self._leads = True
            return SupernetState(self._epoch_of_source(), final=False, ready=False, owner=owner)
        state = stored[0]
        if not self._leads:
            _fail_waiting_trial(study, state)
            if not self._restore(state):
                state = replace(state, epochs=self._epoch_of_source(), ready=False)
                _logger.warning(
                    "Study %r has logits of %d epochs, but no checkpoint of its supernet is at "
                    "hand; going on from epoch %d of the one given here. Give the sampler an "
                    "artifact_store to resume where a search was left.",
                    study.study_name,
                    stored[0].epochs,
                    state.epochs,
                )
            self._leads = True
        return replace(state, owner=owner)

    def _record(self, study: Study, state: SupernetState) -> SupernetState:
        """Store what the source has learned, and draw from that from now on."""
        assert self._source is not None
        logits = {name: _rounded(values) for name, values in self._source.logits().items()}
        status = {name: _plain(value) for name, value in self._source.status().items()}
        epoch = SupernetEpoch(logits, status)
        state = replace(state, epochs=int(status.get("epoch", state.epochs + 1)))
        self._draw_from(study, state, epoch)
        before, self._artifact = state.artifact, None
        if self._artifact_store is not None:
            self._artifact = uuid.uuid4().hex
            self._artifact_store.write(self._artifact, io.BytesIO(self._source.checkpoint()))
        state = replace(state, artifact=self._artifact)  # without a store the old one is outdated
        save_supernet(study, state, epoch)
        if self._artifact_store is not None and before is not None:
            with contextlib.suppress(ArtifactNotFound):
                self._artifact_store.remove(before)
        return state

    def _adopt(self, study: Study, state: SupernetState, epochs: dict[int, SupernetEpoch]) -> None:
        if self._source is not None and state.final and not self._restore(state):
            _logger.warning(
                "Study %r has the logits of a supernet, but no checkpoint of it is at hand: the "
                "source given here was not trained by this study. Its weights are not those that "
                "the logits belong to.",
                study.study_name,
            )
        if self.distribution is None or state.epochs != self.epochs:
            self._draw_from(study, state, epochs[state.epochs])
        self._final = state.final

    def _draw_from(self, study: Study, state: SupernetState, epoch: SupernetEpoch) -> None:
        logits = {
            name: np.array([-np.inf if v is None else v for v in values], dtype=np.float64)
            for name, values in epoch.logits.items()
        }
        self.distribution = ArchitectureDistribution(self._space, logits, self._temperature)
        self.epochs, self.status = state.epochs, epoch.status
        if epoch.status.get("alarm") and not self._alarmed:
            self._alarmed = True
            _logger.warning(
                "The supernet of study %r degenerates at epoch %d: %s. What it prefers may be "
                "worse than a random architecture; a regularised or an earlier search may not be.",
                study.study_name,
                state.epochs,
                epoch.status["alarm"],
            )

    def _restore(self, state: SupernetState) -> bool:
        """Whether the source is now what it was at the state."""
        assert self._source is not None
        if state.epochs == 0 or (state.artifact is not None and state.artifact == self._artifact):
            return True
        if state.artifact is None or self._artifact_store is None:
            return state.epochs == self._epoch_of_source()  # it keeps checkpoints of its own
        try:
            file = self._artifact_store.open_reader(state.artifact)
        except ArtifactNotFound as error:
            raise SupernetError(
                f"artifact_store: the study's checkpoint {state.artifact!r} is not in it. Give the "
                "store that the study was begun with, or begin a new study.",
                state.artifact,
            ) from error
        with file:
            self._source.restore(file.read())
        self._artifact = state.artifact
        return True

    def _epoch_of_source(self) -> int:
        assert self._source is not None
        return int(self._source.status().get("epoch", 0))


def _led(state: SupernetState) -> bool:
    """Whether another process, on this machine, surely lives that leads."""
    owner, me = Owner.from_dict(state.owner), Owner.current()
    return owner.host == me.host and owner.pid != me.pid and not owner.is_gone()


def _fail_waiting_trial(study: Study, state: SupernetState) -> None:
    """Fail the trial for which a process that is gone was advancing the supernet."""
    trials = trials_of(study)
    if state.trial is None or state.trial >= len(trials):
        return
    waiting: FrozenTrial = trials[state.trial]
    gone = Owner.from_dict(state.owner).is_gone()
    if gone and waiting.state == TrialState.RUNNING and not waiting.params:
        fail_trial(study, waiting, "its process ended while it trained the supernet")


def _nothing_heard(study: Study, state: SupernetState | None, timeout: float) -> str:
    heard = "none"
    if state is not None:
        owner = Owner.from_dict(state.owner)
        heard = f"none that may be used yet (process {owner.pid} on {owner.host} was to train it)"
    return (
        f"Study {study.study_name!r} should have logits of a supernet, but has {heard}, and there "
        f"was no news for timeout={timeout:g} seconds. Start a worker that has the supernet, with "
        "DARTSSampler(space=..., source=supernet), on this study and storage, or wait longer."
    )


def _rounded(logits: Any) -> list[float | None]:
    """Short enough to be kept for each epoch; all workers draw from the rounded ones."""
    return [None if v == -np.inf else float(f"{v:.6g}") for v in np.asarray(logits).ravel()]


def _plain(value: Any) -> float | str | bool:
    return value.item() if isinstance(value, np.generic) else value  # type: ignore[no-any-return]
