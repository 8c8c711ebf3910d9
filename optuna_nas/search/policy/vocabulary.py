"""The decisions a policy knows, in the order in which it takes them."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from optuna_nas.search.encoding import Domains, Params
from optuna_nas.search.policy.cells import Cells, cells_of
from optuna_nas.search.population import Individual
from optuna_nas.space.decisions import Domain

_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, eq=False)
class Decision:
    """One decision over one domain; a name whose domain changed has several.

    Attributes:
        name: Name of the decision.
        cells: What it is chosen from.
        row: Number of the name.
        slots: Numbers of the cells, counted over all names, shape (cells,).
        kinds: Numbers that the cells share with equal ones of decisions alike, shape (cells,): of
            names that differ only in digits, as those of a repeated block do.
    """

    name: str
    cells: Cells
    row: int
    slots: NDArray[np.int64]
    kinds: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Batch:
    """Some architectures as a policy reads them.

    Attributes:
        decisions: What at least one of them decided, in the vocabulary's order.
        choices: Cell each of them chose, -1 where it did not decide: shape (batch, decisions).
    """

    decisions: tuple[Decision, ...]
    choices: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """What was decided so far. It never changes: what is new makes another one.

    Decisions are numbered, and cells are too, in the order in which they were first seen, so the
    same history makes the same numbers.

    Attributes:
        decisions: In the order in which they are taken. A new one comes behind the one that it
            followed where it was seen first.
        names: Numbers of the names.
        slots: Numbers of (name, key of a cell).
        kinds: Numbers of (name without digits, key of a cell).
    """

    decisions: tuple[Decision, ...] = ()
    names: Mapping[str, int] = field(default_factory=dict)
    slots: Mapping[Hashable, int] = field(default_factory=dict)
    kinds: Mapping[Hashable, int] = field(default_factory=dict)

    @cached_property
    def _by_name(self) -> dict[str, list[Decision]]:
        found: dict[str, list[Decision]] = {}
        for decision in self.decisions:
            found.setdefault(decision.name, []).append(decision)
        return found

    def find(self, name: str, domain: Domain) -> Decision | None:
        """A known decision."""
        for decision in self._by_name.get(name, ()):
            if decision.cells.domain is domain or decision.cells.domain == domain:
                return decision
        return None

    def among(self, domains: Domains, fixed: Params) -> tuple[Decision, ...]:
        """The known decisions of these names and domains, and of these names and values."""
        latest = {d.name: d for d in self.decisions if d.name in fixed} if fixed else {}

        def wanted(decision: Decision) -> bool:
            name, own = decision.name, decision.cells.domain
            if name in latest:
                return latest[name] is decision and decision.cells.find(fixed[name]) >= 0
            domain = domains.get(name)
            return domain is not None and (own is domain or own == domain)

        return tuple(filter(wanted, self.decisions))

    def extended(self, individuals: Sequence[Individual]) -> Vocabulary:
        """With what these have that is new, the oldest first; itself where there is nothing."""
        vocabulary = self
        for individual in individuals:
            previous = None
            for name in individual.params:
                if vocabulary.find(name, individual.domains[name]) is None:
                    vocabulary = vocabulary._with(name, individual.domains[name], previous)
                previous = name
        return vocabulary

    def batch(self, individuals: Sequence[Individual]) -> Batch:
        """Architectures as a policy reads them; all of their decisions have to be known."""
        chosen = [
            {
                decision: decision.cells.find(value)
                for name, value in individual.params.items()
                if (decision := self.find(name, individual.domains[name])) is not None
            }
            for individual in individuals
        ]
        found = set().union(*chosen)
        decisions = tuple(decision for decision in self.decisions if decision in found)
        choices = [[cells.get(decision, -1) for decision in decisions] for cells in chosen]
        shape = (len(individuals), len(decisions))
        return Batch(decisions, np.array(choices, dtype=np.int64).reshape(shape))

    def _with(self, name: str, domain: Domain, previous: str | None) -> Vocabulary:
        cells = cells_of(domain)
        names, slots, kinds = dict(self.names), dict(self.slots), dict(self.kinds)
        row = names.setdefault(name, len(names))
        pattern = _DIGITS.sub("", name)
        decision = Decision(
            name,
            cells,
            row,
            np.array([slots.setdefault((name, key), len(slots)) for key in cells.keys]),
            np.array([kinds.setdefault((pattern, key), len(kinds)) for key in cells.keys]),
        )
        places = [i for i, other in enumerate(self.decisions) if other.name in (previous, name)]
        place = max(places, default=-1) + 1
        decisions = (*self.decisions[:place], decision, *self.decisions[place:])
        return Vocabulary(decisions, names, slots, kinds)
