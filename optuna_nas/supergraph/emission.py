"""How a declared space becomes a supernet: its nodes are emitted with decisions left open.

A node that reads a decision nobody has taken is emitted once for each of its values, and a mixture
takes the place of what differs. Three kinds of nodes know better: the copies of a `Repeat` go on
from one another, the branches of a `Subset` are added one by one, and a layer whose number of
channels is decided is made once, for the most of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from optuna_nas.errors import InfeasibleArchitectureError, SupernetError
from optuna_nas.space.cells import Edge
from optuna_nas.space.choices import Choice
from optuna_nas.space.decisions import Domain, FloatRange, Value
from optuna_nas.space.nodes import Decisions, Emitter, Node
from optuna_nas.supergraph.builder import SuperBuilder, Undecided
from optuna_nas.supergraph.structure import Alternatives, Block, Branch, Kind, Mixture
from optuna_nas.supergraph.widths import Table, joined

MAX_ALTERNATIVES = 64


class OpenDecisions(Decisions):
    """Decisions of a space, those taken that are assumed at the moment.

    Args:
        known: Names of all that may ever exist.
    """

    def __init__(self, known: Mapping[str, Domain]) -> None:
        super().__init__({})
        self._known = known

    def __contains__(self, name: object) -> bool:
        return name in self._known

    def __missing__(self, name: str) -> Value:
        raise Undecided(name)


Rule = Callable[["SuperEmitter", Any, str, str], "str | None"]
"""How a node is emitted: ``(emitter, node, path, x)`` gives the name of its value."""


class SuperEmitter(Emitter):
    """Emits nodes with their decisions left open.

    Args:
        builder: Collects the layers.
        domains: Domain of every decision of the space.
        rules: For kinds of nodes that know better, how they are emitted.
        partial: Operations of cells are given one in so many channels.
    """

    def __init__(
        self,
        builder: SuperBuilder,
        domains: Mapping[str, Domain],
        rules: Mapping[type[Node], Rule],
        partial: int = 1,
    ) -> None:
        super().__init__(builder, OpenDecisions(domains))
        self.builder: SuperBuilder = builder
        self.domains = domains
        self.rules = rules
        self.partial = partial
        self.divisor = 1  # of the channels of the layers that are emitted at the moment
        self.decisions: dict[str, Alternatives] = {}
        self.merging: str | None = None  # how what may be left out would be merged
        self.open_sources = False  # whether a cell's edges may read one node or another

    def emit(self, node: Node, path: str, x: str) -> str | None:
        rule = self.rules.get(type(node))
        mark = self.builder.mark()
        try:
            return rule(self, node, path, x) if rule else node.emit(self, path, x)
        except Undecided as undecided:
            name = undecided.name
        self.builder.back_to(mark)
        in_part = self.partial > 1 and self.divisor == 1 and self.cell is not None
        if in_part and isinstance(node, Choice):
            return self._fork_partially(name, node, path, x)
        return self._fork(name, node, path, x)

    def govern(self, names: Sequence[str], start: int) -> None:
        pass  # all decisions are open

    def channels(self, x: str) -> int:
        return self.builder.channels(x)

    # --- decisions ----------------------------------------------------------------------------

    def alternatives(self, name: str, options: tuple[str, ...] | None = None) -> Alternatives:
        """What a decision is between.

        Raises:
            SupernetError: It is between too many values.
        """
        if name not in self.decisions:
            domain = self.domains[name]
            if isinstance(domain, FloatRange) and domain.step is None and domain.size > 1:
                raise SupernetError(
                    f"The decision {name!r} is continuous, and a supernet holds every alternative; "
                    "declare it with a step, or as a Choice of a few values.",
                    name,
                )
            if domain.size > MAX_ALTERNATIVES and options is None:
                raise SupernetError(
                    f"The decision {name!r} has {int(domain.size):,} alternatives, and a supernet "
                    f"holds every one; leave at most {MAX_ALTERNATIVES}.",
                    name,
                )
            self.decisions[name] = Alternatives(name, tuple(domain.values()), options)
        return self.decisions[name]

    @contextmanager
    def assuming(self, name: str, position: int) -> Iterator[None]:
        """Inside, the decision has taken its value at a position."""
        self.params[name] = self.alternatives(name).values[position]
        self.builder.assumed[name] = position
        try:
            yield
        finally:
            del self.params[name], self.builder.assumed[name]

    @contextmanager
    def merged_by(self, merge: str | None) -> Iterator[None]:
        """Inside, what is left out is left out of such a merge; of a chain where that is None."""
        around, self.merging = self.merging, merge
        try:
            yield
        finally:
            self.merging = around

    def _fork(self, name: str, node: Node, path: str, x: str) -> str | None:
        """Emit a node once for each value of a decision."""
        alternatives = self.alternatives(name)
        size = len(alternatives.values)
        if size == 1:
            with self.assuming(name, 0):
                return self.emit(node, path, x)
        branches: list[Branch] = []
        counts = dict(self.builder.counts)
        for position, value in enumerate(alternatives.values):
            tag = self.builder.tag
            if isinstance(node, Edge):  # an operation has weights of its own for what it reads
                self.builder.tag = f"{tag}{name}={value}:"
            try:
                with self.assuming(name, position), self.builder.block(counts) as items:
                    output = self.emit(node, path, x)
            except InfeasibleArchitectureError as error:
                raise SupernetError(
                    f"The decision {name!r} can't be {value!r} beside its other values: {error}",
                    name,
                ) from None
            finally:
                self.builder.tag = tag
            if output is None and self.merging is None:
                output = x
            if output is not None:
                branches.append(Branch((position,), Block(tuple(items), output)))
        if not branches:
            return None
        kind: Kind = "one"
        if len(branches) < size:
            # Adding zeros is leaving out; so is a concatenation's part none of which is in use.
            if self.merging not in ("add", "concatenate"):
                raise SupernetError(
                    f"The decision {name!r} may leave out what {self.merging!r} merges, which a "
                    "supernet can do of 'add' and 'concatenate' alone.",
                    name,
                )
            kind = "sum"
        return self.mixture(name, path, x, branches, kind)

    def _fork_partially(self, name: str, node: Node, path: str, x: str) -> str:
        """An operation of a cell on one in ``partial`` channels, the others passing by (PC-DARTS).

        The channels are shuffled, so that each edge on the way operates on other ones (Xu et al.
        2020, equation 1).
        """
        builder = self.builder
        channels = self.channels(x)
        part = channels // self.partial
        if channels % self.partial:
            raise SupernetError(
                f"partial={self.partial} does not divide the {channels} channels that {name!r} "
                "operates on.",
                self.partial,
            )
        self.divisor = self.partial
        try:
            mixed = self._fork(name, node, path, builder.taken(x, range(part)))
        finally:
            self.divisor = 1
        assert mixed is not None  # an edge of a cell holds layers
        rest = builder.taken(x, range(part, channels))
        (height, *_), (reduced, *_) = builder.shapes[rest], builder.shapes[mixed]
        if height != reduced:
            pooling = {"pool_size": height // reduced, "strides": height // reduced}
            rest = builder.add("max_pooling2d", pooling, [rest], name=f"{path}bypass")
        both = builder.add("concatenate", {}, [mixed, rest], name=f"{path}concatenate")
        shuffled = [group * part + i for i in range(part) for group in range(self.partial)]
        return builder.taken(both, shuffled)

    def mixture(
        self, decision: str, path: str, x: str, branches: Sequence[Branch], kind: Kind
    ) -> str:
        """Append a mixture of branches; return its name.

        Raises:
            SupernetError: The branches' values can't be merged.
        """
        builder = self.builder
        outputs = [branch.block.output for branch in branches]
        if len(set(outputs)) == 1 and not any(branch.block.items for branch in branches):
            return outputs[0]
        shapes = [builder.shapes[output] for output in outputs]
        if len({(len(shape), shape[:-1]) for shape in shapes}) > 1:
            raise SupernetError(
                f"The alternatives of {decision!r} give the shapes "
                f"{', '.join(map(str, dict.fromkeys(shapes)))}; a supernet can mix values that "
                "differ in their channels alone. Let the resolution change outside of it.",
                decision,
            )
        shape = (*shapes[0][:-1], max(shape[-1] for shape in shapes))
        table = self._mixed(decision, branches, shape[-1], kind)
        name = builder.unique(f"{path}{decision.rsplit('/', 1)[-1]}/mixture")
        builder.items.append(Mixture(name, decision, x, tuple(branches), kind))
        builder.keep(name, shape, table)
        return name

    def _mixed(self, decision: str, branches: Sequence[Branch], channels: int, kind: Kind) -> Table:
        """Channels in use of a mixture."""
        tables: list[Table] = []
        for branch in branches:
            found = self.builder.table(branch.block.output)
            tables.append({c: np.pad(m, (0, channels - len(m))) for c, m in found.items()})
        concatenated = kind == "sum" and self.merging == "concatenate"
        if not concatenated and all(_equal(tables[0], table) for table in tables[1:]):
            return tables[0]
        if kind == "sum" and not concatenated:
            raise SupernetError(
                f"What {decision!r} may leave out of a sum differs in its number of channels.",
                decision,
            )
        mixed: Table = {}
        present: set[int] = set()
        for branch, table in zip(branches, tables, strict=True):
            for position in branch.alternatives:
                present.add(position)
                rows = joined([{((decision, position),): np.zeros(0, bool)}, table])
                mixed |= {condition: masks[1] for condition, masks in rows}
        for position in range(len(self.decisions[decision].values)):
            if position not in present and kind == "sum":
                mixed[((decision, position),)] = np.zeros(channels, bool)
        return mixed


def _equal(a: Table, b: Table) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)
