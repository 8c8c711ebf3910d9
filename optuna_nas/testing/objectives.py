"""Objectives that take no time, for suites: flat, conditional and nested ones."""

from __future__ import annotations

from collections.abc import Hashable

from optuna.trial import FixedTrial, FrozenTrial, Trial

OPERATIONS = ("conv", "pool", "skip")
ARCHITECTURES = 3 + 9  # of `small_objective`: one or two layers with three operations each


def small_objective(trial: Trial | FixedTrial) -> float:
    """A conditional parameter and 12 architectures; the best value is 4."""
    layers = trial.suggest_int("layers", 1, 2)
    chosen = [trial.suggest_categorical(f"layer{i}", OPERATIONS) for i in range(layers)]
    return float(sum(OPERATIONS.index(operation) for operation in chosen))


def large_objective(trial: Trial | FixedTrial) -> float:
    """Eight parameters and 4**8 architectures; the best value is 24."""
    return float(sum(trial.suggest_categorical(f"edge{i}", (0, 1, 2, 3)) for i in range(8)))


def deep_objective(trial: Trial | FixedTrial) -> float:
    """Depth 1 to 8, each layer with one of three operations: 9,840 architectures.

    The best has depth 5 and the operations alternate: value 5. Layers beyond the fifth cost one
    each, so that depth and operations have to be found together.
    """
    depth = trial.suggest_int("depth", 1, 8)
    chosen = [trial.suggest_categorical(f"op{i}", OPERATIONS) for i in range(depth)]
    right = sum(operation == OPERATIONS[i % 2] for i, operation in enumerate(chosen))
    return float(right - 2 * max(depth - 5, 0))


def nested_objective(trial: Trial | FixedTrial) -> float:
    """Stages of blocks of which one kind has a width and, if wide, a rate; the best value is 12.

    Three levels of decisions that exist only under others, of every type.
    """
    value = 0.0
    for stage in range(trial.suggest_int("stages", 1, 3)):
        if trial.suggest_categorical(f"stage{stage}", ("block", "skip")) == "skip":
            continue
        width = trial.suggest_int(f"width{stage}", 8, 32, step=8)
        value += width / 16
        if width >= 24:
            value += 2 - 2 * trial.suggest_float(f"rate{stage}", 0.0, 1.0)
    return value


def architecture_of(trial: FrozenTrial | Trial) -> Hashable:
    """What equal trials share: their parameters, in any order."""
    return frozenset(trial.params.items())
