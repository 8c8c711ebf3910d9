"""Gradients of both policies under both objectives, by finite differences and in expectation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from optuna_nas.search.policy import Logits, ProximalPolicy, Reinforce
from optuna_nas.search.policy.objectives import importance_weights
from optuna_nas.search.policy.rollout import Rollout
from optuna_nas.space.decisions import Categorical
from tests.optuna_nas.search.policy.example import NB201, POLICIES, grown, individual, layers

policies = pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)


@policies
@pytest.mark.parametrize("objective", [Reinforce(), ProximalPolicy()])
@pytest.mark.parametrize("logits", [Logits(), Logits(temperature=1.5, tanh_constant=2.0)])
def test_finite_differences(policy, objective, logits):
    rng = np.random.default_rng(0)
    individuals = [layers(number, rng) for number in range(7)]
    vocabulary, parameters = grown(policy, individuals)
    batch = vocabulary.batch(individuals)
    assert (batch.choices < 0).any()  # some don't have all decisions
    rollout = Rollout(policy, parameters, batch, logits)
    decided = batch.choices >= 0
    # Far enough off the policy that some ratios are clipped.
    before = rollout.log_probabilities + 0.4 * rng.standard_normal(decided.shape) * decided
    gains = rng.standard_normal(7)
    entropy_weight = 0.3

    def loss(changed):
        view = Rollout(policy, changed, batch, logits)
        value, _ = objective(view.log_probabilities, before, gains)
        return value - entropy_weight * view.entropies.sum()

    _, slopes = objective(rollout.log_probabilities, before, gains)
    gradient = rollout.gradient(slopes, -entropy_weight)
    assert gradient.keys() == parameters.keys()
    for name, array in parameters.items():
        direction = rng.standard_normal(array.shape)
        step = 1e-6
        up, down = (loss({**parameters, name: array + sign * step * direction}) for sign in (1, -1))
        expected = (up - down) / (2 * step)
        assert np.vdot(gradient[name], direction) == pytest.approx(expected, rel=1e-5, abs=1e-7)
        assert abs(expected) > 1e-4


@policies
def test_the_expected_score_is_zero(policy):
    domains = {"a": Categorical((0, 1, 2)), "b": Categorical((0, 1)), "c": Categorical((0, 1, 2))}
    everything = [
        individual(n, dict(zip(domains, values, strict=True)), domains=domains)
        for n, values in enumerate(itertools.product((0, 1, 2), (0, 1), (0, 1, 2)))
    ]
    vocabulary, parameters = grown(policy, everything)
    rollout = Rollout(policy, parameters, vocabulary.batch(everything), Logits(2.0, 3.0))
    p = np.exp(rollout.log_probabilities.sum(axis=1))
    assert p.sum() == pytest.approx(1.0)
    assert p.max() > 1.3 * p.min()
    gradient = rollout.gradient(np.broadcast_to(p[:, None], rollout.entropies.shape), 0.0)
    assert all(np.abs(array).max() < 1e-12 for array in gradient.values())


@policies
def test_entropy_starts_at_that_of_the_uniform_distribution(policy):
    cell = individual(0, dict.fromkeys(NB201, "a"), domains=NB201)
    vocabulary, _ = grown(policy, [cell])
    parameters = policy.grown({}, vocabulary)
    rollout = Rollout(policy, parameters, vocabulary.batch([cell]), Logits())
    assert rollout.entropies.sum() == pytest.approx(6 * math.log(5))
    assert rollout.log_probabilities.sum() == pytest.approx(-6 * math.log(5))


def test_weights_of_an_older_policy():
    behaviour = np.log([[0.5, 0.5], [0.5, 0.1], [0.5, 0.5], [0.9, 0.9]])
    now = np.log([[0.5, 0.5], [0.5, 0.5], [0.25, 0.5], [0.08, 0.08]])
    # As it was, more likely by now, less likely, and hardly any more.
    np.testing.assert_allclose(importance_weights(now, behaviour), [1.0, 1.5, 0.5, 0.0])


def test_reinforce_by_hand():
    log_p = np.log([[0.5, 0.25], [1.0, 0.125]])
    loss, slopes = Reinforce()(log_p, log_p, np.array([2.0, -1.0]))
    assert loss == pytest.approx(2 * math.log(8) - math.log(8))
    np.testing.assert_array_equal(slopes, [[-2.0, -2.0], [1.0, 1.0]])


def test_clipped_choices_have_no_slope():
    ratios = np.array([[1.0, 1.3], [1.3, 0.7]])
    loss, slopes = ProximalPolicy(clip=0.2)(np.log(ratios), np.zeros((2, 2)), np.array([1.0, -1.0]))
    np.testing.assert_allclose(slopes, [[-1.0, 0.0], [1.3, 0.0]])
    assert loss == pytest.approx(-(1.0 + 1.2) + (1.3 + 0.8))
