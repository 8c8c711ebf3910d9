from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_nas.supernet.eigenvalue import dominant_eigenvalue, earlier_epoch


@settings(max_examples=40, deadline=None)
@given(size=st.integers(1, 12), seed=st.integers(0, 99))
def test_the_eigenvalue_of_a_quadratic_is_that_of_its_matrix(size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(size, size))
    matrix = matrix + matrix.T + 3 * size * np.outer(np.ones(size), np.ones(size)) / size
    values = np.linalg.eigvalsh(matrix)
    expected = values[np.abs(values).argmax()]

    found = dominant_eigenvalue(lambda a: matrix @ a, rng.normal(size=size), rng)

    assert found == pytest.approx(expected, rel=1e-3)


def test_a_negative_eigenvalue_may_dominate() -> None:
    diagonal = np.array([1.0, -5.0, 2.0, 0.5])

    found = dominant_eigenvalue(lambda a: diagonal * a, np.ones(4), np.random.default_rng(0))

    assert found == pytest.approx(-5, rel=1e-3)


def test_curvature_is_that_of_where_the_alphas_are() -> None:
    # L = sum a^4 / 12, whose Hessian is diag(a^2)
    at = np.array([1.0, 2.0, -3.0, 0.5])

    found = dominant_eigenvalue(lambda a: a**3 / 3, at, np.random.default_rng(0))

    assert found == pytest.approx(9, rel=1e-3)


def test_single_precision_gradients_will_do() -> None:
    matrix = np.diag([0.02, 0.05, 0.3, 0.1]) + 0.01

    def gradient(alphas: np.ndarray) -> np.ndarray:
        return (matrix @ alphas).astype(np.float32).astype(float)

    found = dominant_eigenvalue(gradient, np.full(4, 0.001), np.random.default_rng(0))

    assert found == pytest.approx(np.linalg.eigvalsh(matrix).max(), rel=1e-2)


@pytest.mark.parametrize("size", [1, 2, 6])
def test_a_flat_loss_has_no_curvature(size: int) -> None:
    found = dominant_eigenvalue(np.zeros_like, np.ones(size), np.random.default_rng(0))

    assert found == 0


def test_equal_eigenvalues_are_found_too() -> None:
    found = dominant_eigenvalue(lambda a: 3 * a, np.zeros(8), np.random.default_rng(0))

    assert found == pytest.approx(3, rel=1e-3)


def test_a_search_stops_where_the_eigenvalue_has_grown() -> None:
    # Means of five: 1 until epoch 20, then (4 + 1.8)/5 = 1.16, (3 + 3.6)/5 = 1.32 > 1.3.
    eigenvalues = dict.fromkeys(range(2, 21, 2), 1.0)
    assert earlier_epoch(eigenvalues) is None
    eigenvalues[22] = 1.8
    assert earlier_epoch(eigenvalues) is None
    eigenvalues[24] = 1.8
    assert earlier_epoch(eigenvalues) == 16  # four measurements before


def test_growth_is_that_over_four_measurements() -> None:
    assert earlier_epoch({epoch: 1.06**epoch for epoch in range(20)}) is None  # 1.26
    assert earlier_epoch({epoch: 1.08**epoch for epoch in range(20)}) == 15  # 1.36


def test_a_search_does_not_stop_early_or_by_falling_eigenvalues() -> None:
    rising = {epoch: 2.0**epoch for epoch in range(10)}
    assert earlier_epoch(rising) is None
    assert earlier_epoch(rising, first_epoch=5) == 5
    assert earlier_epoch({10: 1.0, 12: 5.0, 14: 25.0, 16: 125.0}) is None
    assert earlier_epoch({epoch: 100.0 - epoch for epoch in range(40)}) is None
    assert earlier_epoch(dict.fromkeys(range(40), -1.0)) is None
    assert earlier_epoch({}) is None
