"""Architectures drawn from the logits of a gradient-based search.

A supernet learns one logit for each value of each decision, as DARTS does (Liu et al. 2019,
https://arxiv.org/abs/1806.09055). A softmax makes a distribution of every decision, the one of an
architecture is their product over the decisions that exist in it:

    log p(a) = sum over the active decisions d of a: log softmax(logits_d / T)[a_d]             (1)
"""

from __future__ import annotations

import heapq
import itertools
import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from optuna_nas.errors import SupernetError
from optuna_nas.space import SearchSpace
from optuna_nas.space.decisions import Domain, Params, Point, Value, decide
from optuna_nas.space.names import TRAINING

# How often an architecture is drawn in search of one that is not known, and how many are then gone
# through from the most probable one on. When all of them are known, a known one is repeated.
DRAWS = 50
RANKED = 1000


class GradientSource(Protocol):
    """A gradient-based search as those see it who draw architectures from it."""

    def advance(self) -> bool:
        """Do one unit of search, such as an epoch. True while there is more to do."""

    def logits(self) -> Mapping[str, NDArray[np.float64]]:
        """One logit for each value of each decision, in the order of the values.

        Minus infinity stands for never. Decisions about training, and continuous ones, can be left
        out.
        """

    def checkpoint(self) -> bytes:
        """All that `restore` needs to go on from here, in another process too."""

    def restore(self, state: bytes) -> None:
        """Become as it was at `checkpoint`."""

    def status(self) -> Mapping[str, float | str | bool]:
        """Figures that tell how the search is doing, JSON-able.

        Two names have a meaning here: ``epoch`` counts the units that are done, and ``alarm`` is
        true, or says in words what is wrong, when the search degenerates.
        """


class ArchitectureDistribution:
    """The architectures of a space, each decision drawn by its logits when it comes up.

    Decisions about training, and continuous ones, are drawn uniformly where they have no logits;
    they do not count in probabilities.

    Args:
        space: The space.
        logits: As `GradientSource.logits` gives them. Names that the space does not know are
            passed over.
        temperature: T in (1). Above 1 draws are more even, below 1 less.

    Raises:
        SupernetError: A decision has no logits, the wrong number of them, or ones that are no
            numbers.
    """

    def __init__(
        self,
        space: SearchSpace,
        logits: Mapping[str, NDArray[np.float64]],
        temperature: float = 1.0,
    ) -> None:
        self._space = space
        self._weighed: dict[str, _Weighed] = {}
        for name, domain in space.distributions().items():
            if name in logits:
                if domain.size == math.inf:
                    raise SupernetError(
                        f"logits of the decision {name!r}: a continuous decision can have none. "
                        "Leave it out of the logits, or give it a step.",
                        name,
                    )
                checked = _checked(name, logits[name], int(domain.size))
                self._weighed[name] = _Weighed.of(domain, checked / temperature)
            elif 1 < domain.size < math.inf and not name.startswith(f"{TRAINING}/"):
                raise SupernetError(
                    f"logits: the decision {name!r} of space {space.name!r} has none, but only "
                    f"{sorted(logits)} do. Was the source made of another space?",
                    name,
                )

    def argmax(self, rng: np.random.Generator, fixed: Params | None = None) -> dict[str, Value]:
        """The discretised architecture: each decision takes its most probable value.

        Args:
            rng: Draws the decisions without logits.
            fixed: Decisions that are taken already; what is no value of its decision is not.
        """
        return self._decide(lambda weighed: weighed.best, rng, fixed or {})

    def draw(self, rng: np.random.Generator, fixed: Params | None = None) -> dict[str, Value]:
        """An architecture drawn by (1), given the fixed decisions."""
        return self._decide(lambda weighed: weighed.at(rng.random()), rng, fixed or {})

    def log_probability(self, params: Params) -> float:
        """The logarithm of (1) of an architecture's active decisions."""
        weighed = self._weighed
        return sum(weighed[n].log_probability(v) for n, v in params.items() if n in weighed)

    def ranked(
        self, rng: np.random.Generator, fixed: Params | None = None
    ) -> Iterator[dict[str, Value]]:
        """Every possible architecture once, from the most probable one on.

        The order is exact where no decision hangs on another one. Else a choice counts with the
        most probable values of the decisions that it brings into being not yet weighed.
        Decisions without logits take one random value each time.
        """
        fixed = fixed or {}
        # The k-best enumeration of Lawler (1972): an architecture's successors keep its decisions
        # up to some place and take another value there. Each lies in one such part of the space.
        others = {
            name: weighed.others
            for name, weighed in self._weighed.items()
            if weighed.domain.normalise(fixed.get(name)) is None
        }
        number = itertools.count()
        heap: list[tuple[float, int, list[tuple[str, Value]], int, Value]] = []
        params, loss, first = self.argmax(rng, fixed), 0.0, 0
        while True:
            yield params
            decisions = list(params.items())
            for place in range(first, len(decisions)):
                for value, more in others.get(decisions[place][0], ()):
                    heapq.heappush(heap, (loss + more, next(number), decisions, place, value))
            if not heap:
                return
            loss, _, decisions, place, value = heapq.heappop(heap)
            prefix = {**dict(decisions[:place]), decisions[place][0]: value}
            params, first = self.argmax(rng, {**prefix, **fixed}), place + 1

    def _decide(
        self, choose: Callable[[_Weighed], Value], rng: np.random.Generator, fixed: Params
    ) -> dict[str, Value]:
        def value_of(point: Point) -> Value:
            taken = point.domain.normalise(fixed[point.name]) if point.name in fixed else None
            if taken is not None:
                return taken
            weighed = self._weighed.get(point.name)
            return point.domain.sample(rng) if weighed is None else choose(weighed)

        return decide(self._space.points, value_of)


@dataclass(frozen=True)
class _Weighed:
    """A decision whose values have probabilities.

    Attributes:
        domain: What it may be.
        values: All of that, in order.
        log_p: Log-probability of each.
        cumulative: Probability of each and those before it.
        best: The most probable one, the first of several.
        others: The other possible ones, each with what it loses in log-probability.
    """

    domain: Domain
    values: tuple[Value, ...]
    log_p: tuple[float, ...]
    cumulative: tuple[float, ...]
    best: Value
    others: tuple[tuple[Value, float], ...]

    @classmethod
    def of(cls, domain: Domain, logits: NDArray[np.float64]) -> _Weighed:
        values = tuple(domain.values())
        shifted = logits - logits.max()
        log_p = (shifted - np.log(np.exp(shifted).sum())).tolist()
        cumulative = np.exp(shifted).cumsum()
        best = int(shifted.argmax())
        others = tuple(
            (value, log_p[best] - p)
            for i, (value, p) in enumerate(zip(values, log_p, strict=True))
            if i != best and p > -math.inf
        )
        shares = tuple((cumulative / cumulative[-1]).tolist())
        return cls(domain, values, tuple(log_p), shares, values[best], others)

    def at(self, share: float) -> Value:
        """The value that a number from 0 to below 1 falls on."""
        return self.values[bisect_right(self.cumulative, share)]

    def log_probability(self, value: Value) -> float:
        if value in self.values:
            return self.log_p[self.values.index(value)]
        # The rounding error of a stepped range.
        distances = [abs(float(known) - float(value)) for known in self.values]
        return self.log_p[distances.index(min(distances))]


def unseen(
    distribution: ArchitectureDistribution,
    refused: Callable[[Params], bool],
    known: Callable[[Params], bool],
    rng: np.random.Generator,
    fixed: Params,
) -> tuple[dict[str, Value], bool]:
    """The next architecture: the discretised one, later others by probability, none twice.

    After `DRAWS` draws that are all known, up to `RANKED` architectures are gone through from the
    most probable one on. When those are known as well, the first that was drawn is repeated.

    Args:
        distribution: What to draw from.
        refused: Whether an architecture can't be built.
        known: Whether one was tried, or is being tried.
        rng: Source of randomness.
        fixed: Decisions that are taken already.

    Returns:
        The architecture, and whether it is a new one.
    """
    best = distribution.argmax(rng, fixed)
    draws = (distribution.draw(rng, fixed) for _ in range(DRAWS))
    ranked = itertools.islice(distribution.ranked(rng, fixed), RANKED)
    repeated = None
    if not refused(best) and not known(best):
        return best, True
    for params in itertools.chain(draws, ranked):
        if refused(params):
            continue
        if not known(params):
            return params, True
        repeated = repeated or params
    return repeated or best, False


def _checked(name: str, logits: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    array = np.asarray(logits, dtype=np.float64)
    if array.shape != (size,):
        raise SupernetError(
            f"logits of the decision {name!r}: expected {size}, one for each of its values, got an "
            f"array of shape {array.shape}.",
            name,
        )
    if np.isnan(array).any() or (array == np.inf).any() or not np.isfinite(array).any():
        raise SupernetError(
            f"logits of the decision {name!r}: expected numbers, or minus infinity for some, got "
            f"{array.tolist()}. The search has diverged: lower its learning rates, or go on from "
            "an earlier checkpoint.",
            name,
        )
    return array
