"""What a surrogate can learn from an encoding: rank correlation on architectures it has not seen.

Models that a user would reach for are fitted to the accuracies of a few NAS-Bench-201 cells and
rank 1,500 others (Kendall's tau), once from one-hot decisions and once from the features that
`SpaceEncoding.describe` gives.

    python benchmarks/candidate_features.py --data nasbench201.npz --repeats 5

The table (Dong & Yang 2020, https://arxiv.org/abs/2001.00326) holds ``ops``, 15625 x 6 with the
edges 0-1, 0-2, 0-3, 1-2, 1-3, 2-3 and the operations in the order of `OPERATIONS`, and
``test_acc_cifar10`` and ``val_seeds_cifar10`` (15625 x 3, NaN where a seed was not run) in percent.
With ``--noisy`` the models see the validation accuracy of one run.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from environment import environment, table, write
from numpy.typing import NDArray
from scipy.stats import kendalltau, norm, rankdata
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import BayesianRidge

from optuna_nas.search import SpaceEncoding
from optuna_nas.spaces import nas_bench_201

OPERATIONS = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
EDGES = ("0->1", "0->2", "0->3", "1->2", "1->3", "2->3")

SIZES = (20, 50, 100, 200)
HELD_OUT = 1500
# Scales of the groups of features, by the first word of their names.
SCALES = {"graph": 1.0, "stage": 0.5, "decision": 0.3, "kind": 0.2, "cost": 0.2}

Array = NDArray[np.float64]
Rows = Sequence[Mapping[str, float]]


def models() -> dict[str, object]:
    kernel = ConstantKernel(1.0, (1e-2, 1e3)) * RBF(1.0, (1e-2, 1e2)) + WhiteKernel(0.1)
    return {
        "ridge": BayesianRidge(),
        "Gaussian process": GaussianProcessRegressor(kernel, normalize_y=True, random_state=0),
        "random forest": RandomForestRegressor(max_features=0.5, random_state=0),
    }


def columns(train: Rows, test: Rows) -> tuple[Array, Array]:
    """Standardised features that differ in the training set, each group scaled as a whole."""
    names = sorted({name for row in train for name in row})
    x, unseen = (np.array([[row.get(n, 0.0) for n in names] for row in r]) for r in (train, test))
    mean, spread = x.mean(axis=0), x.std(axis=0)
    kept = spread > 1e-12
    groups = np.array([name.split(" ", 1)[0] for name in names])[kept]
    sizes = np.array([(groups == group).sum() for group in groups])
    scale = np.array([SCALES[group] for group in groups]) / np.sqrt(sizes)
    x, unseen = ((a[:, kept] - mean[kept]) / spread[kept] for a in (x, unseen))
    return x * scale, np.clip(unseen, -5.0, 5.0) * scale


def correlations(rows: Rows, seen: Array, truth: Array, repeats: int) -> dict[str, Array]:
    """For each model, Kendall's tau, shape (repeats, sizes of the training set)."""
    taus: dict[str, list[list[float]]] = {name: [] for name in models()}
    for repeat in range(repeats):
        order = np.random.default_rng(repeat).permutation(len(rows))
        test = order[-HELD_OUT:]
        for found in taus.values():
            found.append([])
        for size in SIZES:
            train = order[:size]
            x, unseen = columns([rows[i] for i in train], [rows[i] for i in test])
            scores = norm.ppf((rankdata(seen[train]) - 0.5) / size)  # normal scores of the ranks
            for name, model in models().items():
                predicted = model.fit(x, scores).predict(unseen)  # type: ignore[attr-defined]
                taus[name][-1].append(float(kendalltau(predicted, truth[test]).statistic))
    return {name: np.array(found) for name, found in taus.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="nasbench201.npz")
    parser.add_argument("--repeats", type=int, default=5, help="training sets of each size")
    parser.add_argument("--noisy", action="store_true", help="learn from single validation runs")
    parser.add_argument("--out", help="write the report (.md) or the numbers (.json) here")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)

    data = np.load(arguments.data, allow_pickle=False)
    chosen = np.random.default_rng(0).permutation(len(data["ops"]))[: HELD_OUT + 2 * max(SIZES)]
    encoding = SpaceEncoding(nas_bench_201())
    one_hot, features = [], []
    for cell in data["ops"][chosen]:
        operations = {edge: OPERATIONS[int(op)] for edge, op in zip(EDGES, cell, strict=True)}
        params = {f"cell/{edge}": operation for edge, operation in operations.items()}
        one_hot.append({f"decision {name}={value}": 1.0 for name, value in params.items()})
        features.append(encoding.describe(params, {}))
    truth = data["test_acc_cifar10"][chosen].astype(float)
    runs = data["val_seeds_cifar10"][chosen].astype(float)
    seen = np.where(np.isnan(runs[:, 0]), np.nanmean(runs, axis=1), runs[:, 0])
    rows, results = [], {}
    for encoded, candidates in (("one-hot", one_hot), ("features", features)):
        learnt = seen if arguments.noisy else truth
        for model, taus in correlations(candidates, learnt, truth, arguments.repeats).items():
            mean, error = taus.mean(axis=0), taus.std(axis=0) / np.sqrt(len(taus))
            cells = [f"{m:.3f} ± {e:.3f}" for m, e in zip(mean, error, strict=True)]
            rows.append([encoded, model, *cells])
            results[f"{encoded}, {model}"] = taus.tolist()
    text = (
        f"Kendall's tau on {HELD_OUT} unseen cells, mean ± standard error of {arguments.repeats} "
        "training sets of so many cells"
        + (", each with the validation accuracy of one run" * arguments.noisy)
        + f".\n\n{table(['encoding', 'model', *map(str, SIZES)], rows)}"
    )
    surroundings = environment("numpy", "scikit-learn")
    write(arguments.out, "Encodings", text, {"environment": surroundings, "results": results})


if __name__ == "__main__":
    main()
