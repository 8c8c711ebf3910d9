"""`NASHyperModel`: a declared space as the hypermodel of any Keras Tuner."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_nas._keras import keras
from keras_nas._keras_tuner import keras_tuner
from keras_nas.augmentation import Augmentation
from keras_nas.augmented_batches import AugmentedBatches
from keras_nas.build import build_model
from keras_nas.hyperparameters import declare, genotype_from, read_genotype
from optuna_nas.errors import InfeasibleArchitectureError, NASError, SpaceError
from optuna_nas.space import Genotype, SearchSpace
from optuna_nas.space.names import TRAINING

Settings = Mapping[str, Any]
"""What a space decides about training, under the last part of each name."""
MakeOptimizer = Callable[[Settings], Any]

_COMPILED = ("label_smoothing", "learning_rate", "momentum", "optimizer", "weight_decay")
_AUGMENTED = ("crop", "cutout", "flip")
_FITTED = (*_AUGMENTED, "batch_size", "epochs", "patience", "schedule")
_MOMENTUM = 0.9
_LOSSES = {
    "binary_crossentropy": keras.losses.BinaryCrossentropy,
    "categorical_crossentropy": keras.losses.CategoricalCrossentropy,
    "sparse_categorical_crossentropy": keras.losses.SparseCategoricalCrossentropy,
}


class NASHyperModel(keras_tuner.HyperModel):
    """The networks of a space, for `keras_tuner.RandomSearch` and all other tuners.

    Every decision of the space is a hyperparameter of the same name, in conditional scopes that
    follow the space. A trial whose architecture is infeasible fails with the reason and is not
    retried; Keras Tuner ends a search after ``max_consecutive_failed_trials`` (3) of them, so raise
    that for a space in which many are.

    Decisions of the space about training apply: learning_rate, weight_decay, momentum, optimizer
    and label_smoothing where the model is compiled, and batch_size, epochs, patience, schedule and
    the changes of images by flip, crop and cutout in `fit`, where they take precedence over what
    was passed to ``search``. A tuner given the bound method ``build`` instead of this object does
    not call `fit`, and so leaves out the latter. "sgd", where the space decides it, has Nesterov's
    momentum, 0.9 unless that is decided too; weight decay leaves biases and normalisations alone:
    both as in `keras_nas.train`.

    Override `fit`, or let ``optimizer`` be a function, for decisions of other names.

    Args:
        space: What may be chosen.
        optimizer: Name of a Keras optimizer, an optimizer (each model gets one like it), or a
            function of the space's decisions about training that returns one.
        loss: Name of a Keras loss, or a loss. The networks give logits: of the cross-entropies,
            names mean those of logits.
        metrics: Names of Keras metrics, or metrics.
        name: Name of the hypermodel; the space's where left out.
        tunable: As in `keras_tuner.HyperModel`: False takes the default of every decision that is
            not declared elsewhere.

    Raises:
        SpaceError: The space has a decision about training that nothing would apply.
        NASError: The loss is one of probabilities.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        optimizer: str | keras.optimizers.Optimizer | MakeOptimizer = "adam",
        loss: str | keras.losses.Loss = "sparse_categorical_crossentropy",
        metrics: Sequence[str | keras.metrics.Metric] = ("accuracy",),
        name: str | None = None,
        tunable: bool = True,
    ) -> None:
        super().__init__(name=name or space.name, tunable=tunable)
        self.space = space
        self._optimizer = optimizer
        self._loss = loss
        self._metrics = tuple(metrics)
        self._check()

    def declare_hyperparameters(self, hp: keras_tuner.HyperParameters) -> None:
        """Register every decision of the space, so that a tuner need not build models to find it.

        Keras Tuner calls this once, when a tuner is made.
        """
        if self.tunable:
            declare(self.space, hp)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """A compiled model, which holds ``genotype`` and its graph, ``architecture``.

        Keras Tuner calls this for every trial; inside of other hypermodels call it as any other.

        Raises:
            FailedTrialError: The architecture is infeasible.
        """
        genotype = genotype_from(self.space, hp)
        try:
            model = build_model(self.space.graph(genotype).pruned())
        except InfeasibleArchitectureError as error:
            raise keras_tuner.errors.FailedTrialError(f"Infeasible: {error}") from error
        model.genotype = genotype
        settings = self.space.training(genotype)
        model.compile(
            optimizer=self._make_optimizer(settings, model),
            loss=self._make_loss(settings),
            metrics=[_fresh(metric) for metric in self._metrics],
        )
        # With its variables made, the optimizer's state is restored with the weights of a trial.
        model.optimizer.build(model.trainable_variables)
        return model

    def fit(
        self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any
    ) -> Any:
        """Train as the space decided, and else as ``search`` was told.

        Keras Tuner calls this with the arguments of ``search``. Patience counts epochs without a
        smaller validation loss and ends with the weights of the best; a cosine schedule takes a
        step an epoch. The epochs that Hyperband gives a trial are kept.

        Returns:
            The `keras.callbacks.History`.
        """
        settings = self.space.training(self.genotype(hp))
        arguments = inspect.signature(model.fit).bind(*args, **kwargs).arguments
        for name in ("batch_size", "epochs"):
            if name in settings and not (name == "epochs" and "tuner/epochs" in hp.values):
                arguments[name] = settings[name]
        callbacks = list(arguments.get("callbacks") or ())
        if settings.get("schedule") == "cosine":
            # Of a model that Hyperband loaded, the rate has fallen already: ask a new optimizer.
            first = float(self._make_optimizer(settings, model).learning_rate)
            callbacks.append(_cosine(first, arguments.get("epochs", 1)))
        if "patience" in settings:
            callbacks.append(
                keras.callbacks.EarlyStopping(
                    "val_loss", patience=settings["patience"], restore_best_weights=True
                )
            )
        return model.fit(**{**_augmented(arguments, settings), "callbacks": callbacks})

    def genotype(self, hp: keras_tuner.HyperParameters) -> Genotype:
        """The genotype of a trial's ``hyperparameters``, which stay as they are.

        Raises:
            GenotypeError: ``hp`` has values, and not all of an architecture of this space.
        """
        if hp.values and self.tunable:
            return read_genotype(self.space, hp)
        return genotype_from(self.space, hp.copy())

    def _check(self) -> None:
        """Every decision about training is applied by someone, and the loss takes logits."""
        prefix = f"{TRAINING}/"
        decided = {
            name.rsplit("/", 1)[-1]
            for name in self.space.distributions()
            if name.startswith(prefix)
        }
        overridden = type(self).fit is not NASHyperModel.fit or callable(self._optimizer)
        unknown = sorted(decided - {*_COMPILED, *_FITTED})
        if unknown and not overridden:
            raise SpaceError(
                f"The decision about training {unknown[0]!r} would have no effect: NASHyperModel "
                f"applies {', '.join(sorted((*_COMPILED, *_FITTED)))}. Override fit, or give "
                "optimizer a function, to apply others.",
                unknown[0],
            )
        if "label_smoothing" in decided and self._loss not in _LOSSES:
            raise SpaceError(
                "The space decides label_smoothing, which is applied to losses given by the names "
                f"{', '.join(_LOSSES)}; got {self._loss!r}.",
                self._loss,
            )
        if getattr(self._loss, "from_logits", True) is False:
            raise NASError(
                f"loss must take logits, which the networks give, got {self._loss!r}; make it with "
                "from_logits=True.",
                self._loss,
            )

    def _make_optimizer(self, settings: Settings, model: keras.Model) -> keras.optimizers.Optimizer:
        if callable(self._optimizer):
            return self._optimizer(settings)
        optimizer = keras.optimizers.get(settings.get("optimizer", self._optimizer))
        config = optimizer.get_config()
        config |= {k: settings[k] for k in ("learning_rate", "weight_decay") if k in settings}
        if "nesterov" in config and {"momentum", "optimizer"} & settings.keys():
            momentum = settings.get("momentum", _MOMENTUM)
            config |= {"momentum": momentum, "nesterov": momentum > 0}
        made = type(optimizer).from_config(config)
        if "weight_decay" in settings:
            # Biases and normalisations are left alone, as `keras_nas.train` does.
            vectors = [v for v in model.trainable_variables if len(v.shape) < 2]
            if vectors:
                made.exclude_from_weight_decay(var_list=vectors)
        return made

    def _make_loss(self, settings: Settings) -> Any:
        if self._loss not in _LOSSES:
            return self._loss
        smoothing = settings.get("label_smoothing")
        if smoothing is None:
            return _LOSSES[self._loss](from_logits=True)
        if self._loss == "sparse_categorical_crossentropy":
            return _smoothed(float(smoothing))
        return _LOSSES[self._loss](from_logits=True, label_smoothing=smoothing)


def _augmented(arguments: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Arguments of ``model.fit`` with examples that change as the space decided.

    Raises:
        NASError: The examples are no arrays, or a part of them is to be held back.
    """
    augmentation = Augmentation(**{key: settings[key] for key in _AUGMENTED if key in settings})
    if augmentation.is_neutral:
        return dict(arguments)
    x, y = arguments.get("x"), arguments.get("y")
    if not isinstance(x, np.ndarray) or not isinstance(y, np.ndarray):
        raise NASError(
            "flip, crop and cutout change NumPy arrays of examples; search needs x and y as such, "
            f"got {type(x).__name__} and {type(y).__name__}.",
            x,
        )
    for name in ("validation_split", "sample_weight"):
        if np.any(arguments.get(name, 0)):
            raise NASError(
                f"flip, crop and cutout do not go with {name}; search needs validation_data.", name
            )
    batches = AugmentedBatches(x, y, arguments.get("batch_size") or 32, augmentation)
    left_out = ("y", "batch_size", "shuffle")
    return {**{k: v for k, v in arguments.items() if k not in left_out}, "x": batches}


def _smoothed(smoothing: float) -> Callable[[Any, Any], Any]:
    """Keras smooths one-hot labels only; this does it for classes as integers."""

    def smoothed_crossentropy(labels: Any, logits: Any) -> Any:
        classes = keras.ops.reshape(keras.ops.cast(labels, "int32"), (-1,))
        return keras.losses.categorical_crossentropy(
            keras.ops.one_hot(classes, logits.shape[-1]),
            logits,
            from_logits=True,
            label_smoothing=smoothing,
        )

    return smoothed_crossentropy


def _cosine(first: float, epochs: int) -> keras.callbacks.Callback:
    """Half a cosine from the first learning rate to zero (Loshchilov & Hutter 2017, eq. 5)."""

    def rate(epoch: int, _current: float) -> float:
        return first * 0.5 * (1 + math.cos(math.pi * epoch / epochs))

    return keras.callbacks.LearningRateScheduler(rate)


def _fresh(metric: Any) -> Any:
    """A metric like the given one; a model's metrics keep its counts."""
    if isinstance(metric, keras.metrics.Metric):
        return type(metric).from_config(metric.get_config())
    return metric
