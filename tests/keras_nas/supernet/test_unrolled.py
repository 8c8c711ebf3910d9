from __future__ import annotations

import numpy as np
import pytest

from keras_nas.supernet.network import SuperNetwork
from keras_nas.supernet.steps import Descent, steps_of
from keras_nas.supernet.unrolled import unrolled_gradient
from optuna_nas.supergraph import SuperGraph
from tests.keras_nas.supernet.tiny import CHOICE, array, examples


def train_at(alpha: float):
    """Of (w - alpha)^2: gradients in w and in alpha."""
    return lambda ws: ([2 * (ws[0] - alpha)], -2 * (ws[0] - alpha))


def validation_at(alpha: float):
    """Of alpha w - 2 alpha + 1."""
    return lambda ws: ([np.asarray(alpha)], ws[0] - 2)


@pytest.mark.parametrize(("xi", "order"), [(0.0, 1), (0.05, 2), (0.25, 2), (0.5, 2)])
def test_the_quadratic_problem_of_darts(xi: float, order: int) -> None:
    # Liu et al. 2019, figure 2; its fixed point is alpha = w = 2 / (1 + 2 xi).
    alpha, w = np.array(2.0), np.array(-2.0)
    for _ in range(300):
        if order == 1:
            slope = validation_at(alpha)([w])[1]
        else:
            slope = unrolled_gradient(
                train_at(alpha),
                validation_at(alpha),
                [w],
                [np.array(0.0)],
                rate=xi,
                momentum=0.9,
                weight_decay=0.0,
            )
        alpha = alpha - 0.2 * array(slope)
        w = w - 0.3 * train_at(alpha)([w])[0][0]
    assert float(w) == pytest.approx(2 / (1 + 2 * xi), abs=1e-4)
    assert float(alpha) == pytest.approx(2 / (1 + 2 * xi), abs=1e-4)


def test_momentum_and_decay_are_part_of_the_step_ahead() -> None:
    seen = []

    def validation(ws):
        seen.append(float(ws[0]))
        return [np.array(1.0)], np.array(0.0)

    unrolled_gradient(
        train_at(1.0),
        validation,
        [np.array(3.0)],
        [np.array(7.0)],
        rate=0.1,
        momentum=0.9,
        weight_decay=0.01,
    )
    assert seen == [pytest.approx(3 - 0.1 * (0.9 * 7 + 2 * 2 + 0.01 * 3))]


def test_the_compiled_gradient_is_that_of_the_loss_after_a_step() -> None:
    network = SuperNetwork(SuperGraph.of(CHOICE), seed=0)
    descent = Descent(momentum=0.9, weight_decay=0.1, clip_norm=1e9)
    steps = steps_of(network, descent)
    train, validation = examples(seed=0), examples(seed=1)
    gates, rate = np.array([0.2, 0.3, 0.1, 0.4]), 0.5
    start = [array(v) for v in network.trainable_variables]

    def loss_after_a_step(gates: np.ndarray) -> float:
        steps.train(train, gates[None], rate, hard=False, auxiliary=None)
        (loss, _), _ = steps.gate_gradient(validation, gates, hard=False, auxiliary=None)
        for variable, value in zip(network.trainable_variables, start, strict=True):
            variable.assign(value)
        steps.velocity = [np.zeros_like(value) for value in start]
        return loss

    (loss, _), gradient = steps.unrolled_gate_gradient(
        train, validation, gates, rate, hard=False, auxiliary=None
    )
    _, plain = steps.gate_gradient(validation, gates, hard=False, auxiliary=None)

    after = [array(v) for v in network.trainable_variables]
    assert all(np.array_equal(a, b) for a, b in zip(start, after, strict=True))
    assert loss == pytest.approx(loss_after_a_step(gates), abs=1e-5)
    numeric = [
        (loss_after_a_step(gates + h) - loss_after_a_step(gates - h)) / 0.02
        for h in 0.01 * np.eye(4)
    ]
    np.testing.assert_allclose(gradient, numeric, atol=3e-3)
    assert np.abs(gradient - plain).max() > 0.02
