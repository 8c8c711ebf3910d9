from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import chisquare

from keras_nas.supernet.policies import (
    BinaryGatesPolicy,
    DirichletPolicy,
    FairPolicy,
    GivenPolicy,
    GumbelPolicy,
    PathPolicy,
    SigmoidPolicy,
    SoftmaxPolicy,
    UniformPolicy,
)
from keras_nas.supernet.policies.dirichlet import log_gamma_variate
from optuna_nas.errors import SupernetError
from optuna_nas.supergraph import Alternatives

OPERATION = Alternatives("op", ("conv", "skip", "none", "pool", "separable"))
SINGLE = Alternatives("single", (7,))
PAIR = Alternatives("pair", (3, 5))
EDGES = Alternatives("edges", ("0+1", "0+2", "1+2"), options=("0", "1", "2"))
DECISIONS = {d.name: d for d in (OPERATION, SINGLE, PAIR, EDGES)}
LEARNED: list[PathPolicy] = [
    SoftmaxPolicy(),
    SoftmaxPolicy(edge_gates=True),
    DirichletPolicy(),
    DirichletPolicy(edge_gates=True),
    SigmoidPolicy(),
    GumbelPolicy(),
    BinaryGatesPolicy(),
]
ALPHA = np.array([0.5, -1.0, 0.2, 1.5, -0.3])


def alphas_of(policy: PathPolicy, seed: int = 0, scale: float = 1.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    start = policy.initial_alphas(DECISIONS, rng)
    return {name: scale * rng.standard_normal(alpha.size) for name, alpha in start.items()}


def slopes(function: Callable[[np.ndarray], float], at: np.ndarray, h: float = 1e-5) -> np.ndarray:
    units = np.eye(at.size) * h
    return np.array([(function(at + u) - function(at - u)) / (2 * h) for u in units])


def softmax(x: np.ndarray) -> np.ndarray:
    return np.exp(x) / np.exp(x).sum()


@pytest.mark.parametrize("policy", LEARNED, ids=repr)
def test_alphas_start_small_and_gates_have_their_sizes(policy: PathPolicy) -> None:
    alphas = policy.initial_alphas(DECISIONS, np.random.default_rng(0))
    assert ("edges" in alphas) == getattr(policy, "edge_gates", False)
    assert all(0 < np.abs(alpha).max() < 0.01 for alpha in alphas.values())

    sample = policy.gates(DECISIONS, alphas, 0.5, np.random.default_rng(0))

    assert {name: gate.shape for name, gate in sample.gates.items()} == {
        name: (d.size,) for name, d in DECISIONS.items()
    }
    ones = {name: np.ones(d.size) for name, d in DECISIONS.items()}
    assert {n: g.shape for n, g in sample.backward(ones).items()} == {
        name: alpha.shape for name, alpha in alphas.items()
    }
    shares = policy.probabilities(DECISIONS, alphas)
    assert {name: share.shape for name, share in shares.items()} == {
        name: (d.size,) for name, d in DECISIONS.items()
    }


@pytest.mark.parametrize(
    "policy",
    [p for p in LEARNED if not p.hard],
    ids=repr,
)
@pytest.mark.parametrize("seed", [0, 1])
def test_backward_of_a_mixture_is_the_slope_of_its_gates(policy: PathPolicy, seed: int) -> None:
    alphas = alphas_of(policy, seed)
    directions = {
        name: np.random.default_rng(9).normal(size=d.size) for name, d in DECISIONS.items()
    }

    def value(name: str, alpha: np.ndarray) -> float:
        rng = np.random.default_rng(seed)  # the same quantiles for every alpha
        gates = policy.gates(DECISIONS, {**alphas, name: alpha}, 0.5, rng).gates
        return float(gates[name] @ directions[name])

    gradient = policy.gates(DECISIONS, alphas, 0.5, np.random.default_rng(seed)).backward(
        directions
    )

    assert set(gradient) == set(alphas)
    for name in alphas:
        expected = slopes(lambda alpha, name=name: value(name, alpha), alphas[name])
        np.testing.assert_allclose(gradient[name], expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("progress", [0.0, 0.9])
def test_backward_of_gumbel_is_the_slope_of_its_relaxation(progress: float) -> None:
    direction = np.array([1.0, -2.0, 0.5, 3.0, 0.1])
    sample = GumbelPolicy().gates(
        {"op": OPERATION}, {"op": ALPHA}, progress, np.random.default_rng(3)
    )
    noise = np.random.default_rng(3).gumbel(size=5)
    temperature = 10 - 9.9 * progress

    expected = slopes(lambda a: direction @ softmax((a + noise) / temperature), ALPHA)

    assert sample.gates["op"].tolist() == np.eye(5)[(ALPHA + noise).argmax()].tolist()
    np.testing.assert_allclose(sample.backward({"op": direction})["op"], expected, rtol=1e-6)


def test_backward_of_binary_gates_is_the_published_sum() -> None:
    gradient = np.array([1.0, -2.0, 0.5, 3.0, 0.1])
    p = softmax(ALPHA)
    expected = [sum(gradient[j] * p[j] * ((i == j) - p[i]) for j in range(5)) for i in range(5)]

    sample = BinaryGatesPolicy().gates(
        {"op": OPERATION}, {"op": ALPHA}, 0.0, np.random.default_rng(0)
    )

    np.testing.assert_allclose(sample.backward({"op": gradient})["op"], expected)


@pytest.mark.parametrize("policy", [GumbelPolicy(), BinaryGatesPolicy()], ids=repr)
def test_paths_are_drawn_as_often_as_their_softmax_says(policy: PathPolicy) -> None:
    rng = np.random.default_rng(0)
    draws = 4000

    total = np.zeros(5)
    for _ in range(draws):
        (gates,) = policy.paths({"op": OPERATION}, {"op": ALPHA}, 0.3, rng)
        assert sorted(gates["op"]) == [0, 0, 0, 0, 1]
        total += gates["op"]

    assert chisquare(total, draws * softmax(ALPHA)).pvalue > 0.01
    np.testing.assert_allclose(
        policy.probabilities({"op": OPERATION}, {"op": ALPHA})["op"], softmax(ALPHA)
    )


@pytest.mark.parametrize("policy", [GumbelPolicy(), BinaryGatesPolicy(), UniformPolicy()], ids=repr)
def test_single_paths_draw_subsets_uniformly(policy: PathPolicy) -> None:
    rng = np.random.default_rng(0)
    alphas = policy.initial_alphas({"edges": EDGES}, rng)
    drawn = [
        tuple(policy.gates({"edges": EDGES}, alphas, 0.5, rng).gates["edges"]) for _ in range(900)
    ]

    counts = [drawn.count(subset) for subset in [(1, 1, 0), (1, 0, 1), (0, 1, 1)]]

    assert sum(counts) == 900
    assert chisquare(counts).pvalue > 0.01
    np.testing.assert_allclose(policy.probabilities({"edges": EDGES}, alphas)["edges"], 2 / 3)


def test_mixtures_add_all_edges_unless_these_have_gates() -> None:
    rng = np.random.default_rng(0)
    plain = SoftmaxPolicy().gates(DECISIONS, alphas_of(SoftmaxPolicy()), 0, rng).gates["edges"]
    gated = SoftmaxPolicy(edge_gates=True)
    weighed = gated.gates(DECISIONS, {"edges": np.log([1.0, 2.0, 5.0])}, 0, rng).gates["edges"]

    assert plain.tolist() == [1, 1, 1]
    np.testing.assert_allclose(weighed, [0.125, 0.25, 0.625])


def test_the_supernet_as_it_stands_adds_what_its_weights_were_trained_to_add() -> None:
    alphas = {"op": ALPHA}
    pairs = {"op": OPERATION, "edges": EDGES}

    mixed = SoftmaxPolicy().mixture(pairs, alphas)
    drawn = GumbelPolicy().mixture(pairs, alphas)

    np.testing.assert_allclose(mixed["op"], softmax(ALPHA))
    assert mixed["edges"].tolist() == [1, 1, 1]
    np.testing.assert_allclose(drawn["edges"], 2 / 3)  # of three edges a path has two
    np.testing.assert_allclose(UniformPolicy().mixture(pairs, {})["op"], 0.2)


def test_softmax_does_not_overflow() -> None:
    alphas = {"op": np.array([1000.0, 0, -1000, 0, 0])}

    gates = SoftmaxPolicy().gates({"op": OPERATION}, alphas, 0, np.random.default_rng(0)).gates

    assert gates["op"].tolist() == [1, 0, 0, 0, 0]


def test_dirichlet_draws_have_the_moments_of_their_distribution() -> None:
    alpha = np.array([0.5, -1.0, 0.2, -3.0, 2.0])
    beta = np.array([1.5, np.exp(-1), 1.2, np.exp(-3), 3.0])
    total = beta.sum()
    rng = np.random.default_rng(0)

    drawn = np.array(
        [
            DirichletPolicy().gates({"op": OPERATION}, {"op": alpha}, 0, rng).gates["op"]
            for _ in range(6000)
        ]
    )

    mean = beta / total
    variance = mean * (1 - mean) / (total + 1)
    np.testing.assert_allclose(drawn.sum(axis=1), 1)
    np.testing.assert_allclose(drawn.mean(axis=0), mean, atol=4 * np.sqrt(variance.max() / 6000))
    np.testing.assert_allclose(drawn.var(axis=0), variance, rtol=0.1)
    np.testing.assert_allclose(
        DirichletPolicy().probabilities({"op": OPERATION}, {"op": alpha})["op"], mean
    )


def test_dirichlet_gradient_is_that_of_the_mean_on_average() -> None:
    alpha = np.array([0.5, -1.0, 0.2, -0.5, 1.0])
    direction = np.array([1.0, 0, -1.0, 2.0, 0])
    rng = np.random.default_rng(0)
    draws = 3000

    def mean(alpha: np.ndarray) -> float:
        beta = np.where(alpha > 0, alpha + 1, np.exp(alpha))
        return float(direction @ beta / beta.sum())

    gradients = np.array(
        [
            DirichletPolicy()
            .gates({"op": OPERATION}, {"op": alpha}, 0, rng)
            .backward({"op": direction})["op"]
            for _ in range(draws)
        ]
    )

    error = gradients.std(axis=0) / np.sqrt(draws)
    assert np.all(np.abs(gradients.mean(axis=0) - slopes(mean, alpha)) < 4 * error)


@pytest.mark.parametrize("shape", [1e-6, 0.05, 1.0, 30.0])
def test_slope_of_a_gamma_variate_is_that_of_its_quantile(shape: float) -> None:
    first, second = np.array([0.01, 0.4, 0.99]), np.array([0.9, 0.2, 0.6])
    shapes = np.full(3, shape)
    h = 1e-5 * shape

    logs, slope = log_gamma_variate(shapes, first, second)
    ahead, behind = (log_gamma_variate(shapes + s, first, second)[0] for s in (h, -h))

    assert np.all(np.isfinite(logs))
    np.testing.assert_allclose(slope, (ahead - behind) / (2 * h), rtol=1e-4)


def test_dirichlet_survives_extreme_alphas() -> None:
    alpha = np.array([-500.0, -40.0, 0.0, -800.0, 900.0])
    rng = np.random.default_rng(0)
    for _ in range(20):
        sample = DirichletPolicy().gates({"op": OPERATION}, {"op": alpha}, 0, rng)
        assert np.isclose(sample.gates["op"].sum(), 1)
        assert np.all(np.isfinite(sample.backward({"op": np.arange(5.0)})["op"]))


@pytest.mark.parametrize("policy", [SigmoidPolicy(), DirichletPolicy()], ids=repr)
def test_penalty_has_its_slope(policy: PathPolicy) -> None:
    alphas = alphas_of(policy, scale=2.0)

    value, gradient = policy.penalty(alphas)

    assert value != 0
    for name, alpha in alphas.items():
        expected = slopes(lambda a, name=name: policy.penalty({**alphas, name: a})[0], alpha)
        np.testing.assert_allclose(gradient[name], expected, rtol=1e-5, atol=1e-9)


def test_penalties_have_the_published_values() -> None:
    alphas = {"a": np.array([0.0, 2.0]), "b": np.array([-1.0])}
    spread = (expit([0.0, 2.0, -1.0]) - 0.5) ** 2

    assert SigmoidPolicy().penalty(alphas)[0] == pytest.approx(-10 * spread.mean())
    assert DirichletPolicy().penalty(alphas)[0] == pytest.approx(
        1e-3 * (2.0**2 + (np.exp(-1) - 1) ** 2)
    )
    assert SoftmaxPolicy().penalty(alphas) == (0.0, {})


@pytest.mark.parametrize("policy", [*LEARNED, UniformPolicy(), FairPolicy()], ids=repr)
def test_a_seed_gives_one_sequence(policy: PathPolicy) -> None:
    alphas = alphas_of(policy)

    def sequence(seed: int) -> list[list[float]]:
        rng = np.random.default_rng(seed)
        return [
            np.concatenate([*gates.values()]).tolist()
            for _ in range(5)
            for gates in policy.paths(DECISIONS, alphas, 0.5, rng)
        ]

    assert sequence(0) == sequence(0)
    if policy.hard or isinstance(policy, DirichletPolicy):
        assert sequence(0) != sequence(1)


@settings(max_examples=50, deadline=None)
@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_fairness_within_a_step(sizes: list[int], seed: int) -> None:
    decisions = {str(i): Alternatives(str(i), tuple(range(n))) for i, n in enumerate(sizes)}

    steps = FairPolicy().paths(decisions, {}, 0.0, np.random.default_rng(seed))

    assert len(steps) == max(sizes)
    for name, decision in decisions.items():
        counts = sum(gates[name] for gates in steps)
        assert counts.sum() == len(steps)
        assert counts.max() - counts.min() <= 1
        if decision.size == max(sizes):
            assert counts.tolist() == [1] * decision.size


def test_fair_steps_follow_choices_not_subsets() -> None:
    rng = np.random.default_rng(0)

    assert len(FairPolicy().paths({"pair": PAIR, "edges": EDGES}, {}, 0.0, rng)) == 2
    assert len(FairPolicy().paths({"edges": EDGES}, {}, 0.0, rng)) == 3
    assert FairPolicy().paths({}, {}, 0.0, rng) == [{}]


def test_uniform_paths_take_values_alike() -> None:
    rng = np.random.default_rng(0)
    total = sum(
        UniformPolicy().gates({"op": OPERATION}, {}, 0, rng).gates["op"] for _ in range(2000)
    )

    assert chisquare(total).pvalue > 0.01
    assert not UniformPolicy.learns
    assert UniformPolicy().initial_alphas(DECISIONS, rng) == {}


def test_given_paths_are_those_of_the_controller() -> None:
    def controller(rng: np.random.Generator) -> Mapping[str, object]:
        return {"op": OPERATION.values[rng.integers(2)], "edges": "0+2"}

    gates = GivenPolicy(controller).gates(DECISIONS, {}, 0.0, np.random.default_rng(0)).gates

    assert gates["op"][:2].sum() == 1
    assert gates["edges"].tolist() == [1, 0, 1]
    assert gates["pair"].tolist() == [0, 0]


def test_a_controller_must_give_values_of_the_space() -> None:
    policy = GivenPolicy(lambda rng: {"pair": 4})
    with pytest.raises(SupernetError, match=r"gave 4 for 'pair', expected one of \[3, 5\]"):
        policy.gates(DECISIONS, {}, 0.0, np.random.default_rng(0))


def test_temperatures_must_be_above_zero() -> None:
    with pytest.raises(SupernetError, match=r"above 0, got start=10.0, end=0"):
        GumbelPolicy(end=0)
