"""What a user registered in this process, so that worker processes can be told of it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from optuna_nas.export import rules
from optuna_nas.graph import operations

Registrations = dict[str, dict[str, Any]]


def registrations() -> Registrations:
    """Blocks, operations and ONNX rules that did not come with this project, by kind and name."""
    return {
        "blocks": _own_blocks(),
        "operations": {
            name: operation
            for name in operations.operation_names()
            if _is_own((operation := operations.get_operation(name)).output_shape)
            and name not in _own_blocks()
        },
        "rules": {
            name: rule for name, rule in rules.registered_rules().items() if _is_own(rule.write)
        },
    }


def restore(registered: Registrations) -> None:
    """Register what `registrations` found elsewhere and this process lacks.

    What comes from a module that can be imported is here already: unpickling it imported the
    module, which registered it.
    """
    for name, operation in registered["operations"].items():
        if name not in operations.operation_names():
            operations.register_operation(operation)
    for name, rule in registered["rules"].items():
        if name not in rules.supported_operations():
            rules.register_rule(name, rule)
    if registered["blocks"]:
        from keras_nas.blocks import register_block

        for name, build in registered["blocks"].items():
            if name not in operations.operation_names():
                register_block(name, build)


def _own_blocks() -> dict[str, Callable[..., Any]]:
    # Importing the registry would bring Keras; where nobody has done so, nobody has registered.
    registry = sys.modules.get("keras_nas.blocks.registry")
    return {} if registry is None else {n: b.build for n, b in registry.user_blocks().items()}


def _is_own(function: Callable[..., Any]) -> bool:
    module = str(getattr(function, "__module__", ""))
    return module.split(".")[0] not in ("optuna_nas", "keras_nas")
