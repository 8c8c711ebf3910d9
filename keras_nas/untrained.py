"""What is known of a Keras model before it is trained: its size, its work, its latency."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_nas.export import export_onnx
from keras_nas.graph_of import UnsupportedModelError, graph_of
from optuna_nas.errors import NASError, UnsupportedOperationError
from optuna_nas.export import Preprocessing
from optuna_nas.graph import ArchitectureGraph
from optuna_nas.profiling import LatencyProfile, latency_of_graph, profile_onnx

COUNTED = ("params", "macs", "peak_activation_bytes")
TIMED = ("latency_ms", "size_bytes")
KNOWN = COUNTED + TIMED
"""What can be measured of an untrained model, all of it to be minimised."""


class UnmeasurableModelError(NASError):
    """A model lacks what a measurement needs; training it would be in vain."""


@dataclass(frozen=True)
class Untrained:
    """A model that has not been trained.

    Args:
        values: What was asked for, by the names of `KNOWN`.
        latency: The measurement of its latency, where that was asked for.
    """

    values: Mapping[str, float]
    latency: LatencyProfile | None = None


def measure_untrained(
    model: Any,
    names: Collection[str],
    *,
    reference_ms: float | None = None,
    budget_seconds: float = 0.3,
) -> Untrained:
    """Measure a built Keras model, whoever built it.

    A model with an attribute ``architecture``, its `ArchitectureGraph`, is measured by that graph,
    and so is any Functional or Sequential model whose layers graphs know: in milliseconds, with
    random weights. Others are exported by Keras to be timed, which takes seconds, and of the counts
    have ``params`` only.

    Args:
        model: A built `keras.Model`.
        names: What of `KNOWN` to measure.
        reference_ms: Undisturbed time of the latency anchor in milliseconds, which puts all
            latencies of a study on one scale.
        budget_seconds: Most seconds spent timing.

    Raises:
        UnmeasurableModelError: Something can't be measured of this model.
        ProfilingError: ONNX Runtime is missing, or does not run the model.
    """
    graph, preprocessing, reason = _graph(model)
    values: dict[str, float] = {}
    if graph is not None:
        values = {name: float(getattr(graph, name)) for name in COUNTED}
    else:
        values["params"] = float(sum(math.prod(weight.shape) for weight in model.trainable_weights))
    latency = None
    if set(names).intersection(TIMED):
        options = {"anchor_reference_ms": reference_ms, "budget_seconds": budget_seconds}
        latency = _latency(model, graph, preprocessing, options)
        values["latency_ms"] = latency.calibrated_ms
        values["size_bytes"] = float(latency.size_bytes)
    missing = [name for name in names if name not in values]
    if missing:
        raise UnmeasurableModelError(
            f"{', '.join(missing)}: expected a Functional or Sequential model of layers that "
            f"architecture graphs know, got {model.name!r} ({reason}). Take "
            f"{', '.join(missing)} out of the objectives and limits, or change the layer.",
            model,
        )
    return Untrained({name: values[name] for name in names}, latency)


def _graph(model: Any) -> tuple[ArchitectureGraph | None, Preprocessing | None, str]:
    own = getattr(model, "architecture", None)
    if isinstance(own, ArchitectureGraph):
        return own, None, ""
    try:
        parts = graph_of(model)
    except UnsupportedModelError as error:
        return None, None, str(error)
    return parts.graph, parts.preprocessing, ""


def _latency(
    model: Any,
    graph: ArchitectureGraph | None,
    preprocessing: Preprocessing | None,
    options: Mapping[str, Any],
) -> LatencyProfile:
    if graph is not None:
        try:
            return latency_of_graph(graph, preprocessing=preprocessing, **options)
        except UnsupportedOperationError:
            pass  # a block of the user's own: Keras's export knows what the writer does not
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export_onnx(model, path, method="keras")
        return profile_onnx(path, **options)
