"""The ready spaces at many input shapes: sizes by hand, every genotype has a network."""

from __future__ import annotations

import numpy as np
import pytest

from optuna_nas import Float
from optuna_nas.spaces import chain_cnn, tabular_mlp


def test_sizes() -> None:
    # A stage: 4 widths x 2 kernels x (no, one or two blocks of 3 kinds x 2 kernels).
    stage = 4 * 2 * (1 + 6 + 36)
    assert chain_cnn().size == stage**2 * 2 * 2 * 2
    assert chain_cnn(stages=1, max_blocks=1).size == 4 * 2 * 2 * 2 * 2
    # A block: plain with 4 widths or residual, with dropout of 2 rates or none.
    assert tabular_mlp().size == 4 * 3 * 4 * sum(15**depth for depth in range(5))


@pytest.mark.parametrize(
    ("shape", "stages"),
    [((8, 8, 1), 2), ((28, 28, 1), 4), ((32, 32, 3), 4), ((64, 48, 3), 4), ((3, 5, 2), 2)],
)
def test_chain_cnn_fits_images_of_any_size(shape: tuple[int, ...], stages: int) -> None:
    space = chain_cnn(input_shape=shape, classes=7)
    rng = np.random.default_rng(0)
    assert sum(f"stage{i}/width" in space.distributions() for i in range(9)) == stages
    for _ in range(50):
        graph = space.graph(space.sample(rng))
        assert graph.input_shape == shape
        assert graph.output_shape == (7,)


def test_training_can_be_searched_too() -> None:
    rate = Float("learning_rate", 1e-4, 1e-1, log=True)
    for space in (chain_cnn(training=[rate]), tabular_mlp(training=[rate])):
        assert list(space.training(space.sample(np.random.default_rng(0)))) == ["learning_rate"]


def test_limits_hold() -> None:
    space = chain_cnn(max_params=5_000)
    rng = np.random.default_rng(0)
    assert all(space.graph(space.sample(rng)).params <= 5_000 for _ in range(50))
