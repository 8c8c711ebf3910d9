from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from optuna_nas.errors import ProfilingError
from optuna_nas.profiling import profile_onnx
from optuna_nas.profiling.__main__ import main
from tests.optuna_nas.profiling import small_models

QUICK = {"budget_seconds": 0.05, "warmup": 2}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"some text", r"model.onnx is no ONNX model.*export the model again"),
        (b"", r"model.onnx is no ONNX model"),
        (
            small_models.elementwise("FancyAttention", domain="com.nowhere"),
            r"has an operator that this ONNX Runtime .* lacks \(.*com\.nowhere:FancyAttention",
        ),
        (small_models.elementwise(opset=99), r"written for a newer ONNX Runtime.*earlier opset"),
        (
            small_models.elementwise("Erf", dtype=small_models.INT64),
            # A wrong type, or no operator for the type: it depends on the version.
            r"model.onnx.*Type 'tensor\(int64\)' of input parameter|lacks \(.*Erf\(13\)",
        ),
        (
            small_models.elementwise("Identity", dtype=TensorProto.STRING),
            r"input 'x' has type tensor\(string\); .* tensors of numbers and flags",
        ),
        (small_models.larger_than_memory(), r"needs more memory than there is.*make the batch"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path: Path, content, message):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ProfilingError, match=message) as caught:
        profile_onnx(path, **QUICK)
    assert len(str(caught.value).splitlines()) == 1
    assert "ONNXRuntimeError" not in str(caught.value)


def test_too_much_memory_is_told_by_the_process_that_lacks_it():
    with pytest.raises(ProfilingError, match="needs more memory than there is"):
        profile_onnx(small_models.larger_than_memory(), isolate=True, **QUICK)


def test_examples_too_large_for_memory():
    with pytest.raises(ProfilingError, match="needs more memory than there is"):
        profile_onnx(
            small_models.elementwise(shape=["n", "m"]), shapes={"x": (2**30, 2**30)}, **QUICK
        )


def test_weights_that_are_missing(tmp_path: Path):
    model = onnx.load_from_string(
        small_models.serialized(
            [helper.make_node("Add", ["x", "w"], ["y"])],
            [("x", small_models.FLOAT, [1, 3000])],
            [("y", small_models.FLOAT, [1, 3000])],
            constants={"w": np.ones((1, 3000), np.float32)},
        )
    )
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="m.data")
    (tmp_path / "m.data").unlink()
    with pytest.raises(ProfilingError, match=r"lacks its file of weights.*put that file beside"):
        profile_onnx(tmp_path / "m.onnx", **QUICK)


def test_optional_outputs_are_refused_before_they_crash():
    tensor = helper.make_tensor_type_proto(small_models.FLOAT, [1])
    output = helper.make_value_info("o", helper.make_optional_type_proto(tensor))
    graph = helper.make_graph(
        [helper.make_node("Optional", [], ["o"], type=tensor)], "none", [], [output]
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    with pytest.raises(ProfilingError, match=r"output 'o' has type optional"):
        profile_onnx(model, **QUICK)


def test_inputs_of_several_types():
    profile = profile_onnx(small_models.of_several_types(), batch=2, **QUICK)
    assert profile.provenance["input_shapes"] == {name: [2, 4] for name in "ibhf"}


@pytest.mark.parametrize("shape", [[], [0, 3]])
def test_unusual_shapes_are_measured(shape):
    profile = profile_onnx(small_models.elementwise(shape=shape), **QUICK)
    assert profile.provenance["input_shapes"] == {"x": shape}


def test_free_axes_are_named_with_what_sets_them():
    image = small_models.elementwise(shape=["n", 3, "height", None])
    with pytest.raises(ProfilingError) as caught:
        profile_onnx(image, **QUICK)
    message = str(caught.value)
    assert "axes 2 ('height'), 3 of input 'x'" in message
    assert "shapes={'x': (1, 3, <height>, <3>)}" in message
    assert "--shape x=1x3x<height>x<3>" in message


@pytest.mark.parametrize(
    ("shape", "batch", "measured"),
    [((5, 3, 8, 9), 1, [5, 3, 8, 9]), ((None, 3, 8, 9), 4, [4, 3, 8, 9])],
)
def test_shapes_fix_free_axes(shape, batch, measured):
    image = small_models.elementwise(shape=["n", 3, "height", None])
    profile = profile_onnx(image, shapes={"x": shape}, batch=batch, **QUICK)
    assert profile.provenance["input_shapes"] == {"x": measured}
    assert profile.provenance["batch"] == measured[0]


def test_axes_of_one_name_have_one_size():
    model = small_models.two_texts()
    profile = profile_onnx(model, shapes={"mask": (None, 6)}, batch=2, **QUICK)
    assert profile.provenance["input_shapes"] == {"tokens": [2, 6], "mask": [2, 6]}
    with pytest.raises(ProfilingError, match="axes called 'length' must have one size, got 6 and"):
        profile_onnx(model, shapes={"tokens": (1, 6), "mask": (1, 7)}, **QUICK)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"y": (1, 3)}, r"shapes: .* has no input 'y', it has \['x'\]"),
        ({"x": (1, 3, 1)}, r"shapes\['x'\]: expected 2 axes"),
        ({"x": (1, 4)}, r"shapes\['x'\]: axis 1 must have size 3, got 4"),
        ({"x": (0, 3)}, r"shapes\['x'\]: expected sizes of 1 or more, got \(0, 3\)"),
    ],
)
def test_unfit_shapes(shapes, message):
    with pytest.raises(ProfilingError, match=message):
        profile_onnx(small_models.elementwise(shape=["n", 3]), shapes=shapes, **QUICK)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "axis 1 ('width') of input 'x': no fixed size"),
        (["--shape", "1x3"], "--shape: expected name=1x3x224x224, got '1x3'"),
        (["--shape", "x=1xwide"], "--shape: expected name=1x3x224x224, got 'x=1xwide'"),
        (["--batch", "many"], "--batch: expected a size"),
        (["--batch", "0", "--shape", "x=?x2"], "batch: expected at least 1, got 0"),
        (["--batch", "1,2", "--shape", "x=1x2"], "write a ? for the first axis of x"),
        (["--provider", "CUDA"], "choose one of ["),
    ],
)
def test_the_command_tells_in_one_line(tmp_path: Path, capsys, options, message):
    path = tmp_path / "model.onnx"
    path.write_bytes(small_models.elementwise(shape=["n", "width"]))
    assert main([str(path), *options]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert message in captured.err
    if "--provider" in options:
        assert "CPUExecutionProvider" in captured.err


def test_the_command_outlives_a_model_that_ends_its_process(tmp_path: Path, capsys, monkeypatch):
    monkeypatch.setattr("optuna_nas.profiling.isolated.sys.executable", "/bin/false")
    path = tmp_path / "model.onnx"
    path.write_bytes(small_models.elementwise())
    assert main([str(path)]) == 2
    assert "died with exit code 1" in capsys.readouterr().err


def test_the_command_measures_several_batch_sizes(tmp_path: Path, capsys):
    path = tmp_path / "model.onnx"
    path.write_bytes(small_models.elementwise(shape=["n", "width"]))
    options = ["--batch", "1,8", "--shape", "x=?x2", "--budget", "0.05"]
    assert main([str(path), *options]) == 0
    text = capsys.readouterr().out
    assert "(batch 8)" in text
    assert "{'x': [8, 2]}" in text
