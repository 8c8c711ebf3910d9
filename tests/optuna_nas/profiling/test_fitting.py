from __future__ import annotations

import math

import numpy as np
import pytest

from optuna_nas.errors import ProfilingError
from optuna_nas.profiling import Quality
from optuna_nas.profiling.fitting import fit_relative


def test_quality_by_hand():
    quality = Quality.of([1.1, 1.8, 3.0], [1.0, 2.0, 3.0])
    assert quality.networks == 3
    assert quality.kendall_tau == pytest.approx(1.0)
    assert quality.median_error == pytest.approx(0.1)
    assert quality.p90_error == pytest.approx(0.1)
    assert Quality.of([3.0, 2.0, 1.0], [1.0, 2.0, 3.0]).kendall_tau == pytest.approx(-1.0)
    assert Quality.from_dict(quality.to_dict()) == quality


def test_quality_of_one_network_has_no_ranks():
    quality = Quality.of([1.0], [2.0])
    assert math.isnan(quality.kendall_tau)
    assert quality.to_dict()["kendall_tau"] is None
    assert math.isnan(Quality.from_dict(quality.to_dict()).kendall_tau)
    with pytest.raises(ProfilingError, match="equally many, at least one, got 0 and 0"):
        Quality.of([], [])


def test_coefficients_are_found():
    rng = np.random.default_rng(0)
    x = np.column_stack([np.ones(40), rng.uniform(1, 10, 40), rng.uniform(0, 2, 40)])
    fit = fit_relative(x, x @ [0.5, 2.0, 1.0], prior=np.array([0.0, 1.0, 0.0]))
    assert fit.shared == pytest.approx([0.5, 2.0, 1.0], rel=0.02)


def test_one_network_says_little_and_the_prior_the_rest():
    x = np.array([[1.0, 4.0, 0.0]])
    fit = fit_relative(x, np.array([5.0]), prior=np.array([0.0, 1.0, 0.0]))
    assert x @ fit.shared == pytest.approx([5.0], rel=0.02)
    assert fit.shared[2] == 0.0


def test_kinds_deviate_where_networks_tell_them_apart():
    rng = np.random.default_rng(0)
    works = rng.uniform(1, 5, (40, 2))
    x = np.column_stack([np.ones(40), works.sum(axis=1)])
    different = fit_relative(x, 1 + works @ [1.0, 3.0], prior=np.zeros(2), own=works)
    rates = different.shared[1] + different.own
    assert rates == pytest.approx([1.0, 3.0], rel=0.05)
    noise = rng.normal(1.0, 0.2, 40)
    alike = fit_relative(x, (1 + works @ [2.0, 2.0]) * noise, prior=np.zeros(2), own=works)
    assert np.abs(alike.own).max() < np.abs(different.own).max()
    assert alike.shrinkage > different.shrinkage
