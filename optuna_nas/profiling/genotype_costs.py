"""`GenotypeCosts`: sums over fused operations along the chain of parts that a space is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Union, cast

from optuna_nas.errors import NASError
from optuna_nas.graph import ArchitectureGraph, GraphBuilder, Shape
from optuna_nas.graph.builder import LayerTemplates
from optuna_nas.profiling.fusion import FusedOperation, Group, fused_operations, segment_of
from optuna_nas.space import (
    Chain,
    Choice,
    Genotype,
    Given,
    Let,
    Maybe,
    Node,
    Repeat,
    Scope,
    SearchSpace,
    Tied,
)
from optuna_nas.space.decisions import Params, Value
from optuna_nas.space.nodes import Decisions, Emitter

INPUT = "input"

Cost = Callable[[FusedOperation], float]


def total(graph: ArchitectureGraph, cost: Cost) -> float:
    """Cost of all fused operations of an architecture."""
    return sum(count * cost(operation) for operation, count in fused_operations(graph).items())


class _State(NamedTuple):
    """What a part of a chain stands behind: a shape, and an operation that it may continue."""

    shape: Shape
    group: Group | None


class _Step(NamedTuple):
    """What a part adds, the number of the state behind it, and whether it gives a constant."""

    cost: float
    state: int
    constant: bool


@dataclass(frozen=True)
class _Question:
    """A decision that a part reads next; ``within`` if its name begins with the part's path."""

    name: str
    within: bool
    answers: dict[Value | None, Union[_Question, _Step]] = field(default_factory=dict)


class GenotypeCosts:
    """Costs of genotypes, each a sum over the fused operations of its graph.

    What a part of a chain adds depends on the decisions that are read while it is emitted, on the
    shape that comes in, and on the operation that it may continue. All three are remembered, so
    that a part that was met before, in another place or another network, costs a few look-ups.
    Genotypes are checked when they have a part that is not known.

    Args:
        space: The space.
        cost: Cost of a fused operation.
    """

    MAX_STEPS = 100_000

    def __init__(self, space: SearchSpace, cost: Cost) -> None:
        self._space = space
        self._cost = cost
        self._limited = space.max_params is not None or space.max_macs is not None
        self._lock = threading.Lock()
        self._forget()

    def __call__(self, genotype: Genotype) -> float:
        if not self._limited:  # limits are on what the whole graph counts
            try:
                with self._lock:  # Optuna's n_jobs are threads
                    return self._sum(genotype)
            except (KeyError, NASError):
                pass  # the space says best what is wrong with a genotype
        return total(self._space.graph(genotype), self._cost)

    def _forget(self) -> None:
        self._templates = LayerTemplates()
        self._states: list[_State] = []
        self._numbers: dict[_State, int] = {}
        self._steps: dict[tuple[int, int, str], _Question | _Step] = {}
        self._learnt = 0
        self._names: dict[int, tuple[frozenset[str], frozenset[str]]] = {}
        self._placed: set[int] = set()
        self._parts: dict[int, tuple[Node, ...]] = {}

    def _sum(self, genotype: Genotype) -> float:
        if self._learnt > self.MAX_STEPS:
            self._forget()
        start = self._number(_State(self._space.input_shape, None))
        walk = _Walk(self, genotype, start)
        walk.emit(self._space.body, "", INPUT)
        if len(self._states[walk.state].shape) != 1:
            raise NASError("a body ends in a vector")
        walk.emit(self._space.head, "", INPUT)
        if walk.constant:
            return 0.0
        last = self._states[walk.state].group
        return walk.total if last is None else walk.total + self._cost(last.operation)

    def step(self, node: Node, path: str, walk: _Walk) -> _Step:
        """What a part adds where a walk is."""
        place = path if id(node) in self._placed else ""
        found = self._steps.get((id(node), walk.state, place))
        while isinstance(found, _Question):
            name = path + found.name if found.within else found.name
            found = found.answers.get(walk.params.get(name))
        return found or self._learn(node, path, walk)

    def parts(self, chain: Chain) -> tuple[Node, ...]:
        """Parts of a chain, those that decide nothing together with what stands before them."""
        known = self._parts.get(id(chain))
        if known is None:
            known = self._parts[id(chain)] = tuple(_joined(chain))
        return known

    def _learn(self, node: Node, path: str, walk: _Walk) -> _Step:
        if not walk.checked and self._space.genotype(walk.genotype) != walk.genotype:
            raise NASError("there are decisions that the space does not have")
        walk.checked = True
        shape, group = self._states[walk.state]
        builder, params = GraphBuilder(shape, templates=self._templates), _Watched(walk.params)
        output = Emitter(builder, params).emit(node, path, INPUT) or INPUT
        segment = segment_of(builder.graph(output), group)
        cost = sum(self._cost(group.operation) for group in segment.groups)
        behind = self._number(_State(builder.shapes[output], segment.last))
        step = _Step(cost, behind, segment.constant)
        self._remember(node, path, walk.state, params, step)
        return step

    def _remember(self, node: Node, path: str, state: int, params: _Watched, step: _Step) -> None:
        within, tied = self._known_names(node)
        inside = {n: n.startswith(path) and n[len(path) :] in within for n in params.asked}
        if params.searched or any(inside[name] == (name in tied) for name in inside):
            self._placed.add(id(node))  # what it reads depends on where it stands
        placed = id(node) in self._placed
        answers: dict[Any, _Question | _Step] = self._steps
        key: Any = (id(node), state, path if placed else "")
        for name, value in params.asked.items():
            relative = inside[name] and not placed
            asked = _Question(name[len(path) :] if relative else name, relative)
            asked = cast(_Question, answers.setdefault(key, asked))
            answers, key = asked.answers, value
        answers[key] = step
        self._learnt += 1

    def _known_names(self, node: Node) -> tuple[frozenset[str], frozenset[str]]:
        """Names of a node's decisions: those under its path, without it, and those tied."""
        known = self._names.get(id(node))
        if known is None:
            anywhere = "$/"  # which no name holds
            names = [p.name for point in node.points(anywhere) for p in point.descend()]
            within = frozenset(n[len(anywhere) :] for n in names if n.startswith(anywhere))
            tied = frozenset(n for n in names if not n.startswith(anywhere))
            known = self._names[id(node)] = within, tied
        return known

    def _number(self, state: _State) -> int:
        number = self._numbers.setdefault(state, len(self._states))
        if number == len(self._states):
            self._states.append(state)
        return number


_NOTHING = GraphBuilder((1,))


class _Walk(Emitter):
    """Goes along the chain and emits nothing: what parts add is looked up."""

    def __init__(self, costs: GenotypeCosts, genotype: Genotype, state: int) -> None:
        super().__init__(_NOTHING, Decisions(genotype))
        self.costs = costs
        self.genotype = genotype
        self.state = state
        self.total = 0.0
        self.constant = False
        self.checked = False

    def emit(self, node: Node, path: str, x: str) -> str | None:
        if type(node) is Chain:
            for part in self.costs.parts(node):
                self.emit(part, path, x)
        elif type(node) in _PASSING:
            node.emit(self, path, x)
        else:
            step = self.costs.step(node, path, self)
            self.total += step.cost
            self.state = step.state
            self.constant |= step.constant
        return x

    def govern(self, names: Sequence[str], start: int) -> None:
        pass


class _Watched(Decisions):
    """Decisions that note what is asked, in order, and whether any was searched for."""

    def __init__(self, params: Params) -> None:
        super().__init__(params)
        self.asked: dict[str, Value | None] = {}
        self.searched = False

    def __getitem__(self, name: str) -> Value:
        value = self.asked[name] = super().__getitem__(name)
        return value

    def __contains__(self, name: object) -> bool:
        self.searched = True
        self.asked[str(name)] = self.get(str(name))
        return super().__contains__(name)


# What has one input and hands it on: the chain goes through them.
_PASSING = frozenset([Chain, Choice, Given, Let, Maybe, Repeat, Scope, Tied])


class _Part(Chain):
    """Layers of a chain that are looked up together."""


def _joined(chain: Chain) -> Iterator[Node]:
    run: list[Node] = []
    for part in chain.parts:
        fixed = not part.points("") and type(part) is not Given
        if run and not fixed:
            yield _Part(tuple(run))
            run = []
        if fixed or type(part) not in _PASSING:
            run.append(part)
        else:
            yield part
    if run:
        yield _Part(tuple(run))
