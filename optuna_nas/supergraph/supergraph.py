"""`SuperGraph`: all networks of a space in one, for weights to be shared among them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from optuna_nas.errors import SupernetError
from optuna_nas.graph import get_operation
from optuna_nas.graph.operations import Shape
from optuna_nas.space import Genotype, SearchSpace
from optuna_nas.space.decisions import Value
from optuna_nas.supergraph.builder import TAKE, SuperBuilder
from optuna_nas.supergraph.emission import SuperEmitter
from optuna_nas.supergraph.rules import RULES
from optuna_nas.supergraph.structure import (
    Alternatives,
    Block,
    Branch,
    Gates,
    Mixture,
    Place,
    SuperLayer,
    Width,
)


@dataclass(frozen=True)
class SuperGraph:
    """Every architecture of a space in one graph of layers and mixtures.

    Args:
        space: The space.
        root: What is computed from the value "input"; its output are the logits.
        shapes: Shape of every value, for the most channels.
        widths: Channels in use of the values where their number is decided.
        decisions: What every decision of the network is between.
        places: Where weights live.
    """

    space: SearchSpace
    root: Block
    shapes: Mapping[str, Shape]
    widths: Mapping[str, Width]
    decisions: Mapping[str, Alternatives]
    places: Mapping[str, Place]

    @classmethod
    def of(cls, space: SearchSpace, *, partial: int = 1) -> SuperGraph:
        """The supergraph of a space; decisions about training are no part of it.

        Args:
            space: The space.
            partial: Operations of cells are given one in so many channels, the others pass by (Xu
                et al. 2020). Layers then are narrower than an architecture's own.

        Raises:
            SupernetError: Architectures of the space can't share weights; the message names the
                decision and says why.
        """
        builder = SuperBuilder(space.input_shape)
        emitter = SuperEmitter(builder, space.distributions(), RULES, partial)
        x = emitter.emit(space.body, "", "input") or "input"
        if len(builder.shapes[x]) != 1:
            raise SupernetError(
                f"The body of space {space.name!r} ends in the shape {builder.shapes[x]}; end it "
                "in a vector, for example with global_average_pooling() or flatten().",
                builder.shapes[x],
            )
        logits = space.head.emit(emitter, "", x)
        root = Block(tuple(builder.items), logits)
        names = {"input", *_values(root)}
        widths = {
            name: Width(tuple((c, tuple(map(bool, mask))) for c, mask in table.items()))
            for name, table in builder.tables.items()
            if name in names
        }
        taken = {mixture.decision for mixture in root.mixtures()}
        for width in widths.values():
            taken |= {name for condition, _ in width.masks for name, _ in condition}
        return cls(
            space,
            root,
            {name: shape for name, shape in builder.shapes.items() if name in names},
            widths,
            {name: emitter.decisions[name] for name in space.distributions() if name in taken},
            {layer.place: builder.places[layer.place] for layer in root.layers()},
        )

    @property
    def input_shape(self) -> Shape:
        """Shape of one example."""
        return self.space.input_shape

    @cached_property
    def reads_tokens(self) -> bool:
        """Whether the input is whole numbers: embeddings, and nothing else, read it."""
        readers = [layer.op for layer in self.root.layers() if "input" in layer.inputs]
        return bool(readers) and set(readers) == {"embedding"}

    def hot(self, params: Mapping[str, Value]) -> Gates:
        """Gates of one architecture; those of decisions that it does not have are zeros."""
        return {
            name: alternatives.hot(params[name]) if name in params else np.zeros(alternatives.size)
            for name, alternatives in self.decisions.items()
        }

    def path(self, params: Mapping[str, Value]) -> tuple[SuperLayer, ...]:
        """The layers of one architecture, in the order in which its own graph has them."""
        return tuple(self._walk(self.root, params))

    def _walk(self, block: Block, params: Mapping[str, Value]) -> Iterator[SuperLayer]:
        for item in block.items:
            if isinstance(item, SuperLayer):
                yield item
                continue
            for branch in chosen(item, self.decisions[item.decision], params[item.decision]):
                yield from self._walk(branch.block, params)

    def placed(self, genotype: Genotype) -> dict[str, SuperLayer]:
        """For each layer with weights of the genotype's graph, by name: its layer here."""
        with_weights = {
            layer.op for layer in self.root.layers() if _has_weights(layer, self.shapes)
        }
        own = [layer for layer in self.space.emitted(genotype) if layer.op in with_weights]
        path = [layer for layer in self.path(genotype) if layer.op in with_weights]
        # Both are in the order of emission. Merges may be missing of the genotype's own layers,
        # where only one of several values is there to be merged.
        assert [layer.op for layer in own] == [layer.op for layer in path]
        kept = self.space.graph(genotype).shapes
        pairs = zip(own, path, strict=True)
        return {layer.name: shared for layer, shared in pairs if layer.name in kept}


def _has_weights(layer: SuperLayer, shapes: Mapping[str, Shape]) -> bool:
    if layer.op == TAKE:
        return False
    operation = get_operation(layer.op)
    inputs = [shapes[name] for name in layer.inputs]
    return bool(operation.params(layer.attributes, inputs)) or bool(
        operation.non_trainable_params(layer.attributes, inputs)
    )


def chosen(mixture: Mixture, alternatives: Alternatives, value: Value) -> Iterator[Branch]:
    """The branches that a decision's value leads to, in their order."""
    positions = np.flatnonzero(alternatives.hot(value))
    return (b for b in mixture.branches if np.isin(positions, b.alternatives).any())


def _values(block: Block) -> Iterator[str]:
    for item in block.items:
        yield item.name
        if isinstance(item, Mixture):
            for branch in item.branches:
                yield from _values(branch.block)
