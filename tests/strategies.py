"""Hypothesis strategies: random nested search spaces, and genotypes of them."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import strategies as st

from optuna_nas.space import (
    Cell,
    CellStack,
    Choice,
    DagModule,
    Edge,
    Float,
    Given,
    Integer,
    Let,
    Maybe,
    Node,
    Parallel,
    Repeat,
    Scope,
    SearchSpace,
    Shortcut,
    Subset,
    Tied,
    When,
    activation,
    conv,
    dropout,
    global_average_pooling,
    identity,
    layer,
    max_pooling,
    separable_conv,
)

_FUNCTIONS = ["relu", "silu", "tanh", "gelu"]


def _leaf(draw: st.DrawFn, name: str) -> Node:
    """A layer that keeps the shape, with or without a decision in it."""
    kind = draw(st.integers(0, 7))
    if kind == 0:
        return conv(
            kernel=Choice(f"{name}_kernel", draw(st.sampled_from([[1, 3], [3], [1, 3, 5]])))
        )
    if kind == 1:
        return activation(Choice(f"{name}_function", _FUNCTIONS[: draw(st.integers(1, 4))]))
    if kind == 2:
        return dropout(Float(f"{name}_rate", 0.0, 0.5, step=draw(st.sampled_from([0.25, 0.5]))))
    if kind == 3:
        return separable_conv(kernel=3)
    if kind == 4:
        return layer(
            "conv2d",
            filters=4,
            kernel_size=Integer(f"{name}_size", 1, draw(st.sampled_from([1, 3])), step=2),
        )
    if kind == 5:
        return activation(Tied(Choice("shared", ["relu", "tanh"])))
    if kind == 6:
        return layer(
            "conv2d",
            filters=4,
            kernel_size=Choice(f"{name}_window", [1, 3, 5]),
            dilation_rate=When("kernel_size", [3, 5], Integer(f"{name}_dilation", 1, 2)),
        )
    return identity()


def _two_inputs(body: Node) -> Cell:
    """A cell of a stack; its nodes keep the 4 channels."""
    source = Choice("source", [0, 1])
    edges = Parallel([Edge(source, body, body), Edge(1, identity())])
    return Cell("cell", [edges, Edge(2, identity())], output="unread", inputs=2, prepare=conv(4, 1))


@st.composite
def nodes(draw: st.DrawFn, depth: int = 2, prefix: str = "n") -> Node:
    """A node of any kind whose output has the shape of its input (4 channels)."""
    counter = itertools.count()

    def build(level: int) -> Node:
        name = f"{prefix}{next(counter)}"
        kind = draw(st.integers(0, 10)) if level else 0
        if kind == 0:
            return _leaf(draw, name)
        if kind == 1:
            count = draw(st.integers(1, 3))
            return Choice(name, {f"o{i}": build(level - 1) for i in range(count)})
        if kind == 2:
            low = draw(st.integers(0, 1))
            return Repeat(name, low, draw(st.integers(max(low, 1), 3)), build(level - 1))
        if kind == 3:
            return Maybe(name, build(level - 1))
        if kind == 4:
            return Parallel([build(level - 1), Scope(f"{name}_b", build(level - 1))])
        if kind == 5:
            bodies = {f"b{i}": build(level - 1) for i in range(draw(st.integers(1, 3)))}
            return Subset(name, bodies, 1, draw(st.integers(1, len(bodies))))
        if kind == 6:
            first = Edge(0, build(level - 1))
            second = Parallel(
                [Edge(Choice("source", [0, 1]), build(level - 1)), Edge(1, identity())]
            )
            return Cell(name, [first, second], output=draw(st.sampled_from(["last", "add"])))
        if kind == 7:
            return CellStack(
                Repeat(name, 1, draw(st.integers(1, 3)), _two_inputs(build(level - 1)))
            )
        if kind == 8:
            return DagModule(
                name, {"a": conv(), "b": max_pooling(3, 1)}, 4, draw(st.integers(2, 4))
            )
        if kind == 9:
            function = activation(Given("given"))
            taken = Let(Choice("given", _FUNCTIONS[: draw(st.integers(1, 3))]))
            return Scope(name, [taken, Shortcut([build(level - 1), function])])
        return Tied(Scope(name, build(level - 1)))

    return build(depth)


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    """A nested space of any shape the primitives allow; its architectures are mostly feasible."""
    # What is tied is named from the root, so the parts may not share names.
    parts = [draw(nodes(prefix=prefix)) for prefix in "mn"[: draw(st.integers(1, 2))]]
    body: list[Node] = [conv(4, 3)]
    body += [Scope(f"part{i}", part) for i, part in enumerate(parts)]
    if draw(st.booleans()):
        body.append(max_pooling(2))
    body.append(global_average_pooling())
    training = [Float("learning_rate", 1e-4, 1e-1, log=True)] if draw(st.booleans()) else []
    return SearchSpace("random", input_shape=(8, 8, 1), classes=3, body=body, training=training)


rngs = st.integers(0, 2**32 - 1).map(np.random.default_rng)
