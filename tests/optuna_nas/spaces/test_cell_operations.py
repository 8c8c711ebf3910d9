"""Operations with strides, pixel by pixel: what PyTorch's symmetric padding gives."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from optuna_nas import SearchSpace
from optuna_nas.errors import SpaceError
from optuna_nas.export import onnx_bytes, random_weights
from optuna_nas.graph import ArchitectureGraph
from optuna_nas.space import Node, flatten
from optuna_nas.spaces.cell_operations import (
    cell_operation,
    factorized_reduction,
    relu_conv_bn,
)

CHANNELS = 4


def built(node: Node, size: int) -> ArchitectureGraph:
    space = SearchSpace(
        "one", input_shape=(size, size, CHANNELS), classes=2, body=[node, flatten()]
    )
    (genotype,) = space.genotypes()
    graph = space.graph(genotype)
    features = graph.layer(graph.output).inputs[0]
    return ArchitectureGraph(graph.layers[:-2], graph.layer(features).inputs[0])


def images(graph: ArchitectureGraph, weights: dict[str, dict[str, np.ndarray]]) -> np.ndarray:
    content = onnx_bytes(graph, weights=weights, batch=2)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).normal(size=(2, *graph.input_shape)).astype(np.float32)
    (output,) = session.run(None, {"input": x})
    return np.asarray(output)


@pytest.mark.parametrize("size", [8, 7])
@pytest.mark.parametrize(
    "name",
    [
        "none",
        "max_pool_3x3",
        "max_pool_5x5",
        "avg_pool_3x3",
        "conv_1x1",
        "conv_3x3",
        "conv_7x1_1x7",
        "dil_conv_3x3",
        "dil_conv_5x5",
    ],
)
def test_strides_leave_every_other_pixel(name: str, size: int) -> None:
    """Padding on both sides alike, a window stands at every other pixel, from the first on."""
    plain, strided = (built(cell_operation(name, CHANNELS, stride), size) for stride in (1, 2))
    weights = random_weights(plain)
    renamed = dict(zip(random_weights(strided), weights.values(), strict=True))
    expected = images(plain, weights)[:, ::2, ::2]
    np.testing.assert_allclose(images(strided, renamed), expected, atol=1e-5)


@pytest.mark.parametrize("size", [8, 7])
def test_the_first_half_of_a_separable_convolution_has_the_strides(size: int) -> None:
    plain, strided = (
        built(cell_operation("sep_conv_5x5", CHANNELS, stride), size) for stride in (1, 2)
    )
    assert strided.output_shape == (-(-size // 2), -(-size // 2), CHANNELS)
    assert strided.params == plain.params == 2 * (25 * CHANNELS + CHANNELS**2 + 2 * CHANNELS)
    half = next(i for i, layer in enumerate(plain.layers) if layer.op == "batch_normalization")
    first = ArchitectureGraph(plain.layers[: half + 1])
    weights = random_weights(plain)
    half = next(i for i, layer in enumerate(strided.layers) if layer.op == "batch_normalization")
    thinned = ArchitectureGraph(strided.layers[: half + 1])
    renamed = dict(zip(random_weights(thinned), weights.values(), strict=False))
    expected = images(first, weights)[:, ::2, ::2]
    np.testing.assert_allclose(images(thinned, renamed), expected, atol=1e-5)


@pytest.mark.parametrize("size", [6, 5])
def test_a_factorized_reduction_reads_pixels_of_both_kinds(size: int) -> None:
    graph = built(factorized_reduction(CHANNELS), size)
    weights = random_weights(graph)
    x = np.random.default_rng(0).normal(size=(2, size, size, CHANNELS)).astype(np.float32)
    first, second = (weights[name]["kernel"][0, 0] for name in weights if "conv" in name)
    relu = np.maximum(x, 0)
    later = np.pad(relu, ((0, 0), (0, 1), (0, 1), (0, 0)))[:, 1:, 1:]
    merged = np.concatenate([relu[:, ::2, ::2] @ first, later[:, ::2, ::2] @ second], axis=-1)
    norm = next(w for w in weights.values() if "gamma" in w)
    scale = norm["gamma"] / np.sqrt(norm["moving_variance"] + 1e-5)
    expected = (merged - norm["moving_mean"]) * scale + norm["beta"]
    np.testing.assert_allclose(images(graph, weights), expected, atol=1e-5)
    assert graph.params == CHANNELS**2 + 2 * CHANNELS


def test_a_prepared_input_is_activated_convolved_and_normalised() -> None:
    graph = built(relu_conv_bn(6), 3)
    assert [layer.op for layer in graph.layers[1:]] == [
        "activation",
        "conv2d",
        "batch_normalization",
    ]
    assert graph.params == 6 * CHANNELS + 2 * 6


@pytest.mark.parametrize(
    "name", ["", "conv", "conv_4x4", "conv_3x5", "teleport_3x3", "conv_7x1_1x5", "sep_conv_3x1"]
)
def test_unknown_operations(name: str) -> None:
    with pytest.raises(SpaceError, match="no operation of a cell"):
        cell_operation(name, CHANNELS, 1)
