from __future__ import annotations

import numpy as np
import pytest

from keras_nas.supernet.network import SuperNetwork
from keras_nas.supernet.steps import Descent, steps_of
from optuna_nas import SearchSpace
from optuna_nas.graph import get_operation
from optuna_nas.spaces import chain_cnn, darts, nas_bench_201
from optuna_nas.supergraph import SuperGraph
from tests.keras_nas.supernet.tiny import CHOICE, SPACE, array, examples

GRAPH = SuperGraph.of(SPACE)
NETWORK = SuperNetwork(GRAPH, seed=0)
X, Y = examples()


@pytest.mark.parametrize("seed", range(6))
def test_one_architecture_is_the_same_in_all_three_ways(seed: int) -> None:
    hot = GRAPH.hot(SPACE.sample(np.random.default_rng(seed)))
    flat = NETWORK.flat(hot)
    fixed = array(NETWORK.fixed(X, hot))
    np.testing.assert_allclose(array(NETWORK.soft(X, flat)), fixed, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(array(NETWORK.hard(X, flat)), fixed, rtol=1e-5, atol=1e-6)


def test_a_mixture_is_its_branches_weighed_by_their_gates() -> None:
    graph = SuperGraph.of(CHOICE)
    network = SuperNetwork(graph, seed=0)
    gates = np.array([0.1, 0.2, 0.3, 0.4])
    kernel, bias = (array(w) for w in network.layers["logits#1"].weights)

    def pooled(weights: np.ndarray) -> np.ndarray:  # the last layers are linear
        return (array(network.soft(X, weights.astype(np.float32))) - bias) @ np.linalg.pinv(kernel)

    single = [pooled(row) for row in np.eye(4)]
    np.testing.assert_allclose(
        pooled(gates), sum(g * s for g, s in zip(gates, single, strict=True)), atol=1e-5
    )


def test_gates_fill_one_vector_and_come_back() -> None:
    gates = GRAPH.hot(SPACE.sample(np.random.default_rng(0)))
    flat = NETWORK.flat(gates)
    assert flat.shape == (4 + 3 + 3 + 3,)
    back = NETWORK.by_decision(flat)
    assert all(np.array_equal(back[name], gates[name]) for name in gates)


def test_the_seed_decides_the_weights() -> None:
    def weights(seed: int) -> list[np.ndarray]:
        return [array(v) for v in SuperNetwork(GRAPH, seed=seed).trainable_variables]

    first, same, other = weights(0), weights(0), weights(1)
    assert all(np.array_equal(a, b) for a, b in zip(first, same, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_normalisations_that_are_decided_have_scales_only_if_affine() -> None:
    plain, affine = SuperNetwork(GRAPH), SuperNetwork(GRAPH, affine=True)
    norms = [name for name, p in GRAPH.places.items() if p.op == "batch_normalization"]
    assert set(affine.scales) == set(norms)
    assert set(plain.scales) == {name for name in norms if not GRAPH.places[name].decided}
    assert 0 < len(plain.scales) < len(affine.scales)
    assert affine.count_params() > plain.count_params()


def test_darts_has_as_many_weights_as_its_graph_counts() -> None:
    # That the graph of 16 channels and 8 cells counts the 1,930,618 of Liu et al. (2019) is a test
    # of the graph's; Keras takes its time to make so many variables.
    graph = SuperGraph.of(darts(input_shape=(8, 8, 3), channels=4, cells=3))
    counted = 0
    for place in graph.places.values():
        if place.op != "batch_normalization" or not place.decided:
            counted += get_operation(place.op).params(place.attributes, place.inputs)
    assert SuperNetwork(graph, seed=0).count_params() == counted


# --- gradients --------------------------------------------------------------------------------


def random_gates(network: SuperNetwork, seed: int = 0) -> np.ndarray:
    total = sum(network.sizes.values())
    return np.random.default_rng(seed).uniform(0.1, 0.9, total)


@pytest.mark.parametrize("auxiliary", [None, 0.5])
def test_gradients_in_gates_are_those_of_finite_differences(auxiliary: float | None) -> None:
    steps = steps_of(NETWORK, Descent())
    gates = random_gates(NETWORK)
    (loss, _), gradient = steps.gate_gradient((X, Y), gates, hard=False, auxiliary=auxiliary)
    for direction in np.eye(len(gates)):
        ahead, behind = (
            steps.gate_gradient((X, Y), gates + h * direction, hard=False, auxiliary=auxiliary)[0]
            for h in (1e-3, -1e-3)
        )
        assert gradient @ direction == pytest.approx((ahead[0] - behind[0]) / 2e-3, abs=4e-3)
    assert np.abs(gradient).max() > 0.02
    assert loss > 0


def test_a_chosen_gate_has_the_same_gradient_as_in_the_mixture() -> None:
    network = SuperNetwork(SuperGraph.of(CHOICE), seed=0)
    steps = steps_of(network, Descent())
    gates = np.array([0.0, 0.0, 0.0, 1.0])
    _, soft = steps.gate_gradient((X, Y), gates, hard=False, auxiliary=None)
    _, hard = steps.gate_gradient((X, Y), gates, hard=True, auxiliary=None)
    assert hard[3] == pytest.approx(soft[3], abs=1e-6)
    assert np.all(hard[:3] == 0)
    assert soft[2] != 0


def test_the_auxiliary_skip_adds_what_the_mixture_reads() -> None:
    network = SuperNetwork(SuperGraph.of(CHOICE), seed=0)
    gates = np.array([0.0, 0.7, 0.0, 0.0], np.float32)  # the operations: none, skip, pool, conv
    with_skip = network.soft(X, gates, auxiliary=np.float32(0.3))
    whole = network.soft(X, np.array([0.0, 1.0, 0.0, 0.0], np.float32))
    np.testing.assert_allclose(array(with_skip), array(whole), atol=1e-6)


# --- steps of the weights ---------------------------------------------------------------------


def stepped(descent: Descent, *gates: np.ndarray) -> tuple[list[np.ndarray], ...]:
    """Weights before and after a step at rate 0.1, and the velocity."""
    network = SuperNetwork(SuperGraph.of(CHOICE), seed=0)
    before = [array(v) for v in network.trainable_variables]
    steps = steps_of(network, descent)
    steps.train((X, Y), np.stack(gates), 0.1, hard=False, auxiliary=None)
    return before, [array(v) for v in network.trainable_variables], steps.velocity


def test_a_step_is_gradient_descent_with_momentum_decay_and_clipping() -> None:
    gates = np.full(4, 0.25)
    before, after, velocity = stepped(Descent(weight_decay=0.0, clip_norm=1e-3), gates)
    assert np.sqrt(sum((v**2).sum() for v in velocity)) == pytest.approx(1e-3, rel=1e-4)
    for w0, w1, v in zip(before, after, velocity, strict=True):
        np.testing.assert_allclose(w1, w0 - 0.1 * v, atol=1e-6)
    _, _, gradient = stepped(Descent(weight_decay=0.0, clip_norm=1e9), gates)
    before, _, decayed = stepped(Descent(weight_decay=0.5, clip_norm=1e9), gates)
    for w, g, v in zip(before, gradient, decayed, strict=True):
        np.testing.assert_allclose(v, g + 0.5 * w, atol=1e-5)


def test_momentum_keeps_its_share_of_the_last_step() -> None:
    network = SuperNetwork(SuperGraph.of(CHOICE), seed=0)
    steps = steps_of(network, Descent(momentum=0.5, weight_decay=0.0, clip_norm=1e9))
    # Without a learning rate the gradient stays the same.
    for _ in range(2):
        steps.train((X, Y), np.full((1, 4), 0.25), 0.0, hard=False, auxiliary=None)
    _, _, gradient = stepped(Descent(weight_decay=0.0, clip_norm=1e9), np.full(4, 0.25))
    for v, g in zip(steps.velocity, gradient, strict=True):
        np.testing.assert_allclose(v, 1.5 * g, rtol=1e-4, atol=1e-6)


def test_gradients_of_several_paths_are_added_up() -> None:
    plain = Descent(weight_decay=0.0, clip_norm=1e9)
    paths = np.eye(4)[1:]
    singles = [stepped(plain, path)[2] for path in paths]
    together = stepped(plain, *paths)[2]
    for parts, found in zip(zip(*singles, strict=True), together, strict=True):
        np.testing.assert_allclose(found, np.sum(parts, axis=0), atol=1e-6)


@pytest.mark.parametrize(
    "space",
    [
        nas_bench_201(input_shape=(8, 8, 2), classes=3, channels=2, cells=1),
        chain_cnn(input_shape=(8, 8, 2), classes=3),
    ],
    ids=lambda space: space.name,
)
def test_ready_spaces_agree_with_their_mixtures(space: SearchSpace) -> None:
    graph = SuperGraph.of(space)
    network = SuperNetwork(graph, seed=0)
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 2)).astype(np.float32)
    hot = graph.hot(space.sample(np.random.default_rng(1)))
    soft = array(network.soft(x, network.flat(hot), training=False))
    np.testing.assert_allclose(soft, array(network.fixed(x, hot)), rtol=1e-4, atol=1e-5)
