"""The life of a supernet's training: prepared, trained epoch by epoch, saved and gone on with."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_nas.augmentation import Augmentation
from keras_nas.supernet.checkpoint import Checkpoint, write_whole
from keras_nas.supernet.examples import Examples, halves
from keras_nas.supernet.findings import Findings
from keras_nas.supernet.network import SuperNetwork
from keras_nas.supernet.policies import PathPolicy
from keras_nas.supernet.progress import epoch_bar
from keras_nas.supernet.search import BilevelSearch, Method, Schedule
from keras_nas.supernet.state import (
    Halves,
    Record,
    pack,
    restore_record,
    restore_search,
    restore_weights,
    restored_split,
)
from keras_nas.supernet.steps import Descent
from optuna_nas.errors import SupernetError
from optuna_nas.space import Genotype

_logger = logging.getLogger("keras_nas")
OnEpochEnd = Callable[[int, Mapping[str, Any]], "bool | None"]


class SupernetTraining:
    """Trains a supernetwork's weights and alphas, and remembers what came of each epoch.

    Args:
        network: Whose weights.
        policy: Chooses paths.
        method: What else is done.
        findings: Reads alphas.
        eigenvalue_every: Epochs between measurements of the dominant eigenvalue; None for none.
        rng: Draws the split of examples, their order, and paths.
    """

    def __init__(
        self,
        network: SuperNetwork,
        policy: PathPolicy,
        method: Method,
        findings: Findings,
        eigenvalue_every: int | None,
        rng: np.random.Generator,
    ) -> None:
        self.network = network
        self.graph = network.graph
        self.policy = policy
        self._method = method
        self._findings = findings
        self._eigenvalue_every = eigenvalue_every
        self._rng = rng
        self._record = Record()
        self._search: BilevelSearch | None = None
        self._split: Halves | None = None
        self._restored: Checkpoint | None = None
        self._file: Path | None = None
        self._stopped = False

    @property
    def history(self) -> list[dict[str, Any]]:
        """Figures of each epoch: losses, accuracies, and how healthy the search is."""
        return self._record.history

    def prepare(
        self,
        x: Any,
        y: Any,
        *,
        validation_data: tuple[Any, Any] | None = None,
        validation_split: float = 0.5,
        epochs: int = 50,
        batch_size: int = 64,
        learning_rate: float = 0.025,
        final_learning_rate: float = 0.001,
        momentum: float = 0.9,
        weight_decay: float = 3e-4,
        clip_norm: float = 5.0,
        alpha_learning_rate: float = 3e-4,
        alpha_betas: tuple[float, float] = (0.5, 0.999),
        alpha_weight_decay: float = 1e-3,
        alpha_start: int = 0,
        alpha_every: int = 1,
        flip: bool = False,
        crop: float = 0.0,
        cutout: float = 0.0,
        checkpoint: str | Path | None = None,
    ) -> None:
        """Get ready to train, or to go on from a checkpoint; `advance` then does an epoch.

        Without a checkpoint, alphas and history begin anew, with the weights as they are.

        Give training examples only, never those of a test. A policy of single paths without alphas
        trains weights on all of ``x``.

        Args:
            x: Features, (examples, ...).
            y: Classes, (examples,).
            validation_data: Examples of the alphas, or to select by; without them a part of ``x``
                is split off.
            validation_split: The share of that part.
            epochs: Passes over the examples of the weights.
            batch_size: Examples a step, of the weights and of the alphas.
            learning_rate: Of the weights, by gradient descent with momentum.
            final_learning_rate: What it falls to, as a cosine.
            momentum: Of the weights.
            weight_decay: Of the weights, L2.
            clip_norm: Norm to which the weights' gradient is cut.
            alpha_learning_rate: Of the alphas, by Adam.
            alpha_betas: Of Adam.
            alpha_weight_decay: Of the alphas, L2.
            alpha_start: Epochs that train the weights alone.
            alpha_every: Steps of the weights for each of the alphas.
            flip: Mirror half of the images of the weights, drawn anew each epoch.
            crop: Move them by up to this share of their size.
            cutout: Set a square of this share of their height and width to 0.
            checkpoint: A file written after each epoch. Where it is there, training goes on from
                it.

        Raises:
            DataError: Examples do not fit the space.
            SupernetError: No examples are left for the alphas or for the weights, a number is out
                of its range, or the checkpoint is of something else.
        """
        for name, count, least in (
            ("epochs", epochs, 1),
            ("batch_size", batch_size, 1),
            ("alpha_start", alpha_start, 0),
            ("alpha_every", alpha_every, 1),
        ):
            if isinstance(count, bool) or not isinstance(count, int) or count < least:
                raise SupernetError(
                    f"{name} must be an integer of at least {least}, got {count!r}.", count
                )
        for name, value in (("learning_rate", learning_rate), ("clip_norm", clip_norm)):
            if not 0 < value < math.inf:
                raise SupernetError(f"{name} must be above 0 and finite, got {value!r}.", value)
        if not 0 <= momentum < 1:
            raise SupernetError(f"momentum must be from 0 to below 1, got {momentum!r}.", momentum)
        schedule = Schedule(
            epochs,
            batch_size,
            learning_rate,
            final_learning_rate,
            Descent(float(momentum), weight_decay, clip_norm),
            alpha_learning_rate,
            alpha_betas,
            alpha_weight_decay,
            alpha_start,
            alpha_every,
            Augmentation(flip=flip, crop=crop, cutout=cutout),
        )
        examples = Examples.of(x, y, self.graph, "x")
        schedule.augmentation.check(examples.x)
        self._search, self._file = None, None if checkpoint is None else Path(checkpoint)
        if self._file is not None and self._file.exists():
            self.restore(self._file.read_bytes())
        restored, self._restored = self._restored, None
        if restored is None:
            self._record = Record()
        training, validation = self._divided(examples, validation_data, validation_split, restored)
        self._search = BilevelSearch(
            self.network, self.policy, self._method, schedule, training, validation, self._rng
        )
        if restored is not None:
            restore_search(restored, self._search)
        self._stopped = self._record.chosen is not None

    def _divided(
        self,
        examples: Examples,
        validation_data: tuple[Any, Any] | None,
        share: float,
        restored: Checkpoint | None,
    ) -> tuple[Examples, Examples | None]:
        if not (self.policy.learns or self.policy.selects):
            return examples, None
        if validation_data is not None:
            return examples, Examples.of(*validation_data, self.graph, "validation_data")
        self._split = None if restored is None else restored_split(restored)
        if self._split is None:
            self._split = halves(len(examples), share, self._rng)
        elif max(map(np.max, self._split)) >= len(examples):
            raise SupernetError(
                f"The checkpoint was made with more examples than these {len(examples)}; go on "
                "with the same data, or begin with another file.",
                len(examples),
            )
        return examples.take(self._split[0]), examples.take(self._split[1])

    def fit(
        self,
        x: Any,
        y: Any,
        *,
        progress: bool = True,
        on_epoch_end: OnEpochEnd | None = None,
        **preparation: Any,
    ) -> list[dict[str, Any]]:
        """Train weights and alphas.

        Args:
            x: Features, (examples, ...).
            y: Classes, (examples,).
            progress: Show a bar, where there is a terminal.
            on_epoch_end: Called as ``on_epoch_end(epoch, figures)`` after each epoch, from 1; ends
                training if it returns True.
            **preparation: Arguments of `prepare`, where what else may be raised is told too.

        Returns:
            `history`.

        Raises:
            SupernetError: The loss is no finite number any more.
        """
        self.prepare(x, y, **preparation)
        search = self._prepared()
        with epoch_bar(search.schedule.epochs, search.epochs_done, shown=progress) as show:
            more = self._more()
            while more:
                more = self.advance()
                show(self.history[-1])
                if on_epoch_end is not None and on_epoch_end(search.epochs_done, self.history[-1]):
                    break
        return self.history

    def advance(self) -> bool:
        """Train for an epoch, and after the last select if need be; True while there is more.

        Raises:
            SupernetError: `prepare` was not called, or the loss is no finite number any more.
        """
        search = self._prepared()
        if not self._more():
            return False
        if search.epochs_done < search.schedule.epochs:
            self._train_epoch(search)
        if search.epochs_done == search.schedule.epochs and self._selection_is_due():
            self.select_by_perturbation()
        return self._more()

    def _train_epoch(self, search: BilevelSearch) -> None:
        metrics: dict[str, Any] = dict(search.epoch())
        epoch, record = search.epochs_done, self._record
        self._check_finite(metrics, epoch)
        record.alphas.append(search.alphas)
        if self._eigenvalue_every and epoch % self._eigenvalue_every == 0 and search.alphas:
            record.eigenvalues[epoch] = search.eigenvalue()
            record.chosen = self._findings.earlier(record)
        was_well = not record.history or not record.history[-1]["collapsed"]
        health = self._findings.health(record)
        if health.collapsed and was_well:
            _logger.warning("Epoch %d of the supernet: %s.", epoch, health.reason)
        record.history.append({"epoch": epoch, **metrics, **health.as_dict()})
        self._stopped = record.chosen is not None
        self._save()

    def select_by_perturbation(
        self, *, tune_epochs: int = 1, learning_rate: float = 0.0025
    ) -> Genotype:
        """Choose the alternatives that the supernet can least do without (DARTS-PT).

        Wang et al. 2021, algorithm 1, by the validation loss in place of the accuracy. It trains
        the weights on, and `genotype` and `logits` follow it afterwards. The policy "even" does so
        by itself at the end of its training.

        Args:
            tune_epochs: Epochs of training after each decision; the paper's 5 for its larger sets.
            learning_rate: Then.
        """
        search = self._prepared()
        self._record.selected = self._findings.select(
            self._record,
            search.quality,
            lambda gates: search.tune(gates, tune_epochs, learning_rate),
            search.rng,
        )
        if self._record.history:
            self._record.history[-1] |= self._findings.health(self._record).as_dict()
        self._save()
        return self._findings.genotype(self._record)

    def _save(self) -> None:
        if self._file is not None:
            write_whole(self._file, self.checkpoint())

    def _check_finite(self, metrics: Mapping[str, Any], epoch: int) -> None:
        for name in ("loss", "val_loss"):
            if name in metrics and not math.isfinite(metrics[name]):
                kept = (
                    "begin with a new Supernet, and give checkpoint= to have a state to go back to"
                    if self._file is None
                    else f"{self._file} holds the state before this epoch"
                    if self._file.exists()
                    else "no epoch was completed"
                )
                self._search = None
                raise SupernetError(
                    f"The {name} became {metrics[name]} in epoch {epoch}. Lower learning_rate or "
                    f"clip_norm, and see that the features are scaled and finite; {kept}.",
                    metrics[name],
                )

    def _prepared(self) -> BilevelSearch:
        if self._search is None:
            raise SupernetError(
                "This supernet has no examples to learn from; call prepare(x, y) or fit(x, y)."
            )
        return self._search

    def _more(self) -> bool:
        search = self._prepared()
        trained = search.epochs_done >= search.schedule.epochs
        return not self._stopped and (not trained or self._selection_is_due())

    def _selection_is_due(self) -> bool:
        return self.policy.selects and self._record.selected is None

    # --- checkpoints --------------------------------------------------------------------------

    def checkpoint(self) -> bytes:
        """The state of training, for `restore`.

        Raises:
            SupernetError: `prepare` was not called.
        """
        if self._search is None and self._restored is not None:
            return self._restored.to_bytes()
        return pack(self.network, self._prepared(), self._record, self._split).to_bytes()

    def restore(self, state: bytes) -> None:
        """Become as it was at `checkpoint`.

        Without examples it can evaluate and extract; `prepare` then goes on from here.

        Raises:
            SupernetError: It is no checkpoint, or one of another supernet.
        """
        checkpoint = Checkpoint.from_bytes(state)
        restore_weights(checkpoint, self.network)
        self._record = restore_record(checkpoint)
        if self._search is None:
            self._restored = checkpoint
        else:
            restore_search(checkpoint, self._search)
            self._stopped = self._record.chosen is not None
