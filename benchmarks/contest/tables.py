"""Tasks of recorded tables: NAS-Bench-201 and NAS-Bench-Macro.

Dong & Yang 2020 (https://arxiv.org/abs/2001.00326); Su et al. 2021, "Prioritized Architecture
Sampling with Monto-Carlo Tree Search" (https://arxiv.org/abs/2103.11922); latencies of Li et al.
2021, HW-NAS-Bench (https://arxiv.org/abs/2103.10584).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contest.task import (
    Observation,
    Params,
    Task,
    generator,
    hypervolume,
    regret_of_incumbent,
)
from optuna_nas.space import (
    Choice,
    Node,
    Parallel,
    SearchSpace,
    conv,
    depthwise_conv,
    global_average_pooling,
    identity,
)
from optuna_nas.spaces import nas_bench_201

# The order of the columns and the codes of the operations in the files.
EDGES = ("0->1", "0->2", "0->3", "1->2", "1->3", "2->3")
OPERATIONS = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
LAYERS = tuple(f"layer{i}" for i in range(8))
BLOCKS = ("identity", "mb3_k3", "mb6_k5")

DEVICES = {
    "edgegpu": "hw_cifar10_edgegpu_latency",
    "raspi4": "hw_cifar10_raspi4_latency",
    "pixel3": "hw_cifar10_pixel3_latency",
    "pi5": "hw360_pi5_onnx_cifar100_lat_ms",
    "edgetpu": "hw_cifar10_edgetpu_latency",
}


@dataclass
class Table:
    """Rows of architectures, found by their decisions.

    Args:
        names: Names of the decisions, one a column.
        codes: Their values as they are coded in `rows`.
        rows: Coded decisions, shape (architectures, decisions).
    """

    names: Sequence[str]
    codes: Sequence[str]
    rows: NDArray[np.int8]
    _index: dict[tuple[str, ...], int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        keys = (tuple(self.codes[code] for code in row) for row in self.rows)
        self._index = {key: number for number, key in enumerate(keys)}

    def row(self, params: Params) -> int:
        return self._index[tuple(str(params[name]) for name in self.names)]


@dataclass
class OneObjective:
    """Accuracy: observed as a random one of the recorded runs, judged by `truth`.

    Args:
        table: The architectures.
        runs: Recorded runs, shape (architectures, runs), NaN where there is none.
        truth: What counts, shape (architectures,).
        seed: Of the choice of runs.
    """

    table: Table
    runs: NDArray[np.float64]
    truth: NDArray[np.float64]
    seed: int
    _rng: np.random.Generator = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._rng = generator(self.seed, 201)

    def evaluate(self, params: Params) -> Observation:
        row = self.table.row(params)
        recorded = self.runs[row][~np.isnan(self.runs[row])]
        observed = recorded[int(self._rng.random() * len(recorded))]
        return Observation(row, (float(observed),), (float(self.truth[row]),))

    def measure(self, observations: Sequence[Observation]) -> float:
        return regret_of_incumbent(observations, float(self.truth.max()))


@dataclass
class TwoObjectives:
    """Error and latency, both minimised; an architecture the device can't run has latency -1.

    Args:
        table: The architectures.
        error: In percent, shape (architectures,).
        latency: In milliseconds, shape (architectures,).
        fails: Whether a trial of what the device can't run fails; otherwise it violates a
            constraint, and is told the longest latency.
    """

    table: Table
    error: NDArray[np.float64]
    latency: NDArray[np.float64]
    fails: bool = False

    def __post_init__(self) -> None:
        self._constrained = bool((self.latency < 0).any())
        self._longest = float(self.latency.max())
        supported = self.latency >= 0
        self._exact = hypervolume(self._scaled(self.error[supported], self.latency[supported]))

    def evaluate(self, params: Params) -> Observation:
        row = self.table.row(params)
        error, latency = float(self.error[row]), float(self.latency[row])
        supported = latency >= 0
        values = error, latency if supported else self._longest
        violation = float(not supported) if self._constrained and not self.fails else None
        return Observation(row, values, values, violation, self.fails and not supported)

    def measure(self, observations: Sequence[Observation]) -> float:
        """Share of the exact front's hypervolume, in percent."""
        found = {o.truth for o in observations if o.feasible}
        if not found:
            return 0.0
        return 100 * hypervolume(self._scaled(*zip(*found, strict=True))) / self._exact

    def _scaled(self, error: Any, latency: Any) -> list[tuple[float, float]]:
        # 90 % is the error of chance.
        return [
            (float(e) / 90, float(t) / self._longest) for e, t in zip(error, latency, strict=True)
        ]


def nas_bench_macro() -> SearchSpace:
    """The NAS-Bench-Macro space, whose parameters equal the benchmark's table.

    Eight layers in three stages; the first of each halves the image and doubles the channels.
    """
    body: list[Node] = [conv(32, 3, activation="relu6")]
    channels = 32
    for layer in LAYERS:
        first = layer in ("layer0", "layer2", "layer5")
        width = 2 * channels if first else channels
        # Where nothing can be skipped, a 1x1 convolution stands for the identity.
        skip = conv(width, 1, 2, activation=None) if first else identity()
        blocks = (skip, _inverted(channels, width, 3, 3), _inverted(channels, width, 5, 6))
        body.append(Choice(layer, dict(zip(BLOCKS, blocks, strict=True))))
        channels = width
    body += [conv(1280, 1, activation="relu6"), global_average_pooling()]
    return SearchSpace("nas_bench_macro", input_shape=(32, 32, 3), classes=10, body=body)


def _inverted(channels: int, width: int, kernel: int, expansion: int) -> Node:
    """MobileNetV2's block (Sandler et al. 2018); a shortcut where shapes allow one."""
    strides = 1 if channels == width else 2
    block = [
        conv(expansion * channels, 1, activation="relu6"),
        depthwise_conv(kernel, strides, activation="relu6"),
        conv(width, 1, activation=None),
    ]
    branches = {"block": block} if strides == 2 else {"shortcut": identity(), "block": block}
    return Parallel(branches)


# One cell a stage has the same classes of equal cells as five, and smaller graphs.
_cells = partial(nas_bench_201, cells=1, channels=4)


def nas_bench_201_tasks(data: Path | None) -> dict[str, Task]:
    """Tasks by name; they read the table when a problem is asked for."""
    loaded = _lazy(data, "nasbench201", EDGES, OPERATIONS, "cell/")

    def accuracy(seed: int, *, noisy: bool) -> OneObjective:
        arrays, table = loaded()
        truth = arrays["test_acc_cifar10"].astype(float)
        runs = arrays["val_seeds_cifar10"].astype(float) if noisy else truth[:, None]
        return OneObjective(table, runs, truth, seed)

    def latency(_seed: int, *, device: str, fails: bool) -> TwoObjectives:
        arrays, table = loaded()
        error = 100 - arrays["test_acc_cifar10"].astype(float)
        return TwoObjectives(table, error, arrays[DEVICES[device]].astype(float), fails)

    tasks = [
        Task(
            "nb201",
            "NAS-Bench-201, no noise",
            "Observed and judged: mean CIFAR-10 test accuracy. Regret in percentage points.",
            _cells,
            partial(accuracy, noisy=False),
        ),
        Task(
            "nb201-noise",
            "NAS-Bench-201, validation with seed noise",
            "Observed: CIFAR-10 validation accuracy of a random one of the recorded trainings, "
            "drawn anew at each evaluation. Judged: mean test accuracy of the incumbent, the best "
            "by observed value. Regret in percentage points.",
            _cells,
            partial(accuracy, noisy=True),
        ),
    ]
    for device, fails in [*((d, False) for d in DEVICES), ("edgetpu", True)]:
        how = "fail" if fails else "violate a constraint"
        unsupported = f" Architectures the device can't run {how}." * (device == "edgetpu")
        tasks.append(
            Task(
                f"nb201-{device}" + "-fail" * fails,
                f"NAS-Bench-201, error and latency on {device}" + ", failing" * fails,
                "Hypervolume found, in percent of the exact front's; error / 90 %, latency / "
                f"longest, reference (1, 1).{unsupported}",
                _cells,
                partial(latency, device=device, fails=fails),
                ("minimize", "minimize"),
                larger_is_better=True,
            )
        )
    return {task.name: task for task in tasks}


def nas_bench_macro_tasks(data: Path | None) -> dict[str, Task]:
    """Tasks by name; they read the table when a problem is asked for."""
    loaded = _lazy(data, "nasbench_macro", LAYERS, BLOCKS, "")

    def accuracy(seed: int, *, noisy: bool) -> OneObjective:
        arrays, table = loaded()
        truth = arrays["mean_acc"].astype(float)
        runs = arrays["test_acc"].astype(float) if noisy else truth[:, None]
        return OneObjective(table, runs, truth, seed)

    tasks = (
        Task(
            "macro",
            "NAS-Bench-Macro, no noise",
            "Observed and judged: mean CIFAR-10 accuracy. Regret in percentage points.",
            nas_bench_macro,
            partial(accuracy, noisy=False),
        ),
        Task(
            "macro-noise",
            "NAS-Bench-Macro with seed noise",
            "Observed: accuracy of a random one of the three recorded trainings, drawn anew at "
            "each evaluation. Judged: mean accuracy of the incumbent, the best by observed value. "
            "Regret in percentage points.",
            nas_bench_macro,
            partial(accuracy, noisy=True),
        ),
    )
    return {task.name: task for task in tasks}


def _lazy(
    data: Path | None, name: str, columns: Sequence[str], codes: Sequence[str], prefix: str
) -> Any:
    """A function that reads a table at its first call."""
    cache: list[tuple[Mapping[str, NDArray[Any]], Table]] = []

    def load() -> tuple[Mapping[str, NDArray[Any]], Table]:
        if not cache:
            if data is None:
                raise SystemExit(f"This task needs --data, a folder with {name}/{name}.npz.")
            with np.load(data / name / f"{name}.npz", allow_pickle=False) as file:
                arrays = {key: file[key] for key in file.files}
            cache.append((arrays, Table([prefix + c for c in columns], codes, arrays["ops"])))
        return cache[0]

    return load
