"""The weights of an ONNX file, read without the ``onnx`` package or a runtime.

An ONNX file is a protocol buffer: fields of a number, a wire type and a value
(https://protobuf.dev/programming-guides/encoding). Only the tensors of the graph are read here;
field numbers are those of ``onnx.proto``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

VARINT, EIGHT_BYTES, DELIMITED, FOUR_BYTES = 0, 1, 2, 5  # wire types
GRAPH, INITIALIZER = 7, 5  # fields of a model and of its graph
DIMENSIONS, KIND, NAME, RAW = 1, 2, 8, 9  # fields of a tensor
KINDS = {1: "<f4", 10: "<f2"}  # float and float16


def read_weights(content: bytes) -> dict[str, NDArray[np.float64]]:
    """The tensors of a model's graph by their names, in the order of the file.

    Args:
        content: Of a file whose tensors are in single or half precision, stored as raw bytes.
    """
    weights = {}
    for field, graph in _fields(content):
        if field != GRAPH:
            continue
        for inner, tensor in _fields(_delimited(graph)):
            if inner == INITIALIZER:
                name, values = _tensor(_delimited(tensor))
                weights[name] = values
    return weights


def _tensor(content: bytes) -> tuple[str, NDArray[np.float64]]:
    dimensions: list[int] = []
    name, raw, kind = "", b"", 0
    for field, value in _fields(content):
        if field == DIMENSIONS:  # one by one or packed
            dimensions += [value] if isinstance(value, int) else _varints(value)
        elif field == KIND and isinstance(value, int):
            kind = value
        elif field == NAME:
            name = _delimited(value).decode()
        elif field == RAW:
            raw = _delimited(value)
    return name, np.frombuffer(raw, dtype=KINDS[kind]).astype(np.float64).reshape(dimensions)


def _fields(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and values of a message's fields."""
    place = 0
    while place < len(content):
        tag, place = _varint(content, place)
        field, wire = tag >> 3, tag & 7
        if wire == VARINT:
            value, place = _varint(content, place)
            yield field, value
            continue
        if wire == DELIMITED:
            size, place = _varint(content, place)
        else:
            size = {EIGHT_BYTES: 8, FOUR_BYTES: 4}[wire]
        yield field, content[place : place + size]
        place += size


def _varint(content: bytes, place: int) -> tuple[int, int]:
    """A number in base 128, least digits first, and where it ends."""
    value = shift = 0
    while True:
        byte = content[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place


def _varints(content: bytes) -> list[int]:
    numbers, place = [], 0
    while place < len(content):
        number, place = _varint(content, place)
        numbers.append(number)
    return numbers


def _delimited(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("expected bytes in the ONNX file, got a number; is the file whole?")
    return value
