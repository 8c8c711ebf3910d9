from __future__ import annotations

import pickle
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optuna_nas import spaces as ready
from optuna_nas.errors import (
    GenotypeError,
    InfeasibleArchitectureError,
    ProfilingError,
)
from optuna_nas.graph import Operation, operations
from optuna_nas.profiling import LatencyPredictor
from optuna_nas.profiling.fusion import FusedOperation
from optuna_nas.profiling.genotype_costs import GenotypeCosts, total
from optuna_nas.space import (
    Choice,
    Genotype,
    Given,
    Let,
    Maybe,
    Parallel,
    Repeat,
    Scope,
    SearchSpace,
    Tied,
    batch_normalization,
    conv,
    flatten,
    global_average_pooling,
    identity,
    layer,
    zero,
)
from tests.strategies import spaces

NAMES = [name for name in ready.__all__ if name != "training_decisions"]


def cost(operation: FusedOperation) -> float:
    """Any number that belongs to an operation and to no other."""
    return zlib.crc32(operation.key.encode()) % 1000 + 1.0


def check(space: SearchSpace, genotypes: list[Genotype]) -> None:
    """Sums are those of whole graphs, the first time and when all is known."""
    costs = GenotypeCosts(space, cost)
    whole = [total(space.graph(genotype), cost) for genotype in genotypes]
    for _ in range(2):
        assert [costs(genotype) for genotype in genotypes] == pytest.approx(whole)


@given(spaces(), st.integers(0, 10_000))
@settings(deadline=None)
def test_sums_are_those_of_whole_graphs(space, seed):
    rng = np.random.default_rng(seed)
    check(space, [space.sample(rng) for _ in range(8)])


@pytest.mark.parametrize("name", NAMES)
def test_so_they_are_in_the_ready_spaces(name):
    space = getattr(ready, name)()
    rng = np.random.default_rng(1)
    check(space, [space.sample(rng) for _ in range(10)])


def test_a_given_is_read_where_it_stands_and_a_tie_everywhere():
    kernel = Tied(conv(8, Choice("kernel", [1, 3])))
    block = [conv(Given("width"), Choice("kernel", [1, 3])), kernel]
    stage = [Let(Choice("width", [4, 8])), Repeat("block", 1, 3, block)]
    # The decision of the tie is named as one of the scope is.
    body = [Scope("a", stage), Scope("b", stage), Scope("kernel", kernel)]
    space = SearchSpace(
        "given", input_shape=(8, 8, 3), classes=2, body=[*body, global_average_pooling()]
    )
    rng = np.random.default_rng(0)
    check(space, [space.sample(rng) for _ in range(60)])


def test_what_stands_before_zeros_costs_nothing():
    body = [conv(4), Maybe("gone", zero()), conv(8), global_average_pooling()]
    space = SearchSpace("zeros", input_shape=(8, 8, 3), classes=2, body=body)
    costs = GenotypeCosts(space, cost)
    gone, there = (space.genotype({"gone": value}) for value in (True, False))
    for _ in range(2):
        assert costs(gone) == 0.0
        assert costs(there) == total(space.graph(there), cost) > 0.0


def test_zeros_that_are_multiplied_in_are_met_alike():
    pooled = [global_average_pooling(), layer("reshape", target_shape=(1, 1, 4)), zero()]
    gated = Parallel([identity(), pooled], "multiply")
    body = [conv(4), Maybe("gone", gated), Maybe("more", conv(4)), global_average_pooling()]
    space = SearchSpace("gated", input_shape=(8, 8, 3), classes=2, body=body)
    check(space, list(space.genotypes()))


def test_blocks_of_a_users_own_may_read_constants(monkeypatch):
    def macs(attributes, inputs):
        return inputs[0][-1] * inputs[1][-1]

    gate = Operation("costs_gate", lambda attributes, inputs: inputs[0], macs=macs)
    monkeypatch.setitem(operations._OPERATIONS, gate.name, gate)
    constant = [zero(), batch_normalization()]
    body = [Parallel([identity(), constant], Choice("merge", ["costs_gate", "add"]))]
    body.append(global_average_pooling())
    space = SearchSpace("own", input_shape=(8, 8, 3), classes=2, body=body)
    check(space, list(space.genotypes()))


def test_what_was_learnt_is_forgotten_before_it_is_too_much(monkeypatch):
    monkeypatch.setattr(GenotypeCosts, "MAX_STEPS", 5)
    space = ready.chain_cnn()
    rng = np.random.default_rng(2)
    check(space, [space.sample(rng) for _ in range(20)])


def test_threads_share_what_is_known(monkeypatch):
    monkeypatch.setattr(GenotypeCosts, "MAX_STEPS", 20)
    space = ready.chain_cnn()
    rng = np.random.default_rng(3)
    genotypes = [space.sample(rng) for _ in range(40)] * 5
    costs = GenotypeCosts(space, cost)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(costs, genotypes))
    assert found == pytest.approx([total(space.graph(genotype), cost) for genotype in genotypes])


def predictor(space: SearchSpace | None) -> LatencyPredictor:
    return LatencyPredictor(0.1, 0.5, 0.2, 0.01, {"conv2d 3x3": 0.3}, {"cpu": "none"}, space)


def test_predictors_and_their_copies_predict_genotypes():
    space = ready.chain_cnn()
    genotype = space.sample(np.random.default_rng(0))
    fitted = predictor(space)
    expected = fitted.predict(space.graph(genotype))
    assert fitted.predict(genotype) == pytest.approx(expected)
    for copy in (pickle.loads(pickle.dumps(fitted)), LatencyPredictor.from_json(fitted.to_json())):
        assert copy == fitted
        assert copy.predict(genotype) == pytest.approx(expected)
    with pytest.raises(ProfilingError, match="LatencyPredictor has no space"):
        predictor(None).predict(genotype)


def test_genotypes_of_other_spaces_are_refused_whatever_was_met_before():
    space = ready.nas_bench_201(cells=1)
    fitted = predictor(space)
    genotype = space.sample(np.random.default_rng(0))
    with pytest.raises(ProfilingError, match="or a Genotype, got dict"):
        fitted.predict(genotype.params)
    fitted.predict(genotype)
    first = next(iter(genotype))
    wrong = {**genotype.params, first: "conv_9x9"}
    missing = {name: value for name, value in genotype.items() if name != first}
    for params in (wrong, missing):
        with pytest.raises(GenotypeError, match=first):
            fitted.predict(Genotype(params))


def test_shapes_that_do_not_fit_and_limits_are_the_spaces():
    body = [Repeat("block", 0, 4, conv(4, padding="valid")), flatten()]
    space = SearchSpace("shrinking", input_shape=(8, 8, 3), classes=2, body=body)
    fitted = predictor(space)
    assert fitted.predict(space.genotype({"block/depth": 3})) > 0
    with pytest.raises(InfeasibleArchitectureError, match="does not fit an input of 2"):
        fitted.predict(space.genotype({"block/depth": 4}))
    limited = SearchSpace("limited", input_shape=(8, 8, 3), classes=2, body=body, max_params=100)
    with pytest.raises(InfeasibleArchitectureError, match="max_params"):
        predictor(limited).predict(limited.genotype({"block/depth": 0}))
