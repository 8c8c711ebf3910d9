"""Weights copied between architectures of one identity, layer by layer and channel by channel."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np

from optuna_nas.export import random_weights, weight_shapes
from optuna_nas.graph import ArchitectureGraph, canonical

OFFSETS = {"beta", "moving_mean"}
Block = tuple[str, int]
"""What channels stand for, and how many they are."""


def weights_by_place(graph: ArchitectureGraph) -> dict[str, dict[str, np.ndarray]]:
    """Random weights that depend on a layer's place in the architecture alone.

    Architectures of one identity have the same places, so they get the same weights. Those for the
    channels of a concatenation follow its inputs, in whichever order these stand. Offsets are
    zero, so that a branch of zeros stays one: in the identity, constants do not count.
    """
    terms, colours = canonical._coloured(graph)
    weights = random_weights(graph)
    for arrays in weights.values():  # also of the layers that only make constants
        for name in OFFSETS & set(arrays):
            arrays[name] = np.zeros_like(arrays[name])

    def name_of(value: frozenset[tuple[int, int]]) -> str:
        return ",".join(sorted(f"{colours[read]}*{count}" for read, count in value))

    def blocks(value: frozenset[tuple[int, int]], width: int) -> list[Block]:
        ((position, _),) = value if len(value) == 1 else ((None, 0),)
        term = None if position is None else terms[position]
        if term is None or term.layer.op not in canonical._KEEPS_CHANNELS_APART:
            return [(name_of(value), width)]
        if term.layer.op != "concatenate":
            return blocks(term.inputs[0], width)
        if term.ordered:
            return [(name_of(value), width)]
        widths = [graph.shapes[name][-1] for name in term.layer.inputs]
        parts = zip(term.inputs, widths, strict=True)
        return [block for part, size in parts for block in blocks(part, size)]

    for position, colour in colours.items():
        layer, inputs = terms[position].layer, terms[position].inputs
        shapes = weight_shapes(graph).get(layer.name, {})
        for name in set(shapes) - OFFSETS:
            shape = shapes[name]
            read = blocks(inputs[0], graph.shapes[layer.inputs[0]][-1])
            weights[layer.name][name] = _weight(f"{colour} {name}", name, shape, read)
    return weights


def _weight(key: str, name: str, shape: tuple[int, ...], read: Sequence[Block]) -> np.ndarray:
    if name == "bias":
        return _draw(key, shape)
    axis = len(shape) - 2 if name == "kernel" else 0
    parts = []
    for block, width in read:
        size = (*shape[:axis], width, *shape[axis + 1 :])
        parts.append(_draw(f"{key} {block}", size))
    whole = np.concatenate(parts, axis)
    if name == "kernel":
        return whole / np.float32(math.sqrt(math.prod(shape[:-1])))
    return np.abs(whole) + np.float32(0.5)


def _draw(key: str, shape: tuple[int, ...]) -> np.ndarray:
    seed = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big")
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)
