"""Keras Tuner's hypermodels as blocks of a declared space.

`HyperResNet` and its like, or any hypermodel of a user's own, become a block whose decisions are
the hypermodel's hyperparameters. From there on it is a block like any other: alternatives beside
it, counts, identity, export.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from optuna.distributions import CategoricalDistribution, IntDistribution

from keras_nas._keras import keras
from keras_nas._keras_tuner import keras_tuner
from keras_nas.blocks import register_block
from keras_nas.discovery import Build, Found, discover, is_constant
from keras_nas.distributions import distribution_of
from optuna_nas.errors import InfeasibleArchitectureError, OperationError
from optuna_nas.space import Choice, Float, Integer, Node, Scope, When, layer

_SIZES = {"B0": 224, "B1": 240, "B2": 260, "B3": 300, "B4": 380, "B5": 456, "B6": 528, "B7": 600}


def hypermodel_block(
    name: str,
    hypermodel: Any,
    *,
    output: str | None = None,
    exclude: Collection[str] = (),
    momentum: float | None = 0.9,
) -> Node:
    """Register a hypermodel as a block, and declare it with its hyperparameters as decisions.

    The hypermodel is built a few times to find its hyperparameters, and on which others each
    depends (see `keras_nas.discovery`). A decision is named as its hyperparameter, below the place
    where the block stands. Of a hypermodel with a head of its own, name the ``output`` before it
    and ``exclude`` what it decides about the head and the training.

    Args:
        name: The operation's name, as in `register_block`. Another process has to make the same
            call before it reads the space from JSON; workers of this project do so by themselves.
        hypermodel: A `keras_tuner.HyperModel`, or a function ``build(hp)``, that gives a model
            with one input and one output. It need not be compiled. The block fits where its input
            has the model's shape.
        output: Name of the model's layer whose output is the block's; the model's own by default.
        exclude: Hyperparameters that are no decisions and keep their defaults.
        momentum: Momentum of every batch normalisation inside; Keras's own 0.99 is blind after a
            short training. None leaves them as they are.

    Returns:
        A node to put into a space, as often as you like.

    Raises:
        SpaceError: The hypermodel can't be built with its defaults, or a name has two meanings.
        OperationError: Another operation has the name, or the model has several inputs or outputs.
    """
    build_network = _builder(hypermodel)
    found = discover(build_network)
    if unknown := sorted(set(exclude) - set(found)):
        raise OperationError(
            f"hypermodel_block: exclude names {unknown[0]!r}, but the hypermodel's hyperparameters "
            f"are {', '.join(found)}.",
            unknown[0],
        )

    def build(**values: Any) -> Callable[[Any], Any]:
        def apply(x: Any) -> Any:
            model = _cut(name, _built(name, build_network, values, exclude), output)
            if momentum is not None:
                _set_momentum(model, momentum)
            _check_input(name, model, tuple(x.shape[1:]))
            return model(x)

        return apply

    # So that a script or a notebook cell that runs again registers the same block again.
    origin = hypermodel if hasattr(hypermodel, "__qualname__") else type(hypermodel)
    build.__module__, build.__qualname__ = origin.__module__, origin.__qualname__
    register_block(name, build)
    return layer(name, **_attributes(found, exclude))


class EfficientNet(keras_tuner.HyperModel):  # type: ignore[misc, unused-ignore]
    """`keras_tuner.applications.HyperEfficientNet` without its head, and without a download.

    Keras Tuner's own hypermodel always fetches the weights of ImageNet. Its decisions are kept:
    ``version``, ``pooling`` and ``top_dropout_rate`` (Tan & Le 2019, arXiv:1905.11946).

    Args:
        input_shape: (height, width, channels); images, of values from 0 to 255, are resized to the
            version's own size.
        versions: Some of "B0" to "B7"; cost grows from 0.4 to 37 billion multiply-accumulates.
        weights: None for new ones, "imagenet" to download them, or a path, as in
            `keras.applications`.
        image_size: Size that all versions work at, in place of each one's own.
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        versions: tuple[str, ...] = tuple(_SIZES),
        *,
        weights: str | None = None,
        image_size: int | None = None,
    ) -> None:
        super().__init__(name="efficient_net")
        unknown = sorted(set(versions) - set(_SIZES))
        if unknown or not versions:
            raise OperationError(
                f"EfficientNet: versions must be some of {', '.join(_SIZES)}, got {versions!r}.",
                versions,
            )
        self.input_shape = input_shape
        self.versions = versions
        self.weights = weights
        self.image_size = image_size

    def build(self, hp: Any) -> Any:
        version = hp.Choice("version", list(self.versions))
        pooling = hp.Choice("pooling", ["avg", "max"])
        rate = hp.Float("top_dropout_rate", 0.2, 0.8, step=0.2)
        size = self.image_size or _SIZES[version]
        inputs = keras.Input(self.input_shape)
        make = getattr(keras.applications.efficientnet, f"EfficientNet{version}")
        x = inputs
        if tuple(self.input_shape[:2]) != (size, size):
            x = keras.layers.Resizing(size, size)(x)
        network = make(include_top=False, weights=self.weights, input_tensor=x, pooling=pooling)
        outputs = keras.layers.Dropout(rate, name="top_dropout")(network.output)
        return keras.Model(inputs, outputs, name="efficient_net")


def _builder(hypermodel: Any) -> Build:
    declared = isinstance(hypermodel, keras_tuner.HyperModel)
    if not declared and not callable(hypermodel):
        raise OperationError(
            f"hypermodel must be a keras_tuner.HyperModel or a function build(hp), got "
            f"{hypermodel!r}.",
            hypermodel,
        )

    def build(hp: Any) -> Any:
        if not declared:
            return _trainable(hypermodel(hp))
        hypermodel.declare_hyperparameters(hp)
        return _trainable(hypermodel.build(hp))

    return build


def _trainable(model: Any) -> Any:
    """The model, unless it is one that can't be trained."""
    for one in model._flatten_layers() if isinstance(model, keras.Model) else ():
        kind = type(one)
        if kind.__name__ == "RandAugment" and kind.__module__.startswith("keras_tuner"):
            raise OperationError(
                "HyperImageAugment(augment_layers=...) can't be trained: Keras Tuner's RandAugment "
                "makes new layers each time it is called. Set augment_layers=0, or put Keras's own "
                "keras.layers.RandAugment into a hypermodel.",
                one,
            )
    return model


def _built(name: str, build: Build, values: Mapping[str, Any], exclude: Collection[str]) -> Any:
    """The hypermodel's model for these values."""
    hp = keras_tuner.HyperParameters()
    hp.values = dict(values)
    model = build(hp)
    for asked in hp.space:
        settled = asked.name in values or asked.name in exclude or is_constant(asked)
        if hp.is_active(asked) and not settled:
            raise OperationError(
                f"Block {name!r}: with {dict(values)} its hypermodel asks for the hyperparameter "
                f"{asked.name!r}, which it did not do when the block was declared. Ask for it "
                "inside of hp.conditional_scope(...) in every build.",
                asked.name,
            )
    if not isinstance(model, keras.Model) or len(model.inputs or ()) != 1:
        raise OperationError(
            f"Block {name!r}: its hypermodel must build a functional or sequential keras.Model "
            f"with one input, got {model!r}.",
            model,
        )
    return model


def _cut(name: str, model: Any, output: str | None) -> Any:
    """The model up to the layer called ``output``."""
    if output is not None:
        layers = {one.name: one for one in model.layers}
        if output not in layers:
            raise OperationError(
                f"Block {name!r}: output must be a layer of its model, got {output!r}; it has "
                f"{', '.join(layers)}.",
                output,
            )
        model = keras.Model(model.inputs, layers[output].output, name=model.name)
    if len(model.outputs) != 1:
        raise OperationError(
            f"Block {name!r}: its model has {len(model.outputs)} outputs; name one layer by "
            "output=.",
            name,
        )
    return model


def _check_input(name: str, model: Any, shape: tuple[int, ...]) -> None:
    expected = tuple(model.input_shape[1:])
    fits = len(expected) == len(shape) and all(
        size in (None, given) for size, given in zip(expected, shape, strict=True)
    )
    if not fits:
        raise InfeasibleArchitectureError(
            f"Block {name!r}: its hypermodel takes inputs of shape {expected}, but {shape} comes "
            "in.",
            shape,
        )


def _set_momentum(model: Any, momentum: float) -> None:
    for one in model._flatten_layers():
        if isinstance(one, keras.layers.BatchNormalization):
            one.momentum = momentum


def _attributes(found: Mapping[str, Found], exclude: Collection[str]) -> dict[str, Node]:
    """Decisions by name of their hyperparameter, conditional ones behind those they hang on."""
    attributes: dict[str, Node] = {}
    settled: dict[str, Any] = {}
    for name, one in found.items():
        hyperparameter = one.hyperparameter
        left_out = one.parent in settled and settled[one.parent] not in one.values
        if left_out:
            settled[name] = None
        elif name in exclude or is_constant(hyperparameter):
            settled[name] = hyperparameter.default
        else:
            node = _node(hyperparameter)
            hangs = one.parent is not None and one.parent in attributes
            attributes[name] = When(str(one.parent), one.values, node) if hangs else node
    return attributes


def _node(hyperparameter: Any) -> Node:
    """A hyperparameter as a decision; parts of its name before a slash become scopes."""
    *scopes, name = hyperparameter.name.split("/")
    node = _decision(name, distribution_of(hyperparameter))
    for scope in reversed(scopes):
        node = Scope(scope, node)
    return node


def _decision(name: str, distribution: Any) -> Node:
    if isinstance(distribution, CategoricalDistribution):
        return Choice(name, list(distribution.choices))
    low, high, step, log = (getattr(distribution, k) for k in ("low", "high", "step", "log"))
    kind = Integer if isinstance(distribution, IntDistribution) else Float
    return kind(name, low, high, step, log)
