"""What is drawn follows the policy, has the probability that is told, and exists."""

from __future__ import annotations

import numpy as np
import pytest

from optuna_nas.search import Memory, ParameterEncoding, Request
from optuna_nas.search.policy import Logits
from optuna_nas.search.policy.adam import Moments
from optuna_nas.search.policy.drawing import Draws
from optuna_nas.search.policy.learner import LearnerState
from optuna_nas.search.policy.rollout import Rollout
from optuna_nas.search.policy.shaping import Baseline
from tests.optuna_nas.search.policy.example import (
    DOMAINS,
    POLICIES,
    grown,
    individual,
    layers,
    learner,
)

LOGITS = Logits(0.8, 2.0)


@pytest.fixture(params=POLICIES)
def learnt(request):
    """A learner, a state with some parameters, and the memory of what it was learnt from."""
    rng = np.random.default_rng(0)
    individuals = [layers(number, rng) for number in range(200)]
    policy = POLICIES[request.param]
    vocabulary, parameters = grown(policy, individuals, scale=1.0)
    memory = Memory(ParameterEncoding())
    for done in individuals:
        memory.encoding.learn(done.params)
    state = LearnerState(200, Baseline(0.9), vocabulary, parameters, Moments())
    return learner(policy=policy, logits=LOGITS), state, memory


def asked(params):
    """Names that exist: layers up to the depth."""
    return {"depth", "rate", *(f"layer{i}" for i in range(params["depth"]))}


def test_it_has_the_probability_that_is_told(learnt):
    trained, state, memory = learnt
    draws = Draws(trained, state, Request(200, DOMAINS, {}, np.random.default_rng(0)), memory)
    found = [draws.next() for _ in range(1500)]
    assert all(candidate.keys() == asked(candidate) for candidate in found)
    batch = state.vocabulary.batch([individual(n, params) for n, params in enumerate(found)])
    log_p = Rollout(trained.policy, state.parameters, batch, LOGITS).log_probabilities
    for row, candidate in enumerate(found[:100]):
        told = draws.log_probabilities(candidate)
        assert told.keys() == candidate.keys()
        for column, decision in enumerate(batch.decisions):
            assert told.get(decision.name, 0.0) == pytest.approx(log_p[row, column], abs=6e-5)
    # Of all that begins alike, the shares are the probabilities.
    for depth in (1, 2, 3):
        those = batch.choices[:, 0] == depth - 1
        expected = np.exp(log_p[those, 0])
        assert np.ptp(expected) < 1e-12
        assert those.mean() == pytest.approx(expected[0], abs=0.04)
        pools = batch.choices[those, 1] == 1
        expected = np.exp(log_p[those, 1])[pools]
        assert np.ptp(expected) < 1e-12
        assert pools.mean() == pytest.approx(expected[0], abs=0.1)


def test_what_is_fixed_is_certain_and_seen_by_what_follows(learnt):
    trained, state, memory = learnt
    free = {name: domain for name, domain in DOMAINS.items() if name != "depth"}
    shares = []
    for depth in (1, 3):
        request = Request(200, free, {"depth": depth}, np.random.default_rng(0))
        draws = Draws(trained, state, request, memory)
        found = [draws.next() for _ in range(300)]
        assert all(candidate["depth"] == depth for candidate in found)
        assert all(candidate.keys() == asked(candidate) for candidate in found)
        assert draws.log_probabilities(found[0]).keys() == asked(found[0]) - {"depth"}
        shares.append({round(draws.log_probabilities(c)["layer0"], 4) for c in found})
    recurrent = trained.policy is POLICIES["recurrent"]
    assert shares[0].isdisjoint(shares[1]) == recurrent
