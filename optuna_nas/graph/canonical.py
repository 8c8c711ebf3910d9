"""One identity for architectures that compute the same family of functions.

Two genotypes often describe one network: an edge whose other end leads nowhere, a sum with a zero,
a chain of skips. The identity is computed in two steps.

1. *Simplify.* A value that does not depend on the input is a constant, and so is what is computed
   from constants alone; a constant term of a sum is dropped, for the biases and normalisations
   behind it make up for it. Identities vanish, nested sums become one multiset of terms,
   operations without weights that read the same value are one value, and
   those that are linear, such as average pooling, are taken apart at the terms of a sum.
2. *Label.* The remaining layers are coloured by operation, attributes and position (from the input
   forwards, then from the output backwards, as in Weisfeiler & Leman 1968), where the inputs of
   sums and products are unordered. So are those of a concatenation that is read by weights for
   every channel, for these can stand in any order too. Layers that colours can't tell apart,
   though they stand in different places, are singled out one after another. The identity is a
   hash of the colours.

Layers with weights are never merged, even when they read the same value: each has weights of its
own. So the classes are finer than those of NAS-Bench-201's string expansion where a node is shared
by several readers, and coarser where its strings keep sums nested.

A constant is dropped also where it differs by position: a convolution with a bias, padded to the
same size, gives near the border of a constant other values than inside of it. No bias behind it
makes up for that, so two networks that differ in such a term alone share an identity though one
has functions that the other has not. Pruning keeps the term.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

from optuna_nas.graph.operations import get_operation
from optuna_nas.graph.pruning import gives_zero, is_identity

if TYPE_CHECKING:
    from optuna_nas.graph.architecture import ArchitectureGraph, LayerSpec

# Deterministic operations without weights: equal inputs give equal values.
_WEIGHTLESS = frozenset(
    [
        "activation",
        "max_pooling2d",
        "average_pooling2d",
        "global_average_pooling2d",
        "global_max_pooling2d",
        "max_pooling1d",
        "average_pooling1d",
        "global_average_pooling1d",
        "global_max_pooling1d",
        "flatten",
        "reshape",
        "zero_padding2d",
        "cropping1d",
        "cropping2d",
        "slice_channels",
        "multiply",
        "concatenate",
    ]
)

# Linear ones among them: applied to a sum, they give the sum of what they give for its terms.
_LINEAR = frozenset(
    [
        "average_pooling2d",
        "global_average_pooling2d",
        "average_pooling1d",
        "global_average_pooling1d",
        "flatten",
        "reshape",
        "zero_padding2d",
        "cropping1d",
        "cropping2d",
        "slice_channels",
    ]
)

# Layers whose weights meet every channel that they read: with their weights in another order they
# give the same for channels in another order.
_MIXES_CHANNELS = frozenset(["conv1d", "conv2d", "dense", "lstm", "gru"])

# Layers that treat every channel alike, or by weights of its own: channels in another order come
# out in that order, if the weights are put into it.
_KEEPS_CHANNELS_APART = frozenset(
    [
        "activation",
        "batch_normalization",
        "layer_normalization",
        "depthwise_conv2d",
        "max_pooling2d",
        "average_pooling2d",
        "global_average_pooling2d",
        "global_max_pooling2d",
        "max_pooling1d",
        "average_pooling1d",
        "global_average_pooling1d",
        "global_max_pooling1d",
        "flatten",
        "zero_padding2d",
        "cropping1d",
        "cropping2d",
        "dropout",
        "concatenate",
    ]
)

# A value is a sum: how often each term occurs in it. The empty sum is constant.
_Sum = frozenset[tuple[int, int]]
_CONSTANT: _Sum = frozenset()


@dataclass
class _Term:
    layer: LayerSpec
    label: str
    inputs: tuple[_Sum, ...]
    ordered: bool
    readers: list[tuple[int, int, int]] = field(default_factory=list)  # (term, slot, count)


def canonical_id(graph: ArchitectureGraph) -> str:
    """Identity of a graph: 32 hexadecimal digits.

    Architectures with one identity compute the same family of functions of their input, but for
    constants that differ by position, which the module's text describes; those with different ones
    may still do so in ways that the simplification does not see.
    """
    _, colours = _coloured(graph)
    return _hash(str(graph.input_shape), str(graph.output_shape), *sorted(colours.values()))


def _coloured(graph: ArchitectureGraph) -> tuple[list[_Term], dict[int, str]]:
    """Terms, and the colours of those that reach the output; equal graphs have equal colours."""
    terms, output = _simplify(graph)
    outputs = dict(output)
    live = _live(terms, output)
    _unorder(graph, terms, live, output)
    for position in live:
        reader = terms[position]
        for slot, value in enumerate(reader.inputs):
            for read, count in value:
                terms[read].readers.append((position, slot, count))
    colours = {p: f"{terms[p].label} {outputs.get(p, 0)}" for p in live}
    colours = _refined(terms, live, colours)
    while (tied := _tied(terms, live, colours, outputs)) is not None:
        finer = _refined(terms, live, colours)
        if len(set(finer.values())) == len(set(colours.values())):
            # Colours alone can't tell these apart. Which of them is singled out does not matter
            # where they are interchangeable; where they are not, a duplicate may go unnoticed.
            finer = _refined(terms, live, {**colours, tied: _hash(colours[tied])})
        colours = finer
    return terms, colours


def _refined(terms: list[_Term], live: list[int], colours: dict[int, str]) -> dict[int, str]:
    """Colour every term by its colour, all that it depends on and all that depends on it."""
    forward, values = _forward(terms, live, colours)
    both: dict[int, str] = {}
    for position in reversed(live):
        readers = []
        for reader, slot, count in terms[position].readers:
            term = terms[reader]
            # An unordered slot is known by the sum that is read there.
            place = slot if term.ordered else values[term.inputs[slot]]
            readers.append(f"{both[reader]}/{place}/{count}")
        readers.sort()
        both[position] = _hash(forward[position], *readers)
    # Once more, to tell apart layers whose readers differ only in what else they read.
    return _forward(terms, live, both)[0]


def _tied(
    terms: list[_Term], live: list[int], colours: dict[int, str], outputs: dict[int, int]
) -> int | None:
    """A term whose colour another one has that reads, or is read by, something else.

    Of all such colours it has the smallest, so that the order of the layers does not choose.
    """
    places: dict[str, tuple[object, ...]] = {}
    tied: dict[str, int] = {}
    for position in live:
        term = terms[position]
        inputs = term.inputs if term.ordered else _sorted(term.inputs)
        place = (inputs, sorted(term.readers), outputs.get(position))
        if places.setdefault(colours[position], place) != place:
            tied[colours[position]] = position
    return tied[min(tied)] if tied else None


def _forward(
    terms: list[_Term], live: list[int], labels: dict[int, str]
) -> tuple[dict[int, str], dict[_Sum, str]]:
    """Colours of every term, by its label and what it reads, and of every value that is read."""
    colours: dict[int, str] = {}
    values: dict[_Sum, str] = {}  # several terms may read one value
    for position in live:
        term = terms[position]
        for value in term.inputs:
            if value not in values:
                values[value] = _hash(*sorted([f"{colours[read]}*{n}" for read, n in value]))
        inputs = [values[value] for value in term.inputs]
        ordered = inputs if term.ordered else sorted(inputs)
        colours[position] = _hash(labels[position], *ordered)
    return colours, values


def _hash(*parts: str) -> str:
    return blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


def _simplify(graph: ArchitectureGraph) -> tuple[list[_Term], _Sum]:
    terms: list[_Term] = []
    values: dict[str, _Sum] = {}
    weightless: dict[tuple[str, tuple[_Sum, ...]], int] = {}
    zero: set[str] = set()
    labels: dict[tuple[object, ...], str] = {}
    for layer in graph.layers:
        inputs = tuple([values[name] for name in layer.inputs])
        if layer.op == "zero" or (zero and gives_zero(layer, layer.inputs, zero)):
            zero.add(layer.name)
        if layer.op == "add":
            total: dict[int, int] = {}
            for value in inputs:
                for summand, count in value:
                    total[summand] = total.get(summand, 0) + count
            values[layer.name] = frozenset(total.items())
        elif is_identity(layer):
            values[layer.name] = inputs[0]
        elif layer.name in zero or (inputs and all(value == _CONSTANT for value in inputs)):
            values[layer.name] = _CONSTANT
        else:
            if layer.op == "multiply":
                inputs = _sorted(inputs)
            # Layers of repeated cells share their attributes.
            key = (layer.op, id(layer.attributes), *[graph.shapes[name] for name in layer.inputs])
            label = labels.get(key)
            if label is None:
                label = labels[key] = _label(graph, layer, ordered=layer.op != "multiply")

            def term(*inputs: _Sum, label: str = label, layer: LayerSpec = layer) -> int:
                known = weightless.get((label, inputs)) if layer.op in _WEIGHTLESS else None
                if known is None:
                    terms.append(_Term(layer, label, inputs, ordered=layer.op != "multiply"))
                    known = weightless[label, inputs] = len(terms) - 1
                return known

            if layer.op in _LINEAR:
                values[layer.name] = frozenset(
                    (term(frozenset({(inner, 1)})), count) for inner, count in inputs[0]
                )
            else:
                values[layer.name] = frozenset({(term(*inputs), 1)})
    return terms, values[graph.output]


def _sorted(inputs: tuple[_Sum, ...]) -> tuple[_Sum, ...]:
    return tuple(sorted(inputs, key=sorted))


def _label(graph: ArchitectureGraph, layer: LayerSpec, *, ordered: bool) -> str:
    canonical = get_operation(layer.op).canonical
    form = layer.attributes if canonical is None else canonical(layer.attributes)
    attributes = json.dumps(dict(form), sort_keys=True)
    shapes = [str(graph.shapes[name]) for name in layer.inputs]
    if not ordered:
        shapes.sort()
    return f"{layer.op} {attributes} {','.join(shapes)}"


def _unorder(graph: ArchitectureGraph, terms: list[_Term], live: list[int], output: _Sum) -> None:
    """Mark the concatenations whose inputs may stand in any order.

    Wherever such a value is read it is alone, not in a sum with values whose order is another, and
    a layer that mixes all channels follows before the output, on every path.
    """
    bound = {position for position, _ in output}  # in the order in which they are
    for position in reversed(live):
        term = terms[position]
        mixes = term.layer.op in _MIXES_CHANNELS and term.layer.attributes.get("groups", 1) == 1
        apart = term.layer.op in _KEEPS_CHANNELS_APART and position not in bound
        for value in term.inputs:
            if len(value) > 1 or not (mixes or apart):
                bound.update(read for read, _ in value)
        if term.layer.op == "concatenate" and position not in bound:
            term.ordered = False
            term.label = f"unordered {_label(graph, term.layer, ordered=False)}"


def _live(terms: list[_Term], output: _Sum) -> list[int]:
    """Positions of the terms that reach the output, in topological order."""
    seen: set[int] = set()
    stack = [term for term, _ in output]
    while stack:
        position = stack.pop()
        if position not in seen:
            seen.add(position)
            stack.extend(term for value in terms[position].inputs for term, _ in value)
    return sorted(seen)
