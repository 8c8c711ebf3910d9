from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate

from optuna_nas.curves import ClosedForm, Curve, LastValue, Parametric, Posterior, Warm
from optuna_nas.curves.cells import MOST_POINTS, NOISES, RATIOS, design
from optuna_nas.curves.closed_form import FLOOR, evaluate, merged
from optuna_nas.curves.shapes import NAMES, shape_matrix


def test_shapes_gain_one_and_losses_lose_one():
    matrix = shape_matrix(np.linspace(0.02, 1.0, 50))
    for name, column in zip(NAMES, matrix.T, strict=True):
        assert column[0] == 0.0
        if name == "constant":
            assert not column.any()
        elif name.startswith("worse"):
            assert column[-1] == pytest.approx(1.0)
        elif not name.startswith("overfitting"):
            assert column[-1] == pytest.approx(-1.0)


def test_evidence_and_forecast_agree_with_numerical_integration():
    """One cell: white noise, one shape; offset and scale integrated on a grid."""
    rng = np.random.default_rng(0)
    horizon, n = 20, 9
    steps = np.arange(1.0, n + 1)
    curve = Curve(steps, 1.0 + 0.5 * np.exp(-steps / 4) + 0.02 * rng.normal(size=n))
    cells = evaluate(design(steps, horizon), curve, scale := float(np.ptp(curve.losses)))
    ratio, noise = list(RATIOS).index(30.0), [x.name for x in NOISES].index("white")
    chosen = [NAMES.index("weibull 0.2 1.0"), NAMES.index("hill 0.1 1.0")]
    shapes = shape_matrix(np.append(steps, horizon) / horizon)

    def density(u, shape):
        """exp of the log density of y, times dσ/σ, in u = log σ; the offset by hand."""
        sigma = np.exp(u)
        residual = curve.losses - 30.0 * sigma * shapes[:-1, shape]
        squares = ((residual - residual.mean()) ** 2).sum() + (FLOOR * scale) ** 2
        return sigma**-n * np.exp(-0.5 * squares / sigma**2) / np.sqrt(n)

    def forecast(u, shape):
        residual = curve.losses - 30.0 * np.exp(u) * shapes[:-1, shape]
        return residual.mean() + 30.0 * np.exp(u) * shapes[-1, shape]

    logs, means = [], []
    for shape in chosen:
        mass, _ = integrate.quad(density, -9, 0, args=(shape,), points=[-4, -3], limit=500)
        first, _ = integrate.quad(
            lambda u, s: density(u, s) * forecast(u, s), -9, 0, args=(shape,), limit=500
        )
        logs.append(np.log(mass))
        means.append(first / mass)
        # Laplace's method gives the mode; the mean is within a fraction of the scale.
        location = cells.locations[noise, shape, ratio]
        assert location == pytest.approx(means[-1], abs=0.2 * cells.scales[noise, shape, ratio])
    found = cells.evidence[noise, chosen, ratio]
    assert found[0] - found[1] == pytest.approx(logs[0] - logs[1], abs=0.05)


def test_a_noiseless_curve_of_the_family_is_continued():
    t = np.arange(1.0, 31.0)
    curve = Curve(t[:10], 0.3 + 0.6 * np.exp(-t[:10] / 6))
    posterior = ClosedForm().fit([], 30.0).predict(curve)
    assert posterior.mean == pytest.approx(0.3 + 0.6 * np.exp(-5), abs=0.05)


def test_a_plateau_may_end():
    """A flat, slightly noisy start leaves a chance of learning late, and more for than against."""
    rng = np.random.default_rng(0)
    curve = Curve(np.arange(1.0, 9.0), 0.9 + 0.001 * rng.normal(size=8))
    posterior = ClosedForm().fit([], 40.0).predict(curve)
    far_better = posterior.prob_better_than(0.88)
    assert far_better > 0.005
    assert far_better > 1.0 - posterior.prob_better_than(0.92)


def test_long_curves_are_reduced():
    assert design(np.arange(1.0, 501.0), 1000.0).operator.shape[1] <= MOST_POINTS


def test_merging_components_keeps_the_distribution():
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.full(4000, 0.5))
    scales = np.exp(rng.normal(-3.0, 1.0, 4000))
    all_of_them = Posterior(weights, rng.normal(0.0, 0.3, 4000), scales, 6, maximize=False)
    few = Posterior(*merged(weights, all_of_them.locations, scales, 6), 6, maximize=False)
    assert len(few.weights) < 800
    assert few.mean == pytest.approx(all_of_them.mean)
    assert few.std == pytest.approx(all_of_them.std)
    for x in np.linspace(-1.5, 1.5, 31):
        assert few.cdf(x) == pytest.approx(all_of_them.cdf(x), rel=0.05, abs=1e-6)
        assert few.logpdf(x) == pytest.approx(all_of_them.logpdf(x), abs=0.05)


def study(seed, runs):
    """Slow starts and a drop of the learning rate that no single curve foretells."""
    rng = np.random.default_rng(seed)
    t = np.arange(1, 41) / 40
    quality = rng.uniform(0, 1, (runs, 1))
    losses = 1.5 - quality * (1 - np.exp(-t / 0.1)) - (0.3 + 0.2 * quality) * (t > 0.5)
    return losses + 0.01 * rng.normal(size=losses.shape)


def mean_error(model, losses, peers):
    steps = np.arange(1.0, 41.0)
    predictor = model.fit([Curve(steps, peer) for peer in peers], 40.0)
    errors = [predictor.predict(Curve(steps[:15], y[:15])).mean - y[-1] for y in losses]
    return float(np.abs(errors).mean())


def test_finished_peers_tell_what_one_curve_cant():
    losses = study(0, 50)
    warm = mean_error(Warm(ClosedForm()), losses[:30], losses[30:])
    cold = mean_error(ClosedForm(), losses[:30], losses[30:])
    assert warm < 0.1
    assert warm < 0.3 * cold


@pytest.mark.parametrize("cold", [ClosedForm(), LastValue(), Parametric()])
def test_any_model_can_be_warmed(cold):
    losses = study(1, 30)
    assert mean_error(Warm(cold), losses[:10], losses[10:]) < 0.2


def test_two_peers_are_too_few_to_learn_from():
    losses = study(2, 3)
    steps = np.arange(1.0, 41.0)
    peers = [Curve(steps, y) for y in losses[1:]]
    curve = Curve(steps[:9], losses[0, :9])
    warm = Warm(ClosedForm()).fit(peers, 40.0).predict(curve)
    assert warm.mean == ClosedForm().fit(peers, 40.0).predict(curve).mean


def test_asking_again_gives_the_same_answer():
    losses = study(3, 20)
    steps = np.arange(1.0, 41.0)
    predictor = Warm(ClosedForm()).fit([Curve(steps, y) for y in losses[1:]], 40.0)
    curve = Curve(steps[:9], losses[0, :9])
    first = predictor.predict(curve)
    again = predictor.predict(curve)
    assert (first.mean, first.std) == (again.mean, again.std)


def test_thousands_of_steps_are_learned_at_few(monkeypatch):
    """A stack is costly; a curve at one of 5,000 steps takes one of at most 128."""
    rng = np.random.default_rng(0)
    steps = np.arange(1.0, 5001.0)
    losses = rng.uniform(0.2, 0.5, (6, 1)) + steps**-0.5
    predictor = Warm(ClosedForm()).fit([Curve(steps, y) for y in losses[1:]], 5000.0)
    fits = []
    learn = predictor._learn
    monkeypatch.setattr(predictor, "_learn", lambda step: fits.append(step) or learn(step))
    for last in (2001, 2002, 2003, 4998, 4999):
        posterior = predictor.predict(Curve(steps[:last], losses[0, :last]))
        assert posterior.mean == pytest.approx(losses[0, -1], abs=0.02)
    assert len(fits) == 2
    assert max(fits) < 5000


@pytest.mark.parametrize("horizon", [3, 10, 51, 127, 128])
def test_short_horizons_are_learned_at_every_step(horizon, monkeypatch):
    steps = np.arange(1.0, horizon + 1.0)
    losses = np.random.default_rng(0).uniform(0.2, 0.5, (6, 1)) + steps**-0.5
    predictor = Warm(LastValue()).fit([Curve(steps, y) for y in losses], float(horizon))
    seen = []
    learn = predictor._learn
    monkeypatch.setattr(predictor, "_learn", lambda step: seen.append(step) or learn(step))
    for last in range(1, horizon):
        predictor.predict(Curve(steps[:last], losses[0, :last]))
    assert np.floor(seen).tolist() == steps[:-1].tolist()
