"""What the strategy knows follows from what finished, however it came in; and it learns."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optuna_nas.search import Fitness, Memory, ParameterEncoding, Request
from optuna_nas.search.fitness import Evidence
from optuna_nas.search.policy import (
    Adam,
    IndependentPolicy,
    Logits,
    PolicyGradient,
    RecurrentPolicy,
    Reinforce,
    ValueRewards,
)
from optuna_nas.search.policy.learner import LOG_PROBABILITIES
from optuna_nas.space.decisions import Categorical, IntegerRange
from tests.optuna_nas.search.policy.example import (
    DOMAINS,
    NB201,
    POLICIES,
    individual,
    layers,
    learner,
    search,
)

policies = pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)


def memory() -> Memory:
    return Memory(ParameterEncoding())


def history(count: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    done = [layers(number, rng) for number in range(count)]
    if count > 4:
        done[3] = replace(done[3], fitness=Fitness((), 0.0, Evidence.FAILURE))
        done[4] = replace(done[4], note={LOG_PROBABILITIES: {"depth": -1.5, "layer0": -0.1}})
    return done


def assert_same(a: PolicyGradient, b: PolicyGradient) -> None:
    assert a.state.count == b.state.count
    assert a.state.baseline == b.state.baseline
    assert a.state.parameters.keys() == b.state.parameters.keys()
    for name, array in a.state.parameters.items():
        np.testing.assert_array_equal(array, b.state.parameters[name])


@settings(deadline=None, max_examples=40)
@given(st.sampled_from([IndependentPolicy(), RecurrentPolicy(3)]), st.integers(0, 40), st.data())
def test_any_order_of_arrival_in_any_portions_equals_replay(policy, count, data):
    individuals = history(count)
    at_once = PolicyGradient(learner(policy=policy), True)
    at_once.observe(individuals, memory())
    in_parts = PolicyGradient(learner(policy=policy), True)
    displaced = data.draw(st.lists(st.integers(0, 12), min_size=count, max_size=count))
    order = sorted(range(count), key=lambda number: number + displaced[number])
    while order:
        size = data.draw(st.integers(1, len(order)))
        portion, order = sorted(order[:size]), order[size:]
        in_parts.observe([individuals[number] for number in portion], memory())
    assert_same(at_once, in_parts)
    assert at_once.state.count == count - count % 3


def test_states_kept_are_few_and_near_what_may_arrive_late():
    individuals = history(900)
    strategy = PolicyGradient(learner(epochs=1), True)
    for done in individuals:
        strategy.observe([done], memory())
    counts = [state.count for state in strategy._states]
    assert counts[0] == 0
    assert len(counts) < 25
    for late in range(900):
        before = max(count for count in counts if count <= late)
        assert 900 - before <= 4 * (900 - late) + 3


def test_replay_trains_once_on_each_batch():
    trained = []

    class Counting(IndependentPolicy):
        def gradient(self, parameters, record, slopes):
            trained.append(slopes.shape[1])
            return super().gradient(parameters, record, slopes)

    strategy = PolicyGradient(learner(policy=Counting()), True)
    strategy.observe(history(30), memory())
    strategy.observe(history(35)[30:], memory())
    assert trained == [3] * (11 * 2)  # two epochs a batch


@policies
def test_the_first_step_of_a_single_one_has_no_gradient(policy):
    one = individual(0, dict.fromkeys(NB201, "c"), -0.9, domains=NB201)
    rewards = ValueRewards(lambda accuracy: accuracy, (True,))
    strategy = PolicyGradient(
        learner(policy=policy, objective=Reinforce(), batch_size=1, epochs=1, rewards=rewards),
        True,
    )
    strategy.observe([one], memory())
    first = strategy.state.parameters
    initial = policy.grown({}, strategy.state.vocabulary)
    for name, array in first.items():
        np.testing.assert_array_equal(array, initial[name])
    better = individual(1, dict.fromkeys(NB201, "d"), -0.95, domains=NB201)
    strategy.observe([better], memory())
    assert any((array != first[n]).any() for n, array in strategy.state.parameters.items())


@pytest.mark.parametrize("objective", ["ppo", "reinforce"])
@pytest.mark.parametrize("policy", [IndependentPolicy(), RecurrentPolicy(16)])
def test_an_additive_bandit_reaches_its_best(policy, objective):
    rng = np.random.default_rng(3)
    gains = {name: rng.permutation(5) for name in NB201}
    best = {name: "abcde"[int(np.argmax(gain))] for name, gain in gains.items()}
    changes = {} if objective == "ppo" else {"objective": Reinforce(), "epochs": 1}
    rate = 0.1 if isinstance(policy, IndependentPolicy) else 0.03
    strategy = PolicyGradient(
        learner(
            policy=policy,
            adam=Adam(rate),
            batch_size=5,
            window=100,
            entropy_weight=0.02,
            logits=Logits(1.0, 2.5),
            **changes,
        ),
        deduplicate=False,
    )

    def loss(params):
        return -float(sum(gains[name]["abcde".index(value)] for name, value in params.items()))

    found = search(strategy, loss, NB201, 600)
    share = np.mean([p[name] == best[name] for p in found[-30:] for name in NB201])
    assert share > 0.85  # 2.5 tanh leaves 3 % to other values


def test_a_coordinated_choice_is_for_the_recurrent_policy():
    """Only equal values are good, and any: independent decisions can but commit to one."""
    domains = {f"op{i}": Categorical((0, 1)) for i in range(4)}
    strategy = PolicyGradient(
        learner(
            policy=RecurrentPolicy(16),
            adam=Adam(0.02),
            batch_size=10,
            window=100,
            epochs=4,
            entropy_weight=0.1,
        ),
        deduplicate=False,
    )

    def loss(params):
        values = list(params.values())
        return -float(sum(a == b for a, b in itertools.pairwise(values)))

    found = search(strategy, loss, domains, 600)
    losses = [loss(params) for params in found[-100:]]
    assert np.mean(losses) < -2.7
    assert {params["op0"] for params in found[-100:]} == {0, 1}


def test_depth_and_its_layers_are_learnt_together():
    rng = np.random.default_rng(0)
    strategy = PolicyGradient(
        learner(policy=RecurrentPolicy(16), adam=Adam(0.02), batch_size=5, epochs=4, window=100),
        deduplicate=False,
    )
    state = memory()
    depths = []
    for number in range(300):
        proposal = strategy.propose(Request(number, DOMAINS, {}, rng), state)
        depth = proposal.params["depth"]
        names = ["depth", *(f"layer{i}" for i in range(depth)), "rate"]
        params = {n: proposal.params.get(n, None) or DOMAINS[n].sample(rng) for n in names}
        loss = -float(depth == 2) - float(params.get("layer1") == "skip" and depth == 2)
        state.encoding.learn(params)
        strategy.observe([individual(number, params, loss, note=proposal.note)], state)
        depths.append((depth, params.get("layer1")))
        if number > 100:
            assert proposal.params.keys() == set(names)  # what does not exist is not proposed
    assert depths[-40:].count((2, "skip")) > 30


def test_proposals_note_their_probability_and_leave_out_what_was_given():
    strategy = PolicyGradient(learner(), True)
    strategy.observe(history(12), memory())
    request = Request(
        12,
        {n: d for n, d in DOMAINS.items() if n != "depth"},
        {"depth": 3, "new": 1},
        np.random.default_rng(0),
    )
    proposal = strategy.propose(request, memory())
    assert proposal.params["depth"] == 3
    assert proposal.params["new"] == 1
    assert proposal.params.keys() == {*DOMAINS, "new"}
    noted = proposal.note[LOG_PROBABILITIES]
    assert noted.keys() == DOMAINS.keys() - {"depth"}
    assert all(-9 < value <= 0 for value in noted.values())


def test_unknown_decisions_are_drawn_at_random_and_not_noted():
    strategy = PolicyGradient(learner(), True)
    domains = {**DOMAINS, "width": IntegerRange(1, 9), "depth": IntegerRange(1, 4)}
    fresh = strategy.propose(Request(0, domains, {}, np.random.default_rng(0)), memory())
    assert fresh.params.keys() == domains.keys()
    assert fresh.note is None
    strategy.observe(history(12), memory())
    proposal = strategy.propose(Request(12, domains, {}, np.random.default_rng(0)), memory())
    assert {"width", "depth"} <= proposal.params.keys()
    assert not {"width", "depth"} & proposal.note[LOG_PROBABILITIES].keys()


def test_known_candidates_are_not_proposed_until_all_are_known():
    domains = {"a": Categorical((0, 1)), "b": Categorical((0, 1, 2))}
    strategy = PolicyGradient(learner(logits=Logits(0.05)), True)
    found = search(strategy, lambda params: -float(params["a"] + params["b"]), domains, 12)
    assert len({tuple(params.items()) for params in found[:6]}) == 6


def test_mutated_candidates_note_the_policys_probability():
    domains = {"a": Categorical((0, 1)), "b": Categorical((0, 1))}
    both = [{"a": value, "b": value} for value in (0, 1)]
    strategy = PolicyGradient(learner(adam=Adam(30.0)), True)  # sure after one step
    state = memory()
    strategy.observe(
        [individual(n, both[n % 2], -(n % 2), domains=domains) for n in range(6)], state
    )
    for number, params in enumerate(both):
        state.archive.finish(number, next(state.encoding.identities(params)))
    proposal = strategy.propose(Request(6, domains, {}, np.random.default_rng(0)), state)
    assert proposal.params not in both
    noted = proposal.note[LOG_PROBABILITIES]
    assert min(noted.values()) < -20  # the policy would never
    assert all(math.isfinite(value) for value in noted.values())
