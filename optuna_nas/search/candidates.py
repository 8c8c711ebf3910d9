"""Many candidates for one trial: what is cheap to know of them, and the choice of one."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from optuna_nas.search.density import rarity
from optuna_nas.search.encoding import Params
from optuna_nas.search.fitness import loss_of
from optuna_nas.search.strategy import Memory
from optuna_nas.space.decisions import Value

Candidate = dict[str, Value]
Measure = Callable[[Params], float]


def distinct(
    draw: Callable[[], Candidate], count: int, memory: Memory, *, unknown: bool
) -> list[Candidate]:
    """What is left of `count` draws without repetitions and, if wanted, without what is known."""
    found = {}
    for _ in range(count):
        candidate = draw()
        identity = next(memory.encoding.identities(candidate))
        if identity in found:
            continue
        if not unknown or not memory.archive.knows_any(memory.encoding.identities(candidate)):
            found[identity] = candidate
    return list(found.values())


def measured(name: str, measure: Measure, candidates: Sequence[Params]) -> NDArray[np.float64]:
    """A cheap value of each candidate, shape (candidates,); NaN where there is no finite one.

    What fails for one candidate, such as a network that is too large, speaks against that
    candidate only. Where it fails for all, a warning says so.
    """
    values = np.full(len(candidates), np.nan)
    errors = []
    for index, candidate in enumerate(candidates):
        try:
            value = float(measure(candidate))
        except Exception as error:
            errors.append(error)
        else:
            values[index] = value if np.isfinite(value) else np.nan
    if errors and len(errors) == len(candidates):
        warnings.warn(
            f"{name} failed for all of {len(candidates)} candidates, the last time with "
            f"{errors[-1]!r}; it is not used for this trial.",
            RuntimeWarning,
            stacklevel=2,
        )
    return values


def check_known_objectives(functions: Mapping[int, Measure], objectives: int) -> None:
    """Refuse known objectives that are not some, but not all, of so many objectives.

    Raises:
        ValueError: What was expected and what came.
    """
    if functions and not set(functions) < set(range(objectives)):
        raise ValueError(
            "known_objectives must name some, but not all, of the study's objectives by their "
            f"number from 0 to {objectives - 1}, got {list(functions)}."
        )


def known_losses(
    functions: Mapping[int, Measure], maximize: Sequence[bool], candidates: Sequence[Params]
) -> NDArray[np.float64]:
    """Losses of the objectives that are known without training.

    Args:
        functions: By number of the objective: its value, in the unit of the objective.
        maximize: Whether each objective is maximised.
        candidates: What is evaluated.

    Returns:
        Shape (candidates, functions), in the order of `functions`; NaN where one has no value.
    """
    losses = np.empty((len(candidates), len(functions)))
    for column, (index, function) in enumerate(functions.items()):
        values = measured(f"known_objectives[{index}]", function, candidates)
        losses[:, column] = [loss_of(v, maximize=maximize[index]) for v in values]
    losses[~np.isfinite(losses)] = np.nan
    return losses


def best_by_score(score: Measure, candidates: Sequence[Candidate]) -> Candidate | None:
    """The candidate with the largest score; None where no score is a finite number."""
    scores = measured("score", score, candidates)
    if np.isnan(scores).all():
        return None
    return candidates[int(np.nanargmax(scores))]


def rarest(
    candidates: Sequence[Candidate],
    losses: NDArray[np.float64],
    others: NDArray[np.float64],
    rng: np.random.Generator,
) -> Candidate | None:
    """A candidate drawn by `rarity` among others; None where no candidate has all losses.

    Args:
        candidates: What is drawn from.
        losses: Shape (candidates, known objectives); NaN where there is none.
        others: Shape (others, known objectives): losses of what is there already.
        rng: Source of randomness.
    """
    valued = np.flatnonzero(~np.isnan(losses).any(axis=1))
    if not len(valued):
        return None
    return candidates[int(rng.choice(valued, p=rarity(losses[valued], others)))]
