"""The synthetic curves are what the network's documentation says."""

from __future__ import annotations

import numpy as np
import pytest
from prior import LONGEST, SHORTEST, draw_curves


@pytest.mark.parametrize("horizon", [SHORTEST, 37, LONGEST])
def test_curves_are_finite_and_follow_from_the_generator(horizon):
    curves, again = (draw_curves(np.random.default_rng(3), 200, horizon) for _ in range(2))
    assert curves.shape == (200, horizon)
    assert np.isfinite(curves).all()
    np.testing.assert_array_equal(curves, again)


def test_most_curves_improve_some_late_and_a_few_get_worse():
    curves = draw_curves(np.random.default_rng(0), 4000, 100)
    gain = curves[:, 0] - curves[:, -1]
    assert np.mean(gain > 0.1) > 0.75
    assert np.mean(gain < 0.0) > 0.02
    flat = np.ptp(curves[:, :30], axis=1) < 0.05 * np.ptp(curves, axis=1)
    assert 0.02 < np.mean(flat) < 0.3  # plateaus that end
