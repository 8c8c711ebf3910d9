from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_nas.supernet.adam import Adam


def test_it_is_the_adam_of_keras() -> None:
    rng = np.random.default_rng(0)
    start = rng.normal(size=4)
    mine = Adam(0.1, (0.5, 0.999), weight_decay=0.0)
    parameters = {"a": start}
    variable = keras.Variable(start.astype(np.float32))
    theirs = keras.optimizers.Adam(0.1, beta_1=0.5, beta_2=0.999, epsilon=1e-8)
    for _ in range(5):
        gradient = rng.normal(size=4)
        parameters = mine.step(parameters, {"a": gradient})
        theirs.apply([keras.ops.convert_to_tensor(gradient.astype(np.float32))], [variable])
    np.testing.assert_allclose(parameters["a"], np.asarray(variable), rtol=1e-4)


def test_decay_is_part_of_the_gradient() -> None:
    decayed = Adam(0.1, weight_decay=0.5).step({"a": np.array([2.0])}, {"a": np.array([0.0])})
    plain = Adam(0.1, weight_decay=0.0).step({"a": np.array([2.0])}, {"a": np.array([1.0])})
    assert decayed["a"] == pytest.approx(plain["a"])


def test_what_has_no_gradient_stays() -> None:
    start = {"a": np.ones(2), "b": np.ones(3)}
    moved = Adam().step(start, {"a": np.ones(2)})
    assert np.array_equal(moved["b"], np.ones(3))
    assert not np.array_equal(moved["a"], start["a"])
    assert np.array_equal(start["a"], np.ones(2))
