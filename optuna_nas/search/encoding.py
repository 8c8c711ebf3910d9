"""How candidates vary, and which of them are the same: decisions alone, or decisions of a space."""

from __future__ import annotations

import sys
from collections.abc import Collection, Container, Hashable, Iterator, Mapping
from functools import lru_cache
from typing import Protocol

import numpy as np

from optuna_nas.errors import GenotypeError, InfeasibleArchitectureError, InfeasibleSpaceError
from optuna_nas.graph.liveness import live_layers
from optuna_nas.search.activity import Activity
from optuna_nas.search.features import KnownLayers, graph_features, live_decisions
from optuna_nas.search.parameter_features import parameter_features
from optuna_nas.space import SearchSpace
from optuna_nas.space.crossover import cross_params, crossover_of
from optuna_nas.space.decisions import Domain, Point, Value, decide
from optuna_nas.space.genotype import Genotype
from optuna_nas.space.names import TRAINING

Params = Mapping[str, Value]
Domains = Mapping[str, Domain]

_MASK = (1 << 64) - 1


class Encoding(Protocol):
    """What a search needs to know of its candidates."""

    def random(self, domains: Domains, rng: np.random.Generator) -> dict[str, Value]:
        """A fresh candidate that decides at least `domains`."""

    def mutate(
        self, params: Params, domains: Domains, free: Collection[str], rng: np.random.Generator
    ) -> dict[str, Value] | None:
        """`params` with one free decision changed to a different value; None if none can change.

        Each decision that can change is as likely. Decisions that come into being with the change
        may be missing, and ones that end with it may still be there.
        """

    def crossover(
        self, a: Params, b: Params, rng: np.random.Generator, kind: str = "uniform"
    ) -> dict[str, Value]:
        """A candidate that takes each aligned decision from either; `kind` says in which way.

        The kinds are those of `optuna_nas.space.crossover`. Decisions that neither took may be
        missing, and ones that do not exist together may be there.
        """

    def complete(
        self, params: Params, domains: Domains, rng: np.random.Generator
    ) -> dict[str, Value]:
        """The decisions that will be asked for, as far as it is known.

        Those of `params` that will exist, and random values for those of `domains` that are missing
        and will.
        """

    def exists(self, name: str, params: Params, undecided: Container[str]) -> bool:
        """Whether a decision will be asked for, as far as it is known.

        Args:
            name: The decision.
            params: The decisions taken so far that do exist.
            undecided: Decisions still to be taken.
        """

    def identities(self, params: Params, canonical_id: str | None = None) -> Iterator[Hashable]:
        """Its own identity, then those of candidates it may turn out to be.

        Args:
            params: The candidate.
            canonical_id: Identity of its graph where it was computed before.
        """

    def learn(self, params: Params) -> None:
        """Note that these are all decisions of an architecture that was evaluated."""

    def describe(self, params: Params, domains: Domains) -> Mapping[str, float]:
        """Features of a candidate for a model to learn from; a missing name stands for 0.

        The first word of a name says what the feature is about: ``graph`` the network, ``stage``
        its part at one resolution, ``decision`` one decision, ``kind`` all decisions of one kind,
        ``cost`` all layers that are built, those that change nothing included.
        There are far more of some than of others, so where distances count, scale them by it.
        Features that are alike up to an ``=`` count the values of one thing.

        Args:
            params: The candidate.
            domains: What its decisions could have been, as far as it is known.
        """


class ParameterEncoding:
    """Candidates of an objective that asks for its decisions as it runs.

    Nobody declared which decisions exist together, but the objective is taken to ask for the same
    decisions whenever it was given the same values. Of a mutated candidate some decisions may then
    never be asked for: with one layer less, the last layer's operation. Such a candidate equals an
    evaluated one if it holds all its decisions with the same values, so the sets of names that
    occurred together are kept, and its identity is looked up reduced to each of them.
    """

    # More name sets than this are not tried: the cost of a proposal stays flat, and what is lost is
    # a duplicate now and then in objectives of very many shapes.
    MAX_SHAPES = 64

    def __init__(self) -> None:
        self._shapes: dict[frozenset[str], None] = {}
        self._activity = Activity()

    def random(self, domains: Domains, rng: np.random.Generator) -> dict[str, Value]:
        return {name: domain.sample(rng) for name, domain in domains.items()}

    def mutate(
        self, params: Params, domains: Domains, free: Collection[str], rng: np.random.Generator
    ) -> dict[str, Value] | None:
        movable = [n for n in params if n in free and n in domains and domains[n].size > 1]
        if not movable:
            return None
        name = movable[int(rng.integers(len(movable)))]
        return {**params, name: domains[name].move(params[name], rng)}

    def crossover(
        self, a: Params, b: Params, rng: np.random.Generator, kind: str = "uniform"
    ) -> dict[str, Value]:
        return cross_params(a, b, rng, crossover_of(kind))

    def complete(
        self, params: Params, domains: Domains, rng: np.random.Generator
    ) -> dict[str, Value]:
        missing = {name: domains[name].sample(rng) for name in domains if name not in params}
        return self._activity.active({**params, **missing})

    def exists(self, name: str, params: Params, undecided: Container[str]) -> bool:
        return self._activity.exists(name, params, undecided)

    def identities(self, params: Params, canonical_id: str | None = None) -> Iterator[Hashable]:
        hashes = {name: _hash(name, value) for name, value in params.items()}
        yield sum(hashes.values()) & _MASK  # whatever the order of the names
        for shape in self._shapes:
            if len(shape) < len(hashes) and shape <= hashes.keys():
                yield sum(hashes[name] for name in shape) & _MASK

    def learn(self, params: Params) -> None:
        self._activity.learn(params)
        shape = frozenset(params)
        self._shapes.pop(shape, None)
        self._shapes[shape] = None  # the last is the latest
        if len(self._shapes) > self.MAX_SHAPES:
            del self._shapes[next(iter(self._shapes))]

    def describe(self, params: Params, domains: Domains) -> Mapping[str, float]:
        return parameter_features(self._activity.active(params), domains)


class SpaceEncoding:
    """Candidates of a declared space: structural edits, and one identity for equal networks.

    Decisions that the space does not know (an objective may ask for more) vary and count on their
    own. What does not fit the space at all is treated as by `ParameterEncoding`.

    Args:
        space: The declared space.
        by_function: Whether networks that are equal in function are one candidate. They have one
            accuracy, but not one cost: parameters and the latency of a device may count branches
            that lead nowhere.
        by_network: Whether candidates are the same that differ only in how they are trained, or in
            decisions that are not of the space.
    """

    # Searches come back to the neighbours of their best: what is dear to find out of a candidate is
    # kept of so many, the latest asked for.
    KEPT = 2048

    def __init__(
        self, space: SearchSpace, *, by_function: bool = True, by_network: bool = False
    ) -> None:
        self._space = space
        self._by_network = by_network
        self._by_function = by_function
        self._domains = space.distributions()
        self._plain = ParameterEncoding()
        self._layers = KnownLayers()
        self._genotypes: dict[str, Genotype] = {}
        self._canonical_id = lru_cache(self.KEPT)(lambda g: self._space.graph(g).canonical_id)
        self._network = lru_cache(self.KEPT)(self._describe_network)
        self._features = lru_cache(self.KEPT)(self._describe_genotype)

    def random(self, domains: Domains, rng: np.random.Generator) -> dict[str, Value]:
        more = {name: domain for name, domain in domains.items() if name not in self._domains}
        return {**self._space.sample(rng).params, **self._plain.random(more, rng)}

    def mutate(
        self, params: Params, domains: Domains, free: Collection[str], rng: np.random.Generator
    ) -> dict[str, Value] | None:
        known = {**domains, **self._domains}
        movable = [n for n in params if n in free and n in known and known[n].size > 1]
        if not movable:
            return None
        structural = [name for name in params if name in self._domains]
        name = movable[int(rng.integers(len(movable)))]
        if name in self._domains and all(name in free for name in structural):
            try:
                child = self._space.mutate(self._genotype(params), rng)
            except (GenotypeError, InfeasibleSpaceError):  # not of this space, or no way out of it
                pass
            else:
                return {**child.params, **self._others(params)}
        return {**params, name: known[name].move(params[name], rng)}

    def crossover(
        self, a: Params, b: Params, rng: np.random.Generator, kind: str = "uniform"
    ) -> dict[str, Value]:
        try:
            parents = self._genotype(a), self._genotype(b)
            child = self._space.crossover(*parents, rng, kind)
        except (GenotypeError, InfeasibleSpaceError):
            return self._plain.crossover(a, b, rng, kind)
        others = self._plain.crossover(self._others(a), self._others(b), rng, kind)
        return {**child.params, **others}

    def complete(
        self, params: Params, domains: Domains, rng: np.random.Generator
    ) -> dict[str, Value]:
        def choose(point: Point) -> Value:
            value = point.domain.normalise(params.get(point.name))
            return point.domain.sample(rng) if value is None else value

        structural = decide(self._space.points, choose)
        more = {name: domain for name, domain in domains.items() if name not in self._domains}
        others = self._plain.complete({**structural, **self._others(params)}, more, rng)
        return {**structural, **self._others(others)}

    def exists(self, name: str, params: Params, undecided: Container[str]) -> bool:
        return self._plain.exists(name, params, undecided)

    def identities(self, params: Params, canonical_id: str | None = None) -> Iterator[Hashable]:
        try:
            genotype = self._genotype(params)
            # The two parts of `SearchSpace.identity`, the first of which is dear to compute.
            network: Hashable = genotype
            if self._by_function:
                network = canonical_id or self._canonical_id(genotype)
            elif self._by_network:
                network = frozenset(
                    (n, v) for n, v in genotype.items() if not n.startswith(f"{TRAINING}/")
                )
        except (GenotypeError, InfeasibleArchitectureError):
            yield from self._plain.identities(params)
        else:
            training = tuple(self._space.training(genotype).items())
            if self._by_network:
                yield network
            else:
                yield network, training, next(self._plain.identities(self._others(params)))

    def learn(self, params: Params) -> None:
        self._plain.learn(params)

    def describe(self, params: Params, domains: Domains) -> Mapping[str, float]:
        others = self._others(params)
        try:
            genotype = self._genotype(params)
            if not others:
                return self._features(genotype)
            decisions, features = self._network(genotype)
        except (GenotypeError, InfeasibleArchitectureError):
            return self._plain.describe(params, {**domains, **self._domains})
        known = {**domains, **self._domains}
        return {**parameter_features({**decisions, **others}, known), **features}

    def _describe_genotype(self, genotype: Genotype) -> dict[str, float]:
        decisions, features = self._describe_network(genotype)
        features = {**parameter_features(decisions, self._domains), **features}
        return {sys.intern(name): value for name, value in features.items()}  # most names recur

    def _describe_network(self, genotype: Genotype) -> tuple[dict[str, Value], dict[str, float]]:
        """The decisions that have a say in what the network computes, and its features."""
        graph, governed = self._space.graph(genotype), self._space.governed(genotype)
        live = live_layers(graph)
        alive = live_decisions(governed, live)
        decisions = {
            name: value
            for name, value in genotype.items()
            if name in alive or name.startswith(f"{TRAINING}/")
        }
        # Not to what the network computes, but to its costs, it matters what is dead.
        dead = {f"cost dead {name}={genotype[name]}": 1.0 for name in governed if name not in alive}
        return decisions, {**graph_features(graph, live, self._layers), **dead}

    def _genotype(self, params: Params) -> Genotype:
        structural = {name: value for name, value in params.items() if name in self._domains}
        key = repr(structural)  # by representation, for 1, 1.0 and True are different values
        genotype = self._genotypes.pop(key, None)
        if genotype is None:
            genotype = self._space.genotype(structural)
            if len(self._genotypes) >= self.KEPT:
                del self._genotypes[next(iter(self._genotypes))]
        self._genotypes[key] = genotype  # the last is the latest
        return genotype

    def _others(self, params: Params) -> dict[str, Value]:
        return {name: value for name, value in params.items() if name not in self._domains}


def _hash(name: str, value: object) -> int:
    # By representation: 1, 1.0 and True are different values, and any value has one. Of one string:
    # hashes of tuples are nearly additive in their parts, so that sums of them collide.
    return hash(f"{name}\0{value!r}")
