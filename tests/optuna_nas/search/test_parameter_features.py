"""Features of decisions where no graph is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optuna_nas.search import ParameterEncoding
from optuna_nas.search.parameter_features import parameter_features
from optuna_nas.space.decisions import Categorical, FloatRange, IntegerRange
from tests.strategies import spaces

OPERATIONS = Categorical(("conv", "pool", "skip"))


def test_a_decision_in_its_place() -> None:
    domains = {
        "op": OPERATIONS,
        "width": Categorical((16, 64, 256)),
        "rate": FloatRange(1e-4, 1e-2, log=True),
        "depth": IntegerRange(2, 6),
        "bias": Categorical((False, True)),
    }
    params = {"op": "pool", "width": 64, "rate": 1e-3, "depth": 5, "bias": True}
    assert parameter_features(params, domains) == pytest.approx(
        {
            "decision op": 1.0,
            "decision op=pool": 1.0,
            "decision width": 1.0,
            "decision width=64": 1.0,
            "decision width value": 0.5,
            "decision rate": 1.0,
            "decision rate value": 0.5,
            "decision depth": 1.0,
            "decision depth value": 0.75,
            "decision bias": 1.0,
            "decision bias=True": 1.0,
        }
    )


def test_decisions_of_one_kind() -> None:
    domains = {f"layer{i}/op": OPERATIONS for i in range(12)}
    # 10 comes after 9, though not in the order of the alphabet or of the dictionary.
    params = {"layer10/op": "pool", "layer9/op": "conv", "layer2/op": "conv"}
    features = parameter_features(params, domains)
    assert {k: v for k, v in features.items() if k.startswith("kind")} == {
        "kind layer#/op": 3.0,
        "kind layer#/op=conv": 2.0,
        "kind layer#/op=pool": 1.0,
        "kind layer#/op pair=conv,conv": 1.0,
        "kind layer#/op pair=conv,pool": 1.0,
    }


def test_numbers_of_one_kind() -> None:
    domains = {f"w{i}": IntegerRange(0, 10) for i in range(4)}
    features = parameter_features({"w0": 2, "w3": 8}, domains)
    assert features["kind w# mean"] == pytest.approx(0.5)
    assert features["kind w#"] == 2.0


def test_values_of_unknown_domains_and_single_ones() -> None:
    assert parameter_features({"a": "x", "b": 3}, {}) == {
        "decision a": 1.0,
        "decision a=x": 1.0,
        "decision b": 1.0,
        "decision b value": 0.0,
    }
    features = parameter_features({"c": 7}, {"c": Categorical((7,))})
    assert features == {"decision c": 1.0, "decision c=7": 1.0, "decision c value": 0.0}
    mixed = parameter_features({"c": 7}, {"c": Categorical((7, "auto"))})
    assert mixed == {"decision c": 1.0, "decision c=7": 1.0}


def test_values_that_a_host_may_have() -> None:
    odd = Categorical((None, 1, math.inf))  # type: ignore[arg-type]
    for value in odd.choices:
        assert parameter_features({"c": value}, {"c": odd}) == {
            "decision c": 1.0,
            f"decision c={value}": 1.0,
        }
    rate = FloatRange(1e-3, 1e-1, log=True)  # of another trial
    assert parameter_features({"rate": 0.0}, {"rate": rate})["decision rate value"] == 0.0
    assert parameter_features({"rate": 1.0}, {"rate": rate})["decision rate value"] == 1.0


@given(space=spaces(), seed=st.integers(0, 2**32 - 1))
def test_any_decisions_have_finite_features(space, seed) -> None:
    params = space.sample(np.random.default_rng(seed)).params
    domains = space.distributions()
    features = parameter_features(params, domains)
    assert all(math.isfinite(value) for value in features.values())
    assert features == parameter_features(dict(reversed(params.items())), domains)
    values = [v for k, v in features.items() if k.startswith("decision")]
    assert all(0.0 <= value <= 1.0 for value in values)


def test_what_will_not_be_asked_for_is_not_described() -> None:
    encoding = ParameterEncoding()
    domains = {"depth": IntegerRange(1, 3)} | {f"op{i}": OPERATIONS for i in range(3)}
    for depth in (3, 1, 2):
        for op in ("conv", "pool"):
            encoding.learn({"depth": depth, **{f"op{i}": op for i in range(depth)}})
    full = {"depth": 1, "op0": "conv", "op1": "pool", "op2": "pool"}
    assert encoding.describe(full, domains) == encoding.describe(
        {"depth": 1, "op0": "conv"}, domains
    )
