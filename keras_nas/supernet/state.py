"""What a supernet's training has come to, and how it becomes a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_nas._keras import keras
from keras_nas.supernet.adam import Arrays
from keras_nas.supernet.checkpoint import Checkpoint, grouped, in_order, numbered
from keras_nas.supernet.network import SuperNetwork
from keras_nas.supernet.search import BilevelSearch
from optuna_nas.errors import SupernetError
from optuna_nas.space.decisions import Value

Halves = tuple[NDArray[np.int64], NDArray[np.int64]]


@dataclass
class Record:
    """What is known of the epochs that are done.

    Args:
        history: Figures of each epoch.
        alphas: After each epoch.
        eigenvalues: Dominant eigenvalue of the Hessian, by epoch, where measured.
        chosen: The epoch whose alphas count, where it is not the last.
        selected: The architecture that was selected by perturbation.
    """

    history: list[dict[str, Any]] = field(default_factory=list)
    alphas: list[Arrays] = field(default_factory=list)
    eigenvalues: dict[int, float] = field(default_factory=dict)
    chosen: int | None = None
    selected: dict[str, Value] | None = None


def pack(
    network: SuperNetwork, search: BilevelSearch, record: Record, split: Halves | None
) -> Checkpoint:
    """All that training needs to go on exactly as it would have."""
    arrays = {
        **grouped("weights", numbered([_array(v) for v in network.variables])),
        **grouped("velocity", numbered(search.steps.velocity)),
        **grouped("alphas", search.alphas),
        **grouped("means", search.adam.means),
        **grouped("squares", search.adam.squares),
        **grouped("split", numbered(list(split or ()))),
    }
    for number, alphas in enumerate(record.alphas):
        arrays |= grouped(f"epoch {number}", alphas)
    facts = {
        "space": network.graph.space.fingerprint,
        "epochs_done": search.epochs_done,
        "adam_steps": search.adam.steps,
        "rng": search.rng.bit_generator.state,
        "examples": len(search.training),
        "history": record.history,
        "eigenvalues": list(record.eigenvalues.items()),
        "chosen": record.chosen,
        "selected": record.selected,
    }
    return Checkpoint(arrays, facts)


def restore_weights(checkpoint: Checkpoint, network: SuperNetwork) -> None:
    """Give a network the weights of a checkpoint.

    Raises:
        SupernetError: It was made of another supernet.
    """
    weights = in_order(checkpoint.group("weights"))
    variables = network.variables
    same = [tuple(v.shape) for v in variables] == [w.shape for w in weights]
    if checkpoint.facts["space"] != network.graph.space.fingerprint or not same:
        raise SupernetError(
            f"The checkpoint is of another supernet than this one of space "
            f"{network.graph.space.name!r}; make it of the same space with the same affine=, or "
            "begin with another file.",
            network.graph.space.name,
        )
    for variable, array in zip(variables, weights, strict=True):
        variable.assign(array)


def restore_record(checkpoint: Checkpoint) -> Record:
    """What is known of the epochs that a checkpoint has behind it."""
    facts = checkpoint.facts
    return Record(
        list(facts["history"]),
        [checkpoint.group(f"epoch {number}") for number in range(facts["epochs_done"])],
        {int(epoch): float(value) for epoch, value in facts["eigenvalues"]},
        facts["chosen"],
        facts["selected"],
    )


def restored_split(checkpoint: Checkpoint) -> Halves | None:
    """Which examples train weights and which alphas; None where that wasn't drawn."""
    split = in_order(checkpoint.group("split"))
    return (split[0], split[1]) if split else None


def restore_search(checkpoint: Checkpoint, search: BilevelSearch) -> None:
    """Take training to where a checkpoint was made.

    Raises:
        SupernetError: It was made with another number of examples.
    """
    facts = checkpoint.facts
    if facts["examples"] != len(search.training):
        raise SupernetError(
            f"The checkpoint was made with {facts['examples']} examples for the weights, now there "
            f"are {len(search.training)}; go on with the same data, or begin with another file.",
            facts["examples"],
        )
    search.steps.velocity = in_order(checkpoint.group("velocity"))
    search.alphas = checkpoint.group("alphas")
    search.adam.means = checkpoint.group("means")
    search.adam.squares = checkpoint.group("squares")
    search.adam.steps = facts["adam_steps"]
    search.epochs_done = facts["epochs_done"]
    search.rng.bit_generator.state = facts["rng"]


def _array(variable: Any) -> NDArray[Any]:
    array: NDArray[Any] = keras.ops.convert_to_numpy(variable)
    return array
