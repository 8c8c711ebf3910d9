"""Every ready space, drawn from: each network builds, trains, exports and agrees, and costs add up.

    python benchmarks/spaces.py                          # 200 draws of each; takes hours
    python benchmarks/spaces.py --draws 20 --spaces darts text_classifier

Networks are built and trained in a small edition of their space (few channels and cells, small
inputs), where Keras's number of parameters must be the graph's. Multiply-accumulates are checked in
the space as it comes, at its published size, against `onnx_macs` of the exported graph.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from environment import environment, table, write

from keras_nas import build_model, export_onnx, train
from keras_nas.export import prove
from keras_nas.graph_of import graph_of
from optuna_nas import ArchitectureGraph, SearchSpace, spaces
from optuna_nas.export import onnx_bytes
from optuna_nas.profiling.counts import onnx_macs
from optuna_nas.spaces.mobile_layouts import Layout, Stage

IMAGES: dict[str, Any] = {"input_shape": (8, 8, 1), "classes": 3}
MOBILE = Layout(
    4,
    Stage(4, (1, 1), 1, squeeze_excite=True),
    (Stage(8, (1, 3), 2), Stage(8, (1, 2), 1)),
    head=2.0,
    dense=8,
    activation="hard_silu",
)
SMALL: dict[str, Mapping[str, Any]] = {
    "branching_cnn": {**IMAGES, "widths": (2, 4)},
    "chain_cnn": {**IMAGES, "widths": (2, 4)},
    "darts": {**IMAGES, "channels": 3, "cells": 3},
    "darts_rnn": {"input_shape": (5,), "classes": 3, "vocabulary": 30, "width": 4, "units": 4},
    "mobile_cnn": {**IMAGES, "layout": MOBILE},
    "nas_bench_101": {**IMAGES, "channels": 7, "stacks": 2, "modules": 1},
    "nas_bench_201": {**IMAGES, "channels": 4, "cells": 1},
    "nas_bench_macro": {**IMAGES, "channels": 4, "head": 8},
    "nasnet": {**IMAGES, "channels": 3, "cells": 1, "stages": 2},
    "residual_cnn": {**IMAGES, "widths": (2, 4)},
    "sequence_cnn_rnn": {"input_shape": (16, 3), "classes": 3, "widths": (4, 8)},
    "tabular_mlp": {"input_shape": (6,), "classes": 3, "widths": (4, 8), "categories": {2: 5}},
    "text_classifier": {"input_shape": (12,), "vocabulary": 30, "widths": (4, 8), "units": (4,)},
    "vision_transformer": {**IMAGES, "patch": 2, "widths": (8, 12), "depths": (1, 2), "key_dim": 4},
}
"""Small editions; a space that is not named here is taken as it comes."""

EXAMPLES = 8


@dataclass
class Outcome:
    """What became of the draws of one space.

    Attributes:
        draws: How many there were.
        params, trained, agrees, returns: For how many Keras's count is the graph's, the loss of a
            step is finite, the exported model agrees, and the Keras model gives the graph back.
        macs_error: Largest relative difference between the graph's multiply-accumulates and those
            of the exported file.
        failures: Errors by their text.
        seconds: Time for one draw.
    """

    draws: int = 0
    params: int = 0
    trained: int = 0
    agrees: int = 0
    returns: int = 0
    macs_error: float = 0.0
    failures: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


def check(space: SearchSpace, full: SearchSpace, draws: int, seed: int) -> Outcome:
    """Draw from a small edition of a space and from the space itself."""
    outcome, rng, started = Outcome(), np.random.default_rng(seed), time.perf_counter()
    for number in range(draws):
        outcome.draws += 1
        try:
            _check_network(space.graph(space.sample(rng)), outcome, rng, seed=number)
            graph = full.graph(full.sample(rng))
            outcome.macs_error = max(outcome.macs_error, macs_error(graph))
        except Exception as error:  # whatever it is, it is counted
            text = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            outcome.failures[text] = outcome.failures.get(text, 0) + 1
    outcome.seconds = (time.perf_counter() - started) / draws
    return outcome


def _check_network(
    graph: ArchitectureGraph, outcome: Outcome, rng: np.random.Generator, *, seed: int
) -> None:
    model = build_model(graph, seed=seed)
    counted = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    outcome.params += counted == graph.params
    x, y = examples(graph, rng), np.arange(EXAMPLES) % graph.output_shape[0]
    outcome.trained += not train(model, x, y, epochs=1, batch_size=EXAMPLES).diverged
    with tempfile.TemporaryDirectory() as folder:
        path = export_onnx(model, Path(folder) / "model.onnx", method="graph")
        outcome.agrees += prove(model, path, x).passed
    outcome.returns += graph_of(model).graph.canonical_id == graph.canonical_id


def examples(graph: ArchitectureGraph, rng: np.random.Generator) -> np.ndarray:
    """Inputs a network can take: where they are looked up in tables, numbers of rows there."""
    rows = [s.attributes["input_dim"] for s in graph.layers if s.op == "embedding"]
    shape = (EXAMPLES, *graph.input_shape)
    if rows:
        return rng.integers(0, min(rows), shape).astype(np.float32)
    return rng.normal(size=shape).astype(np.float32)


def macs_error(graph: ArchitectureGraph) -> float:
    """How far the graph's multiply-accumulates are from those of its file, as a share of these.

    Normalisations are left out first: an export would fold them into biases, which count.
    """
    layers = [
        replace(layer, op="identity", attributes={}) if layer.op == "batch_normalization" else layer
        for layer in graph.layers
    ]
    plain = ArchitectureGraph(layers, graph.output).pruned()
    counted = onnx_macs(onnx.load_from_string(onnx_bytes(plain)))
    return abs(plain.macs - counted) / counted


def ready_spaces() -> dict[str, SearchSpace]:
    """All public spaces, as they come."""
    made = {name: getattr(spaces, name)() for name in spaces.__all__}
    return {name: space for name, space in made.items() if isinstance(space, SearchSpace)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=200, help="networks of each space")
    parser.add_argument("--spaces", nargs="*", help="names of spaces; all where left out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", help="where to write the results, a .md or .json file")
    arguments = parser.parse_args()
    rows: list[list[str]] = []
    failures: list[str] = []
    for name, full in ready_spaces().items():
        if arguments.spaces and name not in arguments.spaces:
            continue
        small = getattr(spaces, name)(**SMALL[name]) if name in SMALL else full
        found = check(small, full, arguments.draws, arguments.seed)
        shares = (found.params, found.trained, found.agrees, found.returns)
        rows.append(
            [
                name,
                str(found.draws),
                *(str(share) for share in shares),
                f"{100 * found.macs_error:.3f} %",
                f"{found.seconds:.1f} s",
            ]
        )
        failures += [f"- {name}: {text} ({times} times)" for text, times in found.failures.items()]
        print(" ".join(rows[-1]), *failures[-1:], flush=True)
    header = ["space", "draws", "parameters as in Keras", "train", "export agrees", "comes back"]
    report = table([*header, "MACs differ by at most", "a draw"], rows)
    report += "\n\n" + ("\n".join(["Failures:", "", *failures]) if failures else "No failures.")
    results = {"rows": rows, "failures": failures, "environment": environment("keras", "onnx")}
    write(arguments.out, "Draws from every space", report, results)


if __name__ == "__main__":
    main()
