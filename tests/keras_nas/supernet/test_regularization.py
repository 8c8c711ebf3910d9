from __future__ import annotations

import numpy as np
import pytest

from keras_nas.supernet.regularization import AlphaLoss, BetaDecay, Entropy, auxiliary_skip

ALPHAS = {"a": np.array([0.5, -1.0, 0.2]), "b": np.array([2.0, 0.0]), "c": np.array([0.3])}


@pytest.mark.parametrize("loss", [BetaDecay(), Entropy(0.7), Entropy(-0.1)], ids=repr)
def test_gradient_is_the_slope(loss: AlphaLoss) -> None:
    value, gradient = loss(ALPHAS, 0.4)

    assert value != 0
    for name, alpha in ALPHAS.items():
        for k in range(alpha.size):
            h = 1e-6 * np.eye(alpha.size)[k]
            ahead, behind = (loss({**ALPHAS, name: alpha + s * h}, 0.4)[0] for s in (1, -1))
            assert gradient[name][k] == pytest.approx((ahead - behind) / 2e-6, abs=1e-7)


def test_beta_decay_is_the_mean_smooth_maximum_and_grows_with_the_search() -> None:
    alphas = {"a": np.log([1.0, 2.0, 5.0]), "b": np.log([3.0, 3.0])}
    mean = (np.log(8) + np.log(6)) / 2

    assert BetaDecay()(alphas, 0.0)[0] == 0
    # The authors' 50 epoch / 100, at epoch 30 of 100.
    assert BetaDecay()(alphas, 0.3)[0] == pytest.approx(15 * mean)
    np.testing.assert_allclose(BetaDecay()(alphas, 0.3)[1]["a"], 7.5 * np.array([1, 2, 5]) / 8)


def test_entropy_of_equal_alphas_is_that_of_a_uniform_choice() -> None:
    value, gradient = Entropy(1.0)({"a": np.zeros(4)}, 0.0)

    assert value == pytest.approx(np.log(4))
    np.testing.assert_allclose(gradient["a"], 0, atol=1e-12)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_the_auxiliary_skip_fades_away(schedule: str) -> None:
    weights = [auxiliary_skip(p, schedule) for p in (0.0, 0.25, 0.5, 0.75, 1.0)]  # type: ignore[arg-type]

    assert weights[0] == 1
    assert weights[2] == pytest.approx(0.5)
    assert weights[-1] == pytest.approx(0, abs=1e-15)
    assert sorted(weights, reverse=True) == weights
    assert weights[1] == pytest.approx(0.75 if schedule == "linear" else 0.8535534)
