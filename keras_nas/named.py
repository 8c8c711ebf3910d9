"""Spaces, samplers and pruners by the names the command line takes."""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import optuna
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler

from keras_nas._quiet import quiet_start
from keras_nas.data import Dataset
from keras_nas.isolation.errors import describe
from optuna_nas import spaces
from optuna_nas.errors import NASError, SpaceError
from optuna_nas.pruners import LearningCurvePruner
from optuna_nas.samplers import (
    LocalSearchSampler,
    PolicyGradientSampler,
    PredictorSampler,
    RegularizedEvolutionSampler,
)
from optuna_nas.space import SearchSpace


class ChoiceError(NASError, ValueError):
    """A name on the command line stands for nothing."""


SPACES: dict[str, Mapping[str, Any]] = {
    # What differs from the function's own defaults: one cell a stage trains in seconds.
    "branching_cnn": {},
    "chain_cnn": {},
    "darts": {"channels": 8, "cells": 5},
    "darts_rnn": {"width": 64, "units": 64},
    "mobile_cnn": {"width_multipliers": (0.25, 0.5)},
    "nas_bench_101": {"channels": 16, "modules": 1},
    "nas_bench_201": {"cells": 1},
    "nas_bench_macro": {"channels": 8, "head": 128},
    "nasnet": {"channels": 8, "cells": 1},
    "residual_cnn": {"widths": (8, 16, 32)},
    "sequence_cnn_rnn": {},
    "tabular_mlp": {},
    "text_classifier": {},
    "vision_transformer": {
        "widths": (32, 48, 64), "depths": (1, 4), "heads": (2, 4), "key_dim": 16,
        "mlp_ratios": (2.0, 4.0),
    },
}  # fmt: skip
# The kind of data each is for; the first of a kind is the one to begin with.
KINDS: dict[str, tuple[str, ...]] = {
    "images": (
        "chain_cnn", "branching_cnn", "darts", "mobile_cnn", "nas_bench_101", "nas_bench_201",
        "nas_bench_macro", "nasnet", "residual_cnn", "vision_transformer",
    ),
    "tables": ("tabular_mlp",),
    "texts": ("text_classifier", "darts_rnn"),
    "sequences": ("sequence_cnn_rnn",),
}  # fmt: skip
SAMPLERS = ("evolution", "predictor", "local", "policy", "tpe", "nsga2", "random", "gp")
PRUNERS = ("none", "learning-curve", "median", "hyperband")


def check_names(sampler: str, pruner: str) -> None:
    """Raise early, before anything is loaded, where a name stands for nothing.

    Raises:
        ChoiceError: There is no such sampler or pruner.
    """
    for kind, name, known in (("sampler", sampler, SAMPLERS), ("pruner", pruner, PRUNERS)):
        if name not in known:
            raise ChoiceError(
                f"unknown {kind} {name!r}{_near(name, known)}; known are {', '.join(known)}", name
            )


def default_space(data: Dataset) -> str:
    """The name of the space to begin with for data of that kind."""
    return KINDS[data.kind][0]


def make_space(text: str, data: Dataset) -> SearchSpace:
    """Make the space that a text names, for the shape of the data.

    Args:
        text: One of `SPACES`, also with arguments: ``chain_cnn(max_blocks=2)``; a ``.json`` file
            that `SearchSpace.to_json` wrote; or ``file.py:name`` or ``package.module:name`` of a
            space, or of a function that takes ``input_shape`` and ``classes``, and perhaps
            ``vocabulary``, the number of different words, and returns one.
        data: What the space is for.

    Raises:
        ChoiceError: The text names nothing.
        SpaceError: The space does not fit the data.
    """
    if text.endswith(".json"):
        return _fitting(_from_json(Path(text)), data)
    name = text.partition("(")[0]
    if name in SPACES:
        make = getattr(spaces, name)
        kind = next(kind for kind, names in KINDS.items() if name in names)
        if kind != data.kind:
            raise SpaceError(
                f"space {name} is for {kind}, but one example of {data.name} has the shape "
                f"{data.input_shape}: use --space {default_space(data)}",
                text,
            )
        return _made(make, {**SPACES[name], **_arguments(text)}, data, text)
    if text.rpartition(":")[0]:
        module_name, _, attribute = text.rpartition(":")
        value = getattr(_module(module_name), attribute, None)
        if isinstance(value, SearchSpace):
            return _fitting(value, data)
        if callable(value):
            return _made(value, {}, data, text)
        raise ChoiceError(f"{module_name} has no space or function named {attribute!r}", text)
    raise ChoiceError(
        f"unknown space {text!r}{_near(name, SPACES)}; known are {', '.join(SPACES)}, a .json "
        "file, or file.py:name",
        text,
    )


def make_sampler(
    name: str,
    space: SearchSpace,
    *,
    trials: int,
    seed: int,
    done: int,
    known_objectives: Mapping[int, Callable[[Mapping[str, Any]], float]] | None = None,
) -> BaseSampler:
    """Make the sampler of that name.

    Args:
        name: One of `SAMPLERS`.
        space: The space searched.
        trials: Trials of the whole search.
        seed: The search's seed.
        done: Trials the study has: Optuna's samplers would else repeat their start on resuming.
        known_objectives: For the predictor, objectives that need no training.

    Raises:
        ChoiceError: There is none, or it needs a package that is not installed.
    """
    if name == "evolution":
        # Real et al. use 100 of 20,000 trials; a short search can't spend 50 at random.
        population = max(4, min(50, trials // 4))
        return RegularizedEvolutionSampler(
            population_size=population,
            tournament_size=max(2, population // 4),
            space=space,
            seed=seed,
        )
    if name == "predictor":
        return PredictorSampler(space=space, seed=seed, known_objectives=known_objectives)
    if name == "local":
        return LocalSearchSampler(space=space, seed=seed)
    if name == "policy":
        return PolicyGradientSampler(space=space, seed=seed)
    own = (seed + 1_000_003 * done) % 2**32
    if name == "tpe":
        return optuna.samplers.TPESampler(seed=own)
    if name == "nsga2":
        return optuna.samplers.NSGAIISampler(population_size=max(4, min(50, trials // 4)), seed=own)
    if name == "random":
        return optuna.samplers.RandomSampler(seed=own)
    if name == "gp":
        if importlib.util.find_spec("torch") is None:
            raise ChoiceError("sampler gp needs PyTorch: pip install torch", name)
        return optuna.samplers.GPSampler(seed=own)
    check_names(name, "none")
    raise AssertionError(name)


def make_pruner(name: str, *, epochs: int, objectives: int) -> BasePruner:
    """Make the pruner of that name.

    Raises:
        ChoiceError: There is none, or it can't be used with several objectives.
    """
    check_names("random", name)
    if name == "none":
        return optuna.pruners.NopPruner()
    if name == "learning-curve":
        return LearningCurvePruner(epochs)
    if objectives > 1:
        raise ChoiceError(
            f"pruner {name} needs a single objective, for Optuna takes no reports with several: "
            "use --pruner learning-curve, or --objectives accuracy with --max-latency-ms",
            name,
        )
    if name == "median":
        return optuna.pruners.MedianPruner(n_warmup_steps=1)
    return optuna.pruners.HyperbandPruner(max_resource=epochs)


def _made(
    make: Callable[..., Any], arguments: Mapping[str, Any], data: Dataset, text: str
) -> SearchSpace:
    if data.vocabulary and "vocabulary" in inspect.signature(make).parameters:
        arguments = {"vocabulary": len(data.vocabulary), **arguments}
    try:
        space = make(input_shape=data.input_shape, classes=data.classes, **arguments)
    except NASError:
        raise
    except Exception as error:
        raise ChoiceError(f"space {text} can't be made: {describe(error)[0]}", text) from error
    if not isinstance(space, SearchSpace):
        raise ChoiceError(f"{text} returned {type(space).__name__}, not a SearchSpace", text)
    return _fitting(space, data)


def _fitting(space: SearchSpace, data: Dataset) -> SearchSpace:
    if tuple(space.input_shape) != data.input_shape or space.classes != data.classes:
        raise SpaceError(
            f"space {space.name!r} is for inputs of shape {tuple(space.input_shape)} and "
            f"{space.classes} classes, but {data.name} has {data.input_shape} and {data.classes}",
            space.name,
        )
    return space


def _arguments(text: str) -> dict[str, Any]:
    """Keyword arguments of ``name(key=value, ...)``; values are Python literals."""
    try:
        tree = ast.parse(text, mode="eval").body
        if isinstance(tree, ast.Name):
            return {}
        if not isinstance(tree, ast.Call) or tree.args:
            raise ValueError("not a call with keyword arguments")
        pairs = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in tree.keywords}
    except (SyntaxError, ValueError) as error:
        raise ChoiceError(
            f"space {text!r} can't be read; write it like chain_cnn(max_blocks=2)", text
        ) from error
    return pairs


def _from_json(path: Path) -> SearchSpace:
    try:
        return SearchSpace.from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ChoiceError(f"{path} can't be read: {error.strerror or error}", str(path)) from error
    except (NASError, UnicodeDecodeError) as error:
        raise ChoiceError(f"{path}: {error}", str(path)) from error


def _module(name: str) -> ModuleType:
    try:
        if not name.endswith(".py"):
            if "" not in sys.path:
                sys.path.insert(0, "")  # as `python -m` would find it
            with quiet_start():
                return importlib.import_module(name)
        path = Path(name).resolve()
        if not path.exists():
            raise ChoiceError(f"{name} does not exist", name)
        # By its own name, so that worker processes can import it too.
        sys.path.insert(0, str(path.parent))
        with quiet_start():  # it may import Keras
            module = importlib.import_module(path.stem)
        if Path(module.__file__ or "").resolve() != path:
            raise ChoiceError(
                f"{name}: Python has another module named {path.stem!r}; rename the file", name
            )
        return module
    except NASError:
        raise
    except Exception as error:
        raise ChoiceError(f"{name} can't be imported: {describe(error)[0]}", name) from error


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""
