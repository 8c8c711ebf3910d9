from __future__ import annotations

import numpy as np
import pytest

from optuna_nas.curves.weights import read_weights

onnx = pytest.importorskip("onnx")


def model(*tensors):
    """The bytes of a file with these initializers and one node."""
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    ends = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1]) for n in "xy"]
    graph = onnx.helper.make_graph([node], "graph", ends[:1], ends[1:], list(tensors))
    return onnx.helper.make_model(graph).SerializeToString()


@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_tensors_are_those_that_the_package_reads(kind):
    rng = np.random.default_rng(0)
    arrays = {"matrix": rng.normal(size=(3, 200)), "vector": rng.normal(size=5)}
    tensors = [onnx.numpy_helper.from_array(a.astype(kind), n) for n, a in arrays.items()]
    found = read_weights(model(*tensors))
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array.astype(kind))


def test_a_file_without_weights():
    assert read_weights(model()) == {}
