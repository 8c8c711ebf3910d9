"""The one registry from operation names to Keras layers, open to blocks of a user's own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, TypeVar, overload

import numpy as np

from keras_nas._keras import keras
from keras_nas.blocks.costs import MeasuredBlock, Measures
from keras_nas.blocks.layers import BUILDERS
from keras_nas.isolation.errors import describe
from optuna_nas.errors import InfeasibleArchitectureError, NASError, OperationError
from optuna_nas.graph import LayerSpec, Operation, Shape, operation_names, register_operation
from optuna_nas.graph.operations import Attributes, CountRule, ShapeRule

F = TypeVar("F", bound=Callable[..., Any])
_OWN: dict[str, UserBlock] = {}
_PROBES_KEPT = 512


@dataclass(frozen=True)
class UserBlock:
    """A block of a user's own.

    Args:
        name: The operation's name.
        build: ``build(**attributes)`` gives a Keras layer, or a function of Keras tensors.
    """

    name: str
    build: Callable[..., Any]

    def layer(self, name: str, attributes: Attributes, inputs: Sequence[Shape]) -> Any:
        """A new Keras layer called ``name``."""
        piece = self.build(**attributes)
        if isinstance(piece, keras.layers.Layer):
            piece.name = name
            return piece
        if not callable(piece):
            raise OperationError(
                f"Block {self.name!r}: build must return a keras Layer or a function of tensors, "
                f"got {piece!r}.",
                piece,
            )
        tensors: Any = [keras.Input(shape) for shape in inputs]
        if len(tensors) == 1:
            (tensors,) = tensors
        return keras.Model(tensors, piece(tensors), name=name)


@dataclass(frozen=True)
class BlockOperation(Operation):
    """The graph's side of a user's block; its attributes are the arguments of ``build``."""

    signature: inspect.Signature | None = None

    def attributes(self, given: Attributes) -> dict[str, Any]:
        """Check attributes against the arguments of ``build`` and fill in its defaults."""
        if self.signature is None:
            return dict(given)
        try:
            bound = self.signature.bind(**given)
        except TypeError as error:
            raise OperationError(f"Block {self.name!r}: {error}.", dict(given)) from None
        bound.apply_defaults()
        return {key: bound.arguments[key] for key in bound.arguments}


@overload
def register_block(
    name: str,
    *,
    output_shape: ShapeRule | None = ...,
    params: CountRule | None = ...,
    macs: CountRule | None = ...,
) -> Callable[[F], F]: ...


@overload
def register_block(
    name: str,
    build: F,
    *,
    output_shape: ShapeRule | None = ...,
    params: CountRule | None = ...,
    macs: CountRule | None = ...,
) -> F: ...


def register_block(
    name: str,
    build: Callable[..., Any] | None = None,
    *,
    output_shape: ShapeRule | None = None,
    params: CountRule | None = None,
    macs: CountRule | None = None,
) -> Any:
    """Add a block of your own, for use in spaces as ``layer(name, **attributes)``.

    Works as a call or as a decorator. Where a rule is left out, the block is built once for each
    combination of attributes and input shapes and asked; the answers are kept. A batch
    normalisation inside of the block should have ``momentum=0.9``: Keras's default of 0.99 is
    blind after a short training.

    Args:
        name: The operation's name: letters, digits and underscores.
        build: ``build(**attributes)`` returns a new Keras layer (or model), or a function from
            Keras tensors to a Keras tensor. A block that reads several tensors gets a list.
        output_shape: ``(attributes, input shapes) -> shape``, shapes without the batch.
        params: ``(attributes, input shapes) -> int``, trainable scalars.
        macs: ``(attributes, input shapes) -> int``, multiply-accumulates for one example. Needed
            where the block multiplies matrices outside of Keras's own layers.

    Returns:
        ``build``, or a decorator that takes it.

    Raises:
        OperationError: Another operation has the name.
    """
    if build is None:
        return lambda function: register_block(
            name, function, output_shape=output_shape, params=params, macs=macs
        )
    known = _OWN.get(name)
    if name in operation_names() and not (known and _origin(known.build) == _origin(build)):
        raise OperationError(
            f"register_block: an operation named {name!r} exists already; choose another name.",
            name,
        )
    block = UserBlock(name, build)

    @lru_cache(maxsize=_PROBES_KEPT)
    def probe(attributes: tuple[tuple[str, Any], ...], inputs: tuple[Shape, ...]) -> Measures:
        # Numbers only: a block may be as large as a whole network.
        built = MeasuredBlock(name, block.layer(name, dict(attributes), inputs), inputs)
        return built.measures(macs=macs is None)

    def measured(attributes: Attributes, inputs: Sequence[Shape]) -> Measures:
        try:
            return probe(tuple(sorted(attributes.items())), tuple(map(tuple, inputs)))
        except NASError:
            raise
        except Exception as error:  # the user's code; samplers and spaces know this one
            raise InfeasibleArchitectureError(
                f"block {name!r} can't be built with {dict(attributes)}: {describe(error)[0]}",
                name,
            ) from error

    operation = BlockOperation(
        name,
        output_shape or (lambda a, i: measured(a, i).output_shape),
        params or (lambda a, i: measured(a, i).params),
        lambda a, i: measured(a, i).non_trainable_params,
        macs or (lambda a, i: measured(a, i).macs),
        signature=_signature(build),
    )
    register_operation(operation, replace=known is not None)
    _OWN[name] = block
    return build


def _signature(build: Callable[..., Any]) -> inspect.Signature | None:
    """The arguments of ``build`` where they are few and named."""
    signature = inspect.signature(build)
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    open_ended = {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}
    return None if kinds & open_ended else signature


def _origin(build: Callable[..., Any]) -> object:
    """Where a function was defined; equal for the same script imported again."""
    module = getattr(build, "__module__", None)
    # Spawned processes import the main script under another name.
    module = "__main__" if module == "__mp_main__" else module
    name = getattr(build, "__qualname__", None)
    if name is None:
        return id(build)
    return (module, name, build.__code__) if name.endswith("<lambda>") else (module, name)


def user_blocks() -> Mapping[str, UserBlock]:
    """The blocks registered by users, by name; not to be modified."""
    return MappingProxyType(_OWN)


def make_layer(spec: LayerSpec, inputs: Sequence[Shape]) -> Any:
    """A new Keras layer for a layer specification, bearing its name.

    Args:
        spec: The layer's specification.
        inputs: Shapes of its inputs, without the batch.

    Raises:
        OperationError: No block is registered for the operation.
    """
    attributes = {key: _plain(value) for key, value in spec.attributes.items()}
    if spec.op in _OWN:
        return _OWN[spec.op].layer(spec.name, attributes, inputs)
    if spec.op in BUILDERS:
        return BUILDERS[spec.op](spec.name, attributes, inputs)
    raise OperationError(
        f"Layer {spec.name!r}: no Keras layer is known for the operation {spec.op!r}; "
        "register one with keras_nas.register_block.",
        spec.op,
    )


def _plain(value: Any) -> Any:
    """Plain Python values: Keras refuses NumPy's integers."""
    if isinstance(value, np.generic):
        return value.item()
    return tuple(map(_plain, value)) if isinstance(value, (tuple, list)) else value
