"""Keras Tuner's own tests, with our oracle and our tuner in the place of its own.

    git clone https://github.com/keras-team/keras-tuner
    pip install pytest portpicker tensorboard
    python benchmarks/keras_tuner_suite.py --source keras-tuner

`OptunaOracle` takes the place of Keras Tuner's `Oracle` and of its random, grid and Bayesian
oracles, and `OptunaTuner` that of their tuners. A test applies if one of ours was made in it. Those
that fail run once more as they are. This file is also the plugin of pytest that puts ours there.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

FILES = (
    "engine/oracle_test.py",
    "engine/base_tuner_test.py",
    "engine/tuner_test.py",
    "tuners/randomsearch_test.py",
    "tuners/bayesian_test.py",
    "tuners/sklearn_tuner_test.py",
    "distribute/oracle_chief_test.py",
    "distribute/oracle_client_test.py",
)
SUBSTITUTE = "KERAS_TUNER_SUITE_SUBSTITUTE"
# Of the algorithms whose place ours take.
THEIR_OWN = ("num_initial_points", "alpha", "beta")
REASONS = {
    "test_get_best_hyperparameters": "It puts finished trials into the oracle by hand, past "
    "`end_trial`, so that the study never hears of them.",
    "test_reloading_error_message": "It goes on with another kind of tuner in the same folder and "
    "wants an error; with ours in the place of both kinds, it is the same search.",
    "test_error_on_unknown_objective_direction": "The error comes, in words of our own.",
    "test_scipy_not_install_error": "Keras Tuner's Gaussian process needs SciPy; ours has none.",
    "test_sklearn_not_install_error": "Likewise scikit-learn.",
    "test_bayesian_oracle_maximize": "It puts scored trials into the oracle by hand, past "
    "`update_trial` and `end_trial`, so that the study never hears of them.",
    "test_float_optimization": "It wants four numbers to within 0.1 after 50 trials, which a "
    "Gaussian process can do; ours ran with Optuna's default sampler, TPE, and no seed.",
    "test_distributed_optimization": "It wants the optimum after 40 trials, as above; it passes "
    "with some seeds.",
}


# --- the plugin ----------------------------------------------------------------------------------

_made: set[str] = set()


def pytest_configure(config: Any) -> None:
    if not os.environ.get(SUBSTITUTE):
        return
    import keras_tuner
    import optuna
    from keras_tuner import oracles, tuners
    from keras_tuner.engine import oracle
    from keras_tuner.tuners import bayesian, gridsearch, randomsearch

    from keras_nas.oracle import OptunaOracle
    from keras_nas.tuner import OptunaTuner

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for one in (OptunaOracle, OptunaTuner):
        one.__init__ = _noting(one)
    for module in (oracle, keras_tuner):
        module.Oracle = OptunaOracle
    for module, name in (
        (randomsearch, "RandomSearch"),
        (gridsearch, "GridSearch"),
        (bayesian, "BayesianOptimization"),
    ):
        for place in (module, oracles):
            setattr(place, f"{name}Oracle", OptunaOracle)
        for place in (module, tuners, keras_tuner):
            setattr(place, name, OptunaTuner)


def _noting(made: type) -> Callable[..., None]:
    construct = made.__init__  # type: ignore[misc]

    def noting(self: Any, *args: Any, **kwargs: Any) -> None:
        _made.add(made.__name__)
        construct(self, *args, **{k: v for k, v in kwargs.items() if k not in THEIR_OWN})

    return noting


def pytest_runtest_setup(item: Any) -> None:
    _made.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: Any, call: Any) -> Iterator[Any]:
    if call.when == "call":
        item.user_properties.append(("ours", " ".join(sorted(_made))))
    return (yield)


# --- running them --------------------------------------------------------------------------------


def outcomes(
    source: Path, tests: Iterable[str], *, substitute: bool
) -> dict[str, tuple[str, str, str]]:
    """Outcome, message and which of ours was made, by file and test."""
    here = Path(__file__).resolve().parent
    path = [str(source), str(here), str(here.parent), os.environ.get("PYTHONPATH", "")]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(path), "KERAS_BACKEND": "tensorflow"}
    if substitute:
        variables[SUBSTITUTE] = "1"
    with tempfile.TemporaryDirectory() as folder:
        xml = Path(folder) / "report.xml"
        files = [f"keras_tuner/{name}" for name in tests]
        plugin = ["-p", Path(__file__).stem, f"--junitxml={xml}", "-q", "--no-header"]
        subprocess.run(
            [sys.executable, "-m", "pytest", *plugin, *files],
            cwd=source, env=variables, check=False,
        )  # fmt: skip
        cases = ElementTree.parse(xml).getroot().iter("testcase")
        return dict(map(_outcome, cases))


def _outcome(case: ElementTree.Element) -> tuple[str, tuple[str, str, str]]:
    file = str(case.get("classname")).removeprefix("keras_tuner.").replace(".", "/")
    made = next((one.get("value", "") for one in case.iter("property")), "")
    state, message = "passed", ""
    for kind in ("failure", "error", "skipped"):
        if (found := case.find(kind)) is not None:
            state = "skipped" if kind == "skipped" else "failed"
            message = str(found.get("message")).splitlines()[0]
    return f"{file}.py::{case.get('name')}", (state, message, made)


def main() -> None:
    from environment import environment, table, write

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, required=True, help="a checkout of Keras Tuner")
    parser.add_argument("--out")
    arguments = parser.parse_args()
    source = arguments.source.resolve()
    ours = outcomes(source, FILES, substitute=True)
    applies = {test: found for test, found in ours.items() if found[2]}
    failed = [test for test, found in applies.items() if found[0] == "failed"]
    theirs = outcomes(source, failed, substitute=False) if failed else {}
    rows = []
    for file in FILES:
        states = [found[0] for test, found in applies.items() if test.startswith(f"{file}::")]
        counts = (len(states), *map(states.count, ("passed", "skipped", "failed")))
        rows.append([file, *map(str, counts)])
    rows.append(["all", *(str(sum(int(row[i]) for row in rows)) for i in (1, 2, 3, 4))])
    failures = [
        f"- `{test}`: {REASONS.get(test.partition('::')[2], applies[test][1])}"
        + ("" if theirs[test][0] == "passed" else " (It fails without ours, too.)")
        for test in failed
    ]
    text = "\n\n".join(
        [
            "Tests of Keras Tuner's repository in which one of our classes is made when they take "
            "the place of its own.",
            table(["file", "tests that apply", "passed", "skipped", "failed"], rows),
            "## Failures\n\n" + ("\n".join(failures) or "None."),
        ]
    )
    surroundings = environment("optuna", "keras", "tensorflow-cpu", "numpy")
    write(arguments.out, "Keras Tuner's own tests", text, {"environment": surroundings})


if __name__ == "__main__":
    main()
