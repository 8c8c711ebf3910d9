from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest

from optuna_nas.curves import ClosedForm, Curve, LastValue, Network, Warm, network
from optuna_nas.curves.network_inputs import FEATURES, network_inputs

STEPS = np.arange(1.0, 41.0)


def exponentials(seed, runs=200):
    """Losses that fall to ends of their own, with a little noise; shape ``(runs, 40)``."""
    rng = np.random.default_rng(seed)
    rates = rng.uniform(0.05, 0.3, (runs, 1))
    ends = rng.uniform(0.1, 0.5, (runs, 1))
    noise = 0.005 * rng.normal(size=(runs, len(STEPS)))
    return ends + (1.0 - ends) * np.exp(-rates * STEPS) + noise


def test_inputs_do_not_depend_on_unit_and_zero():
    losses = exponentials(0)[:5, :12]
    plain = network_inputs(STEPS[:12], losses, 40.0)
    moved = network_inputs(STEPS[:12], 7.0 * losses - 3.0, 40.0)
    assert plain.features.shape == (5, FEATURES)
    np.testing.assert_allclose(moved.features, plain.features, atol=1e-10)
    np.testing.assert_allclose(moved.origin, 7.0 * losses[:, -1] - 3.0)
    np.testing.assert_allclose(moved.unit, 7.0 * plain.unit)
    np.testing.assert_allclose(moved.reach, plain.reach)


def test_a_huge_first_loss_hides_nothing_of_what_follows():
    """The unit is what still happens; the first loss is one large feature among others."""
    losses = exponentials(0)[:1, :12]
    losses[0, 0] = 1000.0
    far = network_inputs(STEPS[:12], losses, 40.0)
    assert far.unit[0] == pytest.approx(np.ptp(losses[0, 5:]))
    assert np.abs(far.features).max() < 10.0
    latest = far.features[0, 40:48]
    assert np.ptp(latest) > 0.5


def test_a_bin_without_a_point_lies_on_the_line_between_its_neighbours():
    inputs = network_inputs(np.array([1.0, 10.0]), np.array([[1.0, 0.0]]), 20.0)
    means = np.sinh(inputs.features[0, :20])
    assert inputs.unit == 1.0
    assert means[:2] == pytest.approx([1.0, 1.0])  # up to the first step
    assert np.all(np.diff(means[1:]) < 0.0)
    assert means[-1] == 0.0


def test_a_constant_curve_has_no_unit():
    assert network_inputs(STEPS[:3], np.full((1, 3), 1e6), 40.0).unit == 0.0


def test_a_runtime_gives_what_numpy_gives():
    runtime = pytest.importorskip("onnxruntime")
    content = files("optuna_nas.curves").joinpath(network.FILE).read_bytes()
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    features = network_inputs(STEPS[:12], exponentials(3)[:20, :12], 40.0).features
    (theirs,) = session.run(None, {session.get_inputs()[0].name: features.astype(np.float32)})
    ours = np.array([network.forward(row) for row in features])
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_the_file_is_small():
    assert len(files("optuna_nas.curves").joinpath(network.FILE).read_bytes()) < 1e6


def test_a_breakdown_that_lasts_is_not_expected_to_be_undone():
    losses = np.array([0.7] + [2.1] * 9)
    posterior = Network().fit([], 50.0).predict(Curve(STEPS[:10], losses))
    assert posterior.quantile(0.5) == pytest.approx(2.1, abs=0.3)


def test_it_forecasts_better_than_the_last_value():
    seen, losses = 25, exponentials(1)
    curves = [Curve(STEPS[:seen], row[:seen]) for row in losses]
    ours, stays = (
        [model.fit([], 40.0).predict(curve) for curve in curves]
        for model in (Network(), LastValue())
    )
    finals = losses[:, -1].tolist()
    gain = [a.logpdf(y) - b.logpdf(y) for a, b, y in zip(ours, stays, finals, strict=True)]
    assert np.mean(gain) > 0.3
    inside = [0.05 < a.cdf(y) < 0.95 for a, y in zip(ours, finals, strict=True)]
    assert np.mean(inside) > 0.85


def test_long_curves_are_thinned():
    steps = np.arange(1.0, 3001.0)
    long = Curve(steps, 0.2 + np.exp(-steps / 700.0))
    short = Curve(steps[14::15], long.losses[14::15])
    ours, theirs = (Network().fit([], 4000.0).predict(c) for c in (long, short))
    assert ours.quantile(0.5) == pytest.approx(theirs.quantile(0.5), abs=0.02)


def test_a_curve_without_a_range_is_left_to_the_closed_form():
    curve = Curve(STEPS[:4], np.full(4, 0.5))
    ours, theirs = (model.fit([], 40.0).predict(curve) for model in (Network(), ClosedForm()))
    assert (ours.mean, ours.std) == (theirs.mean, theirs.std)


def test_it_can_be_warmed():
    losses = exponentials(2)
    peers = [Curve(STEPS, row) for row in losses[:20]]
    warm, cold = Warm(Network()).fit(peers, 40.0), Network().fit([], 40.0)
    scores = np.array(
        [
            [p.predict(Curve(STEPS[:8], row[:8])).logpdf(float(row[-1])) for p in (warm, cold)]
            for row in losses[20:80]
        ]
    )
    assert scores[:, 0].mean() > scores[:, 1].mean()
