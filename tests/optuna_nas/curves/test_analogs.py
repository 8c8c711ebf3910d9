from __future__ import annotations

import numpy as np
import pytest

from optuna_nas.curves import ClosedForm, Curve, Warm
from optuna_nas.curves.analogs import Analogs
from optuna_nas.curves.posterior import student_logpdf
from optuna_nas.curves.stack import WIDTHS


def plateaus(take_offs, runs=30):
    """Flat curves with a little noise; some of them end lower by .3. Shape ``(runs, 40)``."""
    rng = np.random.default_rng(0)
    losses = 1.0 + 0.001 * rng.normal(size=(runs, 40))
    losses[:take_offs, 25:] -= 0.3
    return losses


def test_left_out_densities_are_those_of_all_others():
    rng = np.random.default_rng(0)
    last, changes = rng.normal(size=(2, 9))
    analogs = Analogs.fit(last, changes, 1e-3)
    found = analogs.held_out(WIDTHS, 6)
    for i in range(9):
        others = np.arange(9) != i
        near = 1.0 / (1.0 + ((analogs.ranks[i] - analogs.ranks[others]) / 0.25) ** 2)
        for w, width in enumerate(WIDTHS):
            scales = width * analogs.bandwidths[others]
            z = (changes[i] - changes[others]) / scales
            expected = near @ (np.exp(student_logpdf(z, 6)) / scales) / near.sum()
            assert found[w, i] == pytest.approx(expected)


def test_kernels_are_wide_where_data_are_few():
    changes = np.array([0.0, 0.01, 0.02, 0.03, 5.0])
    analogs = Analogs.fit(np.arange(5.0), changes, 1e-6)
    assert analogs.bandwidths[-1] > 100 * analogs.bandwidths[1]


def test_peers_of_similar_rank_count_most():
    analogs = Analogs.fit(np.arange(10.0), np.zeros(10), 1.0)
    weights = analogs.weights(2.0)
    assert weights.sum() == pytest.approx(1.0)
    assert weights.argmax() == 2
    assert weights[-1] < 0.2 * weights[2]


def test_equal_losses_share_their_rank():
    analogs = Analogs.fit(np.array([0.5, 0.7, 0.7, 0.7, 0.9]), np.zeros(5), 1.0)
    assert analogs.ranks.tolist() == pytest.approx([0.1, 0.5, 0.5, 0.5, 0.9])
    np.testing.assert_allclose(analogs.weights(0.7)[1:4], analogs.weights(0.7)[1])


def test_what_happened_to_one_peer_may_happen_again():
    """One of 30 flat peers took off late: a new one may; four did: it has about that chance."""
    steps = np.arange(1.0, 41.0)
    flat = Curve(steps[:12], plateaus(0)[7, :12])
    chances = []
    for take_offs in (0, 1, 4):
        peers = [Curve(steps, row) for row in plateaus(take_offs)]
        posterior = Warm(ClosedForm()).fit(peers, 40.0).predict(flat)
        chances.append(posterior.prob_better_than(0.75))
    assert chances[0] < chances[1] < chances[2]
    assert 0.001 < chances[1] < 0.1
    assert 0.03 < chances[2] < 0.3
