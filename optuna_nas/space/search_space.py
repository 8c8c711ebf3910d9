"""`SearchSpace`: a network declared once, with its decisions left open."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np

from optuna_nas.errors import (
    GenotypeError,
    InfeasibleArchitectureError,
    InfeasibleSpaceError,
    SpaceError,
)
from optuna_nas.graph import ArchitectureGraph, GraphBuilder, LayerSpec, LayerTemplates
from optuna_nas.space import edits
from optuna_nas.space.counting import count
from optuna_nas.space.crossover import cross_points, crossover_of
from optuna_nas.space.decisions import (
    Categorical,
    Domain,
    Point,
    Suggester,
    Value,
    completions,
    decide,
    typical,
)
from optuna_nas.space.genotype import Genotype
from optuna_nas.space.head import Head
from optuna_nas.space.names import TRAINING, check_names, check_training
from optuna_nas.space.nodes import Body, Decisions, Emitter, Node, Scope, as_node
from optuna_nas.space.outline import describe, in_words
from optuna_nas.space.serialization import from_state, shared, to_state

# Random draws in search of a feasible architecture before a space is called infeasible. A space in
# which fewer than one in a hundred is feasible would need more; declare it more narrowly.
MAX_DRAWS = 500


class SearchSpace:
    """A search space: a network with named decisions left open.

    The body is followed by a dense layer that gives one logit a class.

    Args:
        name: What the space is called in studies and reports.
        input_shape: Shape of one example, channels last.
        classes: Number of classes.
        body: Layers and decisions, in a list or as one node.
        training: Decisions that are not part of the network, such as the learning rate; they are
            named under ``training/`` and read by `training`.
        max_params: Architectures with more trainable parameters are infeasible.
        max_macs: Architectures with more multiply-accumulates are infeasible.
        references: Well-known architectures: decisions by the name of each.

    Raises:
        SpaceError: The declaration has no meaning, such as one name for two decisions.
    """

    def __init__(
        self,
        name: str,
        *,
        input_shape: Sequence[int],
        classes: int,
        body: Body,
        training: Body = (),
        max_params: int | None = None,
        max_macs: int | None = None,
        references: Mapping[str, Mapping[str, Value]] | None = None,
    ) -> None:
        if not name or not isinstance(name, str):
            raise SpaceError(f"name must be a non-empty string, got {name!r}.", name)
        if isinstance(classes, bool) or not isinstance(classes, int) or classes < 2:
            raise SpaceError(f"classes must be an integer of at least 2, got {classes!r}.", classes)
        shape = tuple(input_shape) if isinstance(input_shape, Iterable) else ()
        if not shape or any(isinstance(s, bool) or not isinstance(s, int) or s < 1 for s in shape):
            raise SpaceError(
                f"input_shape must be positive integers, channels last, got {input_shape!r}.", shape
            )
        for limit, value in (("max_params", max_params), ("max_macs", max_macs)):
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, (int, float)) or value < 1
            ):
                raise SpaceError(
                    f"{limit} must be a positive integer or None, got {value!r}.", value
                )
        self.name = name
        self.input_shape = shape
        self.classes = classes
        self.max_params = max_params
        self.max_macs = max_macs
        self._references = {key: dict(params) for key, params in (references or {}).items()}
        if isinstance(training, Node):
            training = [training]
        self._body = as_node(body)
        self.head = Head(classes)
        self._training = tuple(as_node(node) for node in training)
        network = self._body.points("")
        settings = tuple(p for node in self._training for p in Scope(TRAINING, node).points(""))
        self.points: tuple[Point, ...] = network + settings
        check_names(self.points)
        check_training(network, settings)
        # Drawing, mutating and building ask for the same few graphs in a row.
        self._graph = lru_cache(maxsize=512)(self._build_graph)
        # Searches draw the neighbours of their best again and again, only to know if they fit.
        self._infeasibility = lru_cache(maxsize=4096)(self._find_infeasibility)
        self._templates = LayerTemplates()

    # --- genotypes ---------------------------------------------------------------------------

    def suggest(self, trial: Suggester) -> Genotype:
        """Ask a host for every decision that exists, in order.

        Args:
            trial: An Optuna trial, or anything with its three ``suggest_`` methods.
        """
        return self._decide(lambda point: point.domain.suggest(trial, point.name))

    def sample(self, rng: np.random.Generator) -> Genotype:
        """A random feasible genotype: each decision uniform when it comes up.

        Raises:
            InfeasibleSpaceError: Many draws found none that is feasible.
        """
        return self._draw(lambda: decide(self.points, lambda p: p.domain.sample(rng)))

    def genotype(self, params: Mapping[str, Any]) -> Genotype:
        """The genotype in a host's parameters; those that are not of this space are ignored.

        Raises:
            GenotypeError: A decision is missing, or its value is outside its domain.
        """

        def choose(point: Point) -> Value:
            if point.name not in params:
                raise GenotypeError(
                    f"The decision {point.name!r} of space {self.name!r} is missing.", point.name
                )
            value = point.domain.normalise(params[point.name])
            if value is None:
                raise GenotypeError(
                    f"{params[point.name]!r} is no value of the decision {point.name!r}: expected "
                    f"{_describe(point.domain)}.",
                    params[point.name],
                )
            return value

        return self._decide(choose)

    def genotypes(self) -> Iterator[Genotype]:
        """Every genotype, feasible or not, in a fixed order (of a continuous decision, eleven
        values)."""
        return (Genotype(params) for params in completions(self.points, {}))

    def neighbors(self, genotype: Genotype) -> Iterator[Genotype]:
        """Every feasible genotype one edit away, each once.

        An edit changes one decision, or puts in, takes out or moves one copy of a repetition.
        Decisions that it brings into being take every value, so the relation is symmetric; with
        continuous decisions it can only be a sample.
        """
        children = map(Genotype, edits.neighbors(self.points, genotype.params))
        return (child for child in children if self.feasible(child))

    def mutate(self, genotype: Genotype, rng: np.random.Generator) -> Genotype:
        """A random feasible neighbour: one decision, drawn uniformly, takes a different value.

        A genotype without any decision that could change comes back as it is.

        Raises:
            InfeasibleSpaceError: Many draws found no feasible neighbour.
        """
        return self._draw(lambda: edits.mutate(self.points, genotype.params, rng))

    def crossover(
        self, a: Genotype, b: Genotype, rng: np.random.Generator, kind: str = "uniform"
    ) -> Genotype:
        """A feasible genotype that takes each aligned decision from either parent.

        Args:
            a: First parent.
            b: Second parent.
            rng: Source of randomness.
            kind: "uniform" (each decision from either parent), "two-point" (those between two cuts
                from the second) or "subtree" (those of one stage, block, branch or copy of a
                repetition from the second).

        Raises:
            InfeasibleSpaceError: Many draws found no feasible child.
            ValueError: There is no such kind.
        """
        crossover = crossover_of(kind)
        return self._draw(lambda: cross_points(self.points, a, b, rng, crossover))

    @cached_property
    def size(self) -> int | float:
        """Number of distinct genotypes, feasible or not; `math.inf` with a continuous decision."""
        return count(self.points)

    def _decide(self, choose: Callable[[Point], Value]) -> Genotype:
        return Genotype(decide(self.points, choose))

    def _draw(self, draw: Callable[[], Mapping[str, Value]]) -> Genotype:
        for _ in range(MAX_DRAWS):
            genotype = Genotype(draw())
            reason = self._infeasibility(genotype)
            if reason is None:
                return genotype
        raise InfeasibleSpaceError(
            f"Space {self.name!r}: none of {MAX_DRAWS} drawn architectures is feasible; raise its "
            "limits, or leave out of its decisions what can't be built. The last one failed "
            f"because: {reason}",
            self.name,
        )

    @cached_property
    def references(self) -> Mapping[str, Genotype]:
        """Well-known good architectures by name, such as ``study.enqueue_trial`` may begin with.

        What they leave open about training takes the first value, or the middle of a range.

        Raises:
            GenotypeError: A declared one is not of this space.
        """
        return MappingProxyType(
            {name: self._reference(params) for name, params in self._references.items()}
        )

    def _reference(self, params: Mapping[str, Value]) -> Genotype:
        settings = [point for point in self.points if point.name.startswith(f"{TRAINING}/")]
        trained = decide(settings, lambda point: params.get(point.name, typical(point.domain)))
        return self.genotype({**trained, **params})

    # --- what a genotype means ---------------------------------------------------------------

    def graph(self, genotype: Genotype) -> ArchitectureGraph:
        """The network that a genotype stands for.

        Raises:
            GenotypeError: The genotype is not one of this space.
            InfeasibleArchitectureError: Its shapes do not fit, or it passes a limit of the space.
        """
        if not isinstance(genotype, Genotype):
            raise GenotypeError(
                f"genotype must be a Genotype, got {type(genotype).__name__}; make one with "
                "space.genotype(params).",
                genotype,
            )
        return self._built(genotype)[0]

    def governed(self, genotype: Genotype) -> dict[str, tuple[str, ...]]:
        """Names of the layers of `graph` that each decision had a say in, dead layers included.

        A decision says what its layers are, or that they are there. One that is not listed left
        something out. One that added no layers but passed its input on governs the layer before.

        Raises:
            GenotypeError: The genotype is not one of this space.
            InfeasibleArchitectureError: Its shapes do not fit, or it passes a limit of the space.
        """
        graph, emitter = self._built(genotype)
        layers = emitter.builder.layers
        names = [layer.name if layer.name in graph.shapes else None for layer in layers]
        return {
            name: tuple(n for start, end in spans for n in names[start:end] if n is not None)
            for name, spans in emitter.governed.items()
        }

    def emitted(self, genotype: Genotype) -> tuple[LayerSpec, ...]:
        """All layers in the order of their declaration, those that nothing reads included.

        Raises:
            GenotypeError: The genotype is not one of this space.
            InfeasibleArchitectureError: Its shapes do not fit, or it passes a limit of the space.
        """
        return tuple(self._built(genotype)[1].builder.layers)

    def _built(self, genotype: Genotype) -> tuple[ArchitectureGraph, Emitter]:
        result = self._graph(genotype)
        if isinstance(result, InfeasibleArchitectureError):
            raise result.with_traceback(None)
        return result

    def _build_graph(
        self, genotype: Genotype
    ) -> tuple[ArchitectureGraph, Emitter] | InfeasibleArchitectureError:
        self._check(genotype)
        builder = GraphBuilder(self.input_shape, templates=self._templates)
        emitter = Emitter(builder, Decisions(genotype))
        try:
            x = emitter.emit(self._body, "", "input") or "input"
            if len(builder.shapes[x]) != 1:
                raise InfeasibleArchitectureError(
                    f"The body of space {self.name!r} ends in the shape {builder.shapes[x]}; end "
                    "it in a vector, for example with global_average_pooling() or flatten().",
                    builder.shapes[x],
                )
            logits = self.head.emit(emitter, "", x)
            graph = builder.graph(logits)
            for what, limit in (("params", self.max_params), ("macs", self.max_macs)):
                if limit is not None and getattr(graph, what) > limit:
                    raise InfeasibleArchitectureError(
                        f"{getattr(graph, what):,} {what} are over the limit max_{what}={limit:,}.",
                        getattr(graph, what),
                    )
        except InfeasibleArchitectureError as error:
            return error  # so that the cache keeps failures too
        return graph, emitter

    def _check(self, genotype: Genotype) -> None:
        known = self.genotype(genotype)
        if len(known) != len(genotype):
            name = next(name for name in genotype if name not in known)
            raise GenotypeError(
                f"The decision {name!r} does not exist under the others in space {self.name!r}; "
                "make genotypes with space.genotype(params), which leaves it out.",
                name,
            )

    def feasible(self, genotype: Genotype) -> bool:
        """Whether the genotype has a valid network within the space's limits."""
        return self._infeasibility(genotype) is None

    def _find_infeasibility(self, genotype: Genotype) -> str | None:
        result = self._graph(genotype)
        return str(result) if isinstance(result, InfeasibleArchitectureError) else None

    def training(self, genotype: Genotype) -> dict[str, Value]:
        """The decisions about training, under the last part of their names."""
        return {
            name.rsplit("/", 1)[-1]: value
            for name, value in genotype.items()
            if name.startswith(f"{TRAINING}/")
        }

    def identity(self, genotype: Genotype) -> str:
        """Key for deduplication: the network's canonical identity and how it is trained."""
        settings = {k: v for k, v in genotype.items() if k.startswith(f"{TRAINING}/")}
        canonical = self.graph(genotype).canonical_id
        return f"{canonical} {json.dumps(settings, sort_keys=True)}" if settings else canonical

    # --- the declaration ---------------------------------------------------------------------

    @property
    def body(self) -> Node:
        """The network without its last layer, to be a part or an alternative of another space."""
        return self._body

    def distributions(self) -> dict[str, Domain]:
        """Domain of every decision that can ever exist, by name."""
        return {p.name: p.domain for point in self.points for p in point.descend()}

    def describe(self) -> str:
        """The space in words: what it is for, how large it is, and every decision.

        Copies of a repetition, and branches that hold the same decisions, are written once; a
        decision that several places share comes first.
        """
        return describe(self)

    def to_json(self) -> str:
        """Serialise; `from_json` returns an equal space."""
        state, nodes = shared(self._state())
        references = {"references": self._references} if self._references else {}
        return json.dumps({**state, **references, "nodes": nodes})

    @classmethod
    def from_json(cls, text: str) -> SearchSpace:
        """Read what `to_json` wrote.

        Raises:
            SpaceError: The text is no JSON of a space.
        """
        try:
            state = json.loads(text)
            nodes: list[Any] = []
            for node in state.pop("nodes", ()):
                nodes.append(from_state(node, nodes))
            arguments = {key: from_state(value, nodes) for key, value in state.items()}
            return cls(arguments.pop("name"), **arguments)
        except (ValueError, TypeError, AttributeError, LookupError) as error:
            if isinstance(error, SpaceError):
                raise
            raise SpaceError(f"This is not the JSON of a search space: {error!r}.") from error

    def _state(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "input_shape": list(self.input_shape),
            "classes": self.classes,
            "body": to_state(self._body),
            "training": to_state(list(self._training)),
            "max_params": self.max_params,
            "max_macs": self.max_macs,
        }

    @cached_property
    def fingerprint(self) -> str:
        """Hash of what may be chosen: studies of spaces with one fingerprint may be joined."""
        state = {key: value for key, value in self._state().items() if key != "name"}
        return hashlib.blake2b(json.dumps(state).encode(), digest_size=16).hexdigest()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SearchSpace):
            return NotImplemented
        return self._state() == other._state()

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __getstate__(self) -> str:
        return self.to_json()  # the cache of graphs can't be pickled, and need not be

    def __setstate__(self, state: str) -> None:
        self.__dict__ = SearchSpace.from_json(state).__dict__

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.input_shape))
        size = in_words(self.size, digits=15)
        return f"<SearchSpace {self.name!r}: {shape} -> {self.classes} classes, {size} genotypes>"


def _describe(domain: Domain) -> str:
    if isinstance(domain, Categorical) or domain.size <= 12:
        return f"one of {', '.join(map(repr, domain.values()))}"
    steps = "" if domain.step is None else f" in steps of {domain.step}"
    return f"a value from {domain.low} to {domain.high}{steps}"
