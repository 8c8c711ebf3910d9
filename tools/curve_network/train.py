"""Trains the curve network and writes it as ONNX.

    python tools/curve_network/train.py --out optuna_nas/curves/curve_network.onnx

A prior-fitted network (Müller et al. 2022, https://arxiv.org/abs/2112.10510; for learning curves
Adriaensen et al. 2023, https://arxiv.org/abs/2310.20447): trained on curves drawn from a prior, it
learns to answer with the posterior. Here it is a residual perceptron on a summary of the curve,
which answers with a mixture of Student-t distributions. It sees no real curve.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import keras
import numpy as np
import onnx
import tensorflow as tf
from numpy.typing import NDArray
from prior import LONGEST, SHORTEST, draw_curves

from keras_nas import export_onnx
from optuna_nas.curves.network_inputs import DEGREES, FEATURES, network_inputs

COMPONENTS = 5
WIDTH, BLOCKS = 256, 3
BATCH = 2048
HORIZONS = 8  # in a batch
CUTS = 4  # of each horizon, how many places to stop at
FARTHEST = 1e4  # a final value so many ranges away counts as this far

Array = NDArray[np.float32]


def batches(seed: int) -> Iterator[tuple[Array, Array]]:
    """Features ``(BATCH, FEATURES)`` and the final losses in the curves' units ``(BATCH, 1)``."""
    rng = np.random.default_rng(seed)
    each = BATCH // (HORIZONS * CUTS)
    while True:
        parts = []
        for _ in range(HORIZONS):
            horizon = round(math.exp(rng.uniform(math.log(SHORTEST), math.log(LONGEST))))
            steps = np.arange(1.0, horizon + 1.0)
            losses = draw_curves(rng, each * CUTS, horizon)
            for cut in range(CUTS):
                rows = losses[cut * each : (cut + 1) * each]
                n = int(rng.integers(1, horizon))
                if horizon > 40 and rng.random() < 0.3:  # reports every few epochs
                    seen = np.arange(int(rng.integers(1, 6)), n + 1, int(rng.integers(2, 6))) - 1
                else:
                    seen = np.arange(n)
                if not len(seen):
                    seen = np.arange(n)
                inputs = network_inputs(steps[seen], rows[:, seen], float(horizon))
                known = inputs.unit > 0
                y = (rows[:, -1] - inputs.origin)[known] / inputs.unit[known]
                parts.append((inputs.features[known], np.clip(y, -FARTHEST, FARTHEST)))
        yield (
            np.concatenate([x for x, _ in parts]).astype(np.float32),
            np.concatenate([y for _, y in parts]).astype(np.float32)[:, None],
        )


def make_network() -> keras.Model:
    """Features in; logits, asinh of locations and log scales of the components out."""
    inputs = keras.Input((FEATURES,))
    x = keras.layers.Dense(WIDTH, activation="relu")(inputs)
    for _ in range(BLOCKS):
        y = keras.layers.Dense(WIDTH, activation="relu")(x)
        y = keras.layers.Dense(WIDTH)(y)
        x = keras.layers.Activation("relu")(keras.layers.Add()([x, y]))
    # Spread the components at the start, so that they don't stay copies of one another.
    start = np.concatenate(
        [np.zeros(COMPONENTS), np.linspace(-1, 1, COMPONENTS), np.zeros(COMPONENTS)]
    )
    outputs = keras.layers.Dense(
        3 * COMPONENTS,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        bias_initializer=keras.initializers.Constant(start),
    )(x)
    return keras.Model(inputs, outputs)


def negative_log_likelihood(y: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Mean over the batch of -log sum_k w_k t_ν((y - m_k) / s_k) / s_k."""
    logits, places, logs = tf.split(outputs, 3, axis=-1)
    logs = tf.clip_by_value(logs, -12.0, 10.0)
    z = (y - tf.sinh(tf.clip_by_value(places, -11.0, 11.0))) * tf.exp(-logs)
    half = 0.5 * (DEGREES + 1)
    constant = math.lgamma(half) - math.lgamma(0.5 * DEGREES) - 0.5 * math.log(DEGREES * math.pi)
    density = constant - half * tf.math.log1p(z * z / DEGREES) - logs
    return -tf.reduce_mean(tf.reduce_logsumexp(tf.nn.log_softmax(logits) + density, axis=-1))


def train(curves: int, seed: int, threads: int) -> keras.Model:
    """A network trained on so many curves, with averaged weights."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    network = make_network()
    total = curves // BATCH
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, total, warmup_target=2e-3, warmup_steps=min(1000, total // 10)
    )
    optimizer = keras.optimizers.Adam(rate, global_clipnorm=1.0, use_ema=True, ema_momentum=0.999)
    optimizer.build(network.trainable_variables)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, FEATURES], tf.float32),
            tf.TensorSpec([None, 1], tf.float32),
        ]
    )
    def step(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = negative_log_likelihood(y, network(x, training=True))
        gradients = tape.gradient(loss, network.trainable_variables)
        optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
        return loss

    began, recent = time.monotonic(), []
    for number, (x, y) in enumerate(batches(seed), start=1):
        recent.append(float(step(x, y)))
        if number % 200 == 0 or number == total:
            minutes = (time.monotonic() - began) / 60
            print(f"{number}/{total} {np.mean(recent):.4f} after {minutes:.1f} min", flush=True)
            recent = []
        if number == total:
            break
    optimizer.finalize_variable_values(network.trainable_variables)
    return network


def store_halves(path: Path) -> None:
    """Store large weights in half precision, half the size; they are cast back when it is loaded.

    The rounding, 1 part in 2,000 of each weight, changes no score in the second digit.
    """
    model = onnx.load(path)
    graph = model.graph
    stored, casts = [], []
    for tensor in graph.initializer:
        weights = onnx.numpy_helper.to_array(tensor)
        if weights.dtype == np.float32 and weights.size > WIDTH:
            half = onnx.numpy_helper.from_array(weights.astype(np.float16), f"{tensor.name}_half")
            float32 = onnx.TensorProto.FLOAT
            casts.append(onnx.helper.make_node("Cast", [half.name], [tensor.name], to=float32))
            tensor = half
        stored.append(tensor)
    nodes = [*casts, *graph.node]
    for field, content in ((graph.initializer, stored), (graph.node, nodes)):
        del field[:]
        field.extend(content)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def main() -> int:
    """Train, say how well, write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--curves", type=int, default=4_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    network = train(arguments.curves, arguments.seed, arguments.threads)
    fresh = islice(batches(arguments.seed + 1), 100)
    losses = [float(negative_log_likelihood(tf.constant(y), network(x))) for x, y in fresh]
    print(f"negative log-likelihood of new curves: {np.mean(losses):.4f}")
    export_onnx(network, arguments.out)
    store_halves(arguments.out)
    print(f"{arguments.out}: {arguments.out.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
