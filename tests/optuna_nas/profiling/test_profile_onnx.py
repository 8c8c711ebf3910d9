from __future__ import annotations

import gc
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from optuna_nas.errors import ProfilingError
from optuna_nas.export import Preprocessing, onnx_bytes
from optuna_nas.profiling import (
    ANCHOR_NAME,
    LatencyProfile,
    anchor_bytes,
    anchor_reference_ms,
    latency_of_graph,
    profile_many,
    profile_onnx,
)
from tests.optuna_nas.profiling.conftest import network

QUICK = {"budget_seconds": 0.05, "warmup": 2}


def gather_model(length: int | str | None) -> bytes:
    """Looks tokens up in a table: integer input, shape (batch, length)."""
    table = onnx.numpy_helper.from_array(np.eye(4, dtype=np.float32), "table")
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "tokens"], ["vectors"])],
        "lookup",
        [helper.make_tensor_value_info("tokens", TensorProto.INT64, ["n", length])],
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["n", length, 4])],
        [table],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def test_a_profile_is_consistent(model):
    profile = profile_onnx(model, **QUICK)
    low, high = profile.ci_ms
    assert 0 < profile.min_ms <= profile.median_ms
    assert low <= profile.median_ms <= high
    assert profile.min_ms <= profile.p90_ms
    assert profile.ratio_to_anchor == pytest.approx(profile.min_ms / profile.anchor_ms)
    assert profile.rounds >= 5
    assert profile.runs >= profile.rounds
    assert profile.stopped_by in ("narrow", "budget")
    assert profile.size_bytes == len(model)
    assert profile.peak_memory_bytes is None
    assert profile.operations == ()
    assert profile.calibrated_ms == profile.min_ms
    assert profile.slowdown is None


def test_provenance_tells_where_it_was_measured(model):
    where = profile_onnx(model, **QUICK).provenance
    assert where["input_shapes"] == {"input": [1, 8, 8, 3]}
    assert (where["threads"], where["batch"], where["anchor"]) == (1, 1, ANCHOR_NAME)
    keys = "cpu cores governor load_average os python time onnxruntime provider"
    assert set(keys.split()) <= set(where)
    assert where["cpu"]


def test_round_trip_through_json(model):
    profile = profile_onnx(model, operations=True, **QUICK)
    state = json.loads(json.dumps(profile.to_dict()))
    assert LatencyProfile.from_dict(state) == profile
    assert LatencyProfile.from_dict({**state, "of_a_later_version": 1}) == profile
    del state["median_ms"]
    with pytest.raises(ProfilingError, match="median_ms"):
        LatencyProfile.from_dict(state)


def test_a_reference_calibrates(model):
    profile = profile_onnx(model, anchor_reference_ms=2.0, **QUICK)
    assert profile.calibrated_ms == pytest.approx(2.0 * profile.ratio_to_anchor)
    assert profile.slowdown == pytest.approx(profile.anchor_ms / 2.0)


def test_a_slow_spell_is_not_taken_for_a_narrow_measurement(model):
    undisturbed = 1e-6  # beside which any machine is slow
    profile = profile_onnx(model, anchor_reference_ms=undisturbed, target_ci=0.9, **QUICK)
    assert profile.stopped_by == "budget"


def test_without_anchor(model):
    profile = profile_onnx(model, anchor=False, anchor_reference_ms=1.0, **QUICK)
    assert (profile.ratio_to_anchor, profile.anchor_ms, profile.ratio_ci) == (None, None, None)
    assert profile.calibrated_ms == profile.min_ms
    assert profile.provenance["anchor"] is None


def test_operations_add_up(model):
    profile = profile_onnx(model, operations=True, **QUICK)
    assert sum(o.share for o in profile.operations) == pytest.approx(1)
    assert sum(o.ms for o in profile.operations) == pytest.approx(profile.min_ms)
    kinds = profile.operations_by_kind()
    assert {"Conv", "Gemm"} <= set(kinds)
    assert sum(total.share for total in kinds.values()) == pytest.approx(1)
    shares = [total.share for total in kinds.values()]
    assert shares == sorted(shares, reverse=True)


def test_files_and_bytes_are_alike(tmp_path: Path, model):
    path = tmp_path / "model.onnx"
    path.write_bytes(model)
    for given in (path, str(path)):
        assert profile_onnx(given, **QUICK).size_bytes == len(model)


def test_a_free_batch_axis_is_fixed(free_batch):
    profile = profile_onnx(free_batch, batch=4, **QUICK)
    assert profile.provenance["input_shapes"] == {"input": [4, 8, 8, 3]}


def test_other_free_axes_need_an_example():
    with pytest.raises(ProfilingError, match=r"axis 1 \('length'\) of input 'tokens'.*inputs="):
        profile_onnx(gather_model("length"), **QUICK)
    for length in ("length", None):
        tokens = np.ones((2, 5), np.int64)
        profile = profile_onnx(gather_model(length), inputs={"tokens": tokens}, **QUICK)
        assert profile.provenance["input_shapes"] == {"tokens": [2, 5]}


def test_integer_inputs_are_made_up_small():
    profile = profile_onnx(gather_model(7), batch=3, **QUICK)
    assert profile.provenance["input_shapes"] == {"tokens": [3, 7]}


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"image": np.zeros((1, 8, 8, 3))}, r"has no input 'image', it has \['input'\]"),
        ({"input": np.zeros((8, 8, 3))}, "expected 4 axes"),
        ({"input": np.zeros((1, 9, 8, 3))}, "axis 1 must have size 8, got 9"),
    ],
)
def test_unfit_inputs(model, inputs, message):
    with pytest.raises(ProfilingError, match=message):
        profile_onnx(model, inputs=inputs, **QUICK)


def test_inputs_of_the_wrong_type_are_refused(model):
    with pytest.raises(ProfilingError, match="can't run"):
        profile_onnx(model, inputs={"input": np.zeros((1, 8, 8, 3), np.int64)}, **QUICK)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch": 0}, "batch: expected at least 1"),
        ({"threads": 0}, "threads: expected at least 1"),
        ({"warmup": 0}, "warmup: expected at least 1"),
        ({"budget_seconds": 0}, "budget_seconds: expected more than 0"),
        ({"target_ci": 1.5}, "target_ci: expected a share"),
        ({"anchor_reference_ms": -1.0}, "anchor_reference_ms: expected more than 0"),
        ({"provider": "NoSuchExecutionProvider"}, "provider: 'NoSuchExecutionProvider' is not"),
    ],
)
def test_wrong_arguments(model, arguments, message):
    with pytest.raises(ProfilingError, match=message):
        profile_onnx(model, **arguments)


def test_what_is_no_model(tmp_path: Path):
    with pytest.raises(ProfilingError, match="there is no file"):
        profile_onnx(tmp_path / "missing.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    with pytest.raises(ProfilingError, match=r"bad\.onnx is no ONNX model"):
        profile_onnx(tmp_path / "bad.onnx")
    with pytest.raises(ProfilingError, match="a model of 3 bytes is no ONNX model"):
        profile_onnx(b"abc")


def test_several_models_are_measured_side_by_side(model):
    large = onnx_bytes(network(64, input_shape=(24, 24, 3)))
    small, big = profile_many([model, large], **QUICK)
    assert small.anchor_ms == big.anchor_ms
    assert small.rounds == big.rounds
    assert small.min_ms < big.min_ms
    assert small.provenance["interleaved_models"] == 2
    assert profile_many([]) == []


def test_one_model_at_several_batch_sizes(free_batch):
    one, many = profile_many([free_batch] * 2, batch=[1, 64], **QUICK)
    assert (one.provenance["batch"], many.provenance["batch"]) == (1, 64)
    assert one.min_ms < many.min_ms
    with pytest.raises(ProfilingError, match="different batch: 1 and 64"):
        one.require_comparable(many)
    with pytest.raises(ProfilingError, match="one for each of 2 models"):
        profile_many([free_batch] * 2, batch=[1, 2, 3], **QUICK)


def test_a_batch_fixed_in_the_file_is_the_one_reported(graph):
    profile = profile_onnx(onnx_bytes(graph, batch=3), **QUICK)
    assert profile.provenance["batch"] == 3


def test_an_architecture_is_measured_before_it_is_trained(graph):
    before = Preprocessing(0.5, 2.0)
    profile = latency_of_graph(graph, preprocessing=before, softmax=True, batch=2, **QUICK)
    assert profile.provenance["input_shapes"] == {"input": [2, 8, 8, 3]}
    assert profile.size_bytes == len(onnx_bytes(graph, preprocessing=before, softmax=True, batch=2))


def test_the_anchor_is_fixed():
    assert anchor_bytes() == anchor_bytes()
    onnx.checker.check_model(anchor_bytes(), full_check=True)
    assert onnx.load_from_string(anchor_bytes()).graph.name == ANCHOR_NAME
    assert anchor_reference_ms(seconds=0.06, repeats=2) > 0


def test_garbage_collection_is_on_again(model):
    assert gc.isenabled()
    profile_onnx(model, **QUICK)
    assert gc.isenabled()


def test_without_onnxruntime_the_error_names_the_extra(model, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(ProfilingError, match=r"optuna-nas\[onnx\]"):
        profile_onnx(model)
