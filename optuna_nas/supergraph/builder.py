"""Where the layers of a supernet are collected: a graph builder that knows blocks and widths."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np

from optuna_nas.graph import GraphBuilder
from optuna_nas.graph.operations import Attributes, Shape, get_operation
from optuna_nas.supergraph.structure import Mixture, Place, SuperLayer
from optuna_nas.supergraph.widths import Table, aligned, can_pass_on, passed_on, restricted

Items = list["SuperLayer | Mixture"]
Mark = tuple[int, dict[str, int]]


TAKE = "take_channels"
"""An operation of supernets alone: some of the channels, at the positions of its attribute."""


class Undecided(Exception):
    """A decision was read that nobody has taken."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class SuperBuilder(GraphBuilder):
    """Collects layers into the block that is open.

    Shapes are those of the most channels.

    Args:
        input_shape: Shape of one example, channels last.
    """

    def __init__(self, input_shape: Sequence[int]) -> None:
        super().__init__(input_shape)
        self.items: Items = []
        self.places: dict[str, Place] = {}
        self.tables: dict[str, Table] = {}
        self.assumed: dict[str, int] = {}
        self.decided = 0
        self.tag = ""
        self.counts: dict[str, int] = {}

    # --- blocks -------------------------------------------------------------------------------

    @contextmanager
    def block(self, counts: Mapping[str, int] | None = None) -> Iterator[Items]:
        """What is added inside goes into a block of its own.

        Args:
            counts: Layers so far, by name. Branches of one mixture count from the same numbers on,
                for what they have in common shares its weights.
        """
        around, reached = self.items, self.counts
        self.items, self.counts = [], dict(self.counts if counts is None else counts)
        self.decided += 1
        try:
            yield self.items
        finally:
            self.items = around
            self.decided -= 1
            for name, count in reached.items():
                self.counts[name] = max(count, self.counts.get(name, 0))

    def mark(self) -> Mark:
        """Where we are, for `back_to`."""
        return len(self.items), dict(self.counts)

    def back_to(self, mark: Mark) -> None:
        """Forget what was added since."""
        length, self.counts = mark[0], dict(mark[1])
        del self.items[length:]

    # --- channels -----------------------------------------------------------------------------

    def table(self, name: str) -> Table:
        """Channels in use of a value, as far as decisions are open."""
        known = self.tables.get(name)
        if known is None:
            return {(): np.ones(self.shapes[name][-1], bool)}
        return restricted(known, self.assumed)

    def channels(self, name: str) -> int:
        """How many channels of a value are in use.

        Raises:
            Undecided: They rest on decisions.
        """
        table = self.table(name)
        if len(table) > 1:
            raise Undecided(next(decision for condition in table for decision, _ in condition))
        (mask,) = table.values()
        return int(mask.sum())

    def is_open(self, name: str) -> bool:
        """Whether some channels of a value may not be in use."""
        return name in self.tables and not all(mask.all() for mask in self.table(name).values())

    def keep(self, name: str, shape: Shape, table: Table) -> None:
        """Note the shape of a value, and its channels in use where not all always are."""
        self.shapes[name] = shape
        if not all(mask.all() for mask in table.values()):
            self.tables[name] = table

    # --- layers -------------------------------------------------------------------------------

    def add(
        self,
        op: str,
        attributes: Attributes,
        inputs: Sequence[str],
        *,
        name: str = "",
        key: Hashable = None,
        table: Table | None = None,
    ) -> str:
        """Append a layer; return its unique name.

        Args:
            op: Name of a registered operation.
            attributes: Its attributes, for the most channels.
            inputs: Names of the layers read.
            name: What the layer is called; weights are shared by name.
            key: Of no use here.
            table: Channels in use of its value, where they are decided at this layer.
        """
        if op in ("add", "multiply"):
            inputs = self._aligned(inputs)
        elif table is None and not can_pass_on(op, attributes):
            inputs = [self.used(source) for source in inputs]
        count = self.counts[name] = self.counts.get(name, 0) + 1
        complete = get_operation(op).attributes(attributes)
        shapes = tuple(self.shapes[source] for source in inputs)
        shape = tuple(get_operation(op).output_shape(complete, shapes))
        if table is None:
            opened = any(map(self.is_open, inputs))
            table = passed_on(op, list(map(self.table, inputs)), shape) if opened else {}
        place = Place(op, complete, shapes, self.decided > 0)
        where = self._place(f"{self.tag}{name}#{count}", place)
        return self._append(self.unique(name or op), place, where, inputs, shape, table)

    def unique(self, name: str) -> str:
        """A name that no value has."""
        unique, number = name, 0
        while unique in self.shapes:
            number += 1
            unique = f"{name}#{number}"
        return unique

    def _place(self, name: str, place: Place) -> str:
        """Name of the place, with a number of its own where others of that name differ."""
        key, number = name, 0
        while self.places.setdefault(key, place) != place:
            number += 1
            key = f"{name}({number})"
        return key

    def _aligned(self, inputs: Sequence[str]) -> Sequence[str]:
        """Values to be added or multiplied, so that channels in use meet those in use."""
        if len({self.shapes[source][-1] for source in inputs}) > 1:
            inputs = [self._cut(source) for source in inputs]
        if any(map(self.is_open, inputs)) and not aligned(list(map(self.table, inputs))):
            inputs = [self.used(source) for source in inputs]
        return inputs

    def used(self, source: str) -> str:
        """A value of nothing but its channels in use, for a layer that reads them as a whole.

        Raises:
            Undecided: They rest on decisions.
        """
        if self.channels(source) == self.shapes[source][-1]:
            return source
        (mask,) = self.table(source).values()
        return self.taken(source, np.flatnonzero(mask).tolist())

    def _cut(self, source: str) -> str:
        table = self.table(source)
        used = 1 + max(int(np.flatnonzero(mask)[-1]) for mask in table.values() if mask.any())
        if used == self.shapes[source][-1]:
            return source
        cut = {condition: mask[:used] for condition, mask in table.items()}
        return self.taken(source, range(used), cut)

    def taken(self, source: str, channels: Iterable[int], table: Table | None = None) -> str:
        """Some channels of a value, in an order."""
        positions = tuple(channels)
        shape = (*self.shapes[source][:-1], len(positions))
        name = self.unique(f"{source}/taken")
        place = Place(TAKE, {"channels": positions}, (self.shapes[source],))
        return self._append(name, place, self._place(name, place), [source], shape, table or {})

    def _append(
        self,
        name: str,
        place: Place,
        where: str,
        inputs: Sequence[str],
        shape: Shape,
        table: Table,
    ) -> str:
        self.items.append(SuperLayer(name, place.op, place.attributes, tuple(inputs), where))
        self.keep(name, shape, table)
        return name
