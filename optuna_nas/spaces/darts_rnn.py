"""The recurrent cell of DARTS (Liu et al. 2019), for texts.

At each step node 0 blends the last state with a proposal made of it and the input; every further
node blends a node before it with a proposal of its own, through a gate (Zilly et al. 2017); the new
state is the mean of the further nodes.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence

from optuna_nas.errors import GenotypeError
from optuna_nas.space import (
    Choice,
    Genotype,
    Node,
    SearchSpace,
    cropping1d,
    dropout,
    embedding,
    flatten,
    layer,
)
from optuna_nas.space.decisions import Value
from optuna_nas.spaces.arguments import check_counts, check_shape

OPERATIONS = {"tanh": "tanh", "relu": "relu", "sigmoid": "sigmoid", "identity": "linear"}
"""Names of the paper, and of Keras."""

NODES = 8


def darts_rnn(
    *,
    input_shape: Sequence[int] = (35,),
    classes: int = 10_000,
    vocabulary: int = 10_000,
    width: int = 850,
    units: int = 850,
    nodes: int = NODES,
    dropout_rate: float | None = None,
    training: Sequence[Node] = (),
    max_params: int | None = None,
    max_macs: int | None = None,
) -> SearchSpace:
    """The space of DARTS's recurrent cell: an embedding, the cell, and logits of its last state.

    The defaults are those of the paper's network for the Penn Treebank, which predicts the next of
    10,000 words. Its last layer shares the embedding's weights; here it has weights of its own.

    Args:
        input_shape: Number of words of a text, in a tuple.
        classes: Number of classes.
        vocabulary: Number of different words.
        width: Channels of the embedding.
        units: Channels of the state.
        nodes: Nodes behind node 0; the paper's 8.
        dropout_rate: Of the embedded words and of the last state; None: there is none.
        training: Decisions about training, searched together with the network.
        max_params: Most trainable parameters.
        max_macs: Most multiply-accumulates.

    Returns:
        A space of two decisions a node: ``operation1``, ``operation2``, ``input2`` and so on;
        node 1 can read node 0 alone.
    """
    check_shape(input_shape, "words")
    check_counts(1, vocabulary=vocabulary, width=width, units=units, nodes=nodes)
    cell = tuple(
        (
            Choice(f"operation{node}", OPERATIONS),
            Choice(f"input{node}", list(range(node))) if node > 1 else 0,
        )
        for node in range(1, nodes + 1)
    )
    dropped = [] if dropout_rate is None else [dropout(dropout_rate)]
    body: list[Node] = [
        embedding(vocabulary, width),
        *dropped,
        layer("darts_rnn", units=units, cell=cell),
        cropping1d((input_shape[0] - 1, 0)),
        flatten(),
        *dropped,
    ]
    return SearchSpace(
        "darts_rnn",
        input_shape=input_shape,
        classes=classes,
        body=body,
        training=training,
        max_params=max_params,
        max_macs=max_macs,
        references={name: from_genotype(text).params for name, text in PUBLISHED.items()}
        if nodes == NODES
        else None,
    )


def to_genotype(genotype: Mapping[str, object]) -> str:
    """The published text: ``Genotype(recurrent=[('relu', 0), ...], concat=range(1, 9))``."""
    nodes = sum(name.startswith("operation") for name in genotype)
    pairs = [
        (genotype[f"operation{node}"], genotype.get(f"input{node}", 0))
        for node in range(1, nodes + 1)
    ]
    return f"Genotype(recurrent={pairs}, concat=range(1, {nodes + 1}))"


def from_genotype(text: str) -> Genotype:
    """The genotype of a published text.

    Raises:
        GenotypeError: The text is not of that form.
    """
    found = re.fullmatch(
        r"Genotype\(recurrent=(\[.*\]), concat=range\(1, (\d+)\)\)", text.strip(), re.S
    )
    try:
        pairs = ast.literal_eval(found[1]) if found else []
        params: dict[str, Value] = {}
        for node, (operation, source) in enumerate(pairs, start=1):
            if operation not in OPERATIONS or source not in range(node):
                raise ValueError(f"node {node} can't read {source!r} through {operation!r}")
            params[f"operation{node}"] = operation
            if node > 1:
                params[f"input{node}"] = source
        if found is None or int(found[2]) != len(pairs) + 1:
            raise ValueError("it does not take the mean of all nodes but the first")
    except (SyntaxError, ValueError, TypeError) as error:
        raise GenotypeError(
            f"{text!r} is not the text of a recurrent cell ({error}); expected "
            "'Genotype(recurrent=[(operation, source), ...], concat=range(1, nodes + 1))' with "
            f"operations among {', '.join(OPERATIONS)}.",
            text,
        ) from error
    return Genotype(params)


PUBLISHED = {
    "DARTS_V1": (
        "Genotype(recurrent=[('relu', 0), ('relu', 1), ('tanh', 2), ('relu', 3), ('relu', 4), "
        "('identity', 1), ('relu', 5), ('relu', 1)], concat=range(1, 9))"
    ),
    "DARTS_V2": (
        "Genotype(recurrent=[('sigmoid', 0), ('relu', 1), ('relu', 1), ('identity', 1), "
        "('tanh', 2), ('sigmoid', 5), ('tanh', 3), ('relu', 5)], concat=range(1, 9))"
    ),
}
"""Cells of the first and of the second order, found on the Penn Treebank."""
