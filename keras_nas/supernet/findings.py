"""What a supernet's alphas say: probabilities, logits, an architecture, and how sound it all is."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection

import numpy as np
from numpy.typing import NDArray

from keras_nas.supernet.adam import Arrays
from keras_nas.supernet.collapse import Health, check_health
from keras_nas.supernet.discretisation import value_logits
from keras_nas.supernet.eigenvalue import earlier_epoch
from keras_nas.supernet.policies import PathPolicy
from keras_nas.supernet.selection import select_by_perturbation
from keras_nas.supernet.state import Record
from optuna_nas.errors import InfeasibleSpaceError, SupernetError
from optuna_nas.search.gradient_source import RANKED, ArchitectureDistribution
from optuna_nas.space import Genotype
from optuna_nas.space.decisions import Value, typical
from optuna_nas.space.names import TRAINING
from optuna_nas.supergraph import Gates, Role, SuperGraph


class Findings:
    """Reads what was found off the record of a search.

    Args:
        graph: The networks.
        policy: What alphas mean.
        exclude: Roles that the discretised architecture does without.
        most_skips: Most skips of a cell of it.
    """

    def __init__(
        self,
        graph: SuperGraph,
        policy: PathPolicy,
        exclude: Collection[Role] | None,
        most_skips: int | None,
    ) -> None:
        self._graph = graph
        self._policy = policy
        self._exclude = exclude
        self._most_skips = most_skips

    def alphas(self, record: Record) -> Arrays:
        """The alphas that count: the last, or those from before the search went astray."""
        if not record.alphas:
            return {}
        return record.alphas[-1 if record.chosen is None else record.chosen - 1]

    def probabilities(self, record: Record) -> dict[str, NDArray[np.float64]]:
        """How strong each alternative is, (size,), by decision."""
        return self._policy.probabilities(self._graph.decisions, self.alphas(record))

    def logits(self, record: Record) -> dict[str, NDArray[np.float64]]:
        """One logit a value, by decision; those of decisions without influence are all 0."""
        logits = value_logits(
            self._graph,
            self.probabilities(record),
            exclude=self._exclude,
            most_skips=self._most_skips,
        )
        for name, value in (record.selected or {}).items():
            position = self._graph.decisions[name].values.index(value)
            logits[name][position] = logits[name].max() + 1
        domains = self._graph.space.distributions()
        idle = {
            name: np.zeros(int(domain.size))
            for name, domain in domains.items()
            if name not in logits and domain.size < np.inf and not name.startswith(f"{TRAINING}/")
        }
        return {**logits, **idle}

    def genotype(self, record: Record) -> Genotype:
        """The most probable feasible architecture, typical in what is decided about training.

        Raises:
            SupernetError: Nothing was learned or selected that would tell architectures apart.
            InfeasibleSpaceError: Of the most probable ones none is feasible.
        """
        space = self._graph.space
        if not self.alphas(record) and record.selected is None:
            raise SupernetError(
                "This supernet has no alphas to read an architecture off. Train it with a policy "
                "that learns, call select_by_perturbation(), or search with evaluate(genotype, "
                "...) as the objective."
            )
        fixed = {
            name: typical(domain)
            for name, domain in space.distributions().items()
            if name.startswith(f"{TRAINING}/")
        }
        distribution = ArchitectureDistribution(space, self.logits(record))
        ranked = distribution.ranked(np.random.default_rng(0), fixed)
        for params in itertools.islice(ranked, RANKED):
            genotype = Genotype(params)
            if space.feasible(genotype):
                return genotype
        raise InfeasibleSpaceError(
            f"Space {space.name!r}: none of the {RANKED} most probable architectures is feasible; "
            "raise its limits, or let an expected cost press for smaller ones.",
            space.name,
        )

    def health(self, record: Record) -> Health:
        """Whether the search has collapsed."""
        return check_health(
            self._graph,
            self.logits(record),
            self.probabilities(record),
            record.eigenvalues or None,
        )

    def earlier(self, record: Record) -> int | None:
        """The epoch to go back to, where the loss has become too sharp."""
        return earlier_epoch(record.eigenvalues)

    def select(
        self,
        record: Record,
        quality: Callable[[Gates], float],
        tune: Callable[[Gates], None],
        rng: np.random.Generator,
    ) -> dict[str, Value]:
        """The architecture whose parts the supernet can least do without."""
        return select_by_perturbation(
            self._graph,
            self._policy.mixture(self._graph.decisions, self.alphas(record)),
            quality,
            tune,
            rng,
            exclude=self._exclude,
        )
