"""Which decisions exist together, found out from architectures that were evaluated.

An objective that asks for its decisions as it runs declares nothing: that the third layer exists
from a depth of three on is seen in its trials. A candidate put together by chance or by mutation
decides more than will be asked for, and a model that has only seen what was asked for would take
the rest at face value.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from optuna_nas.space.decisions import Value

# By value of another decision: whether a decision existed with it.
_Table = dict[Value, bool]


class Activity:
    """For each decision that is not always there, the others that tell whether it is.

    A decision is taken to hang on another one if, in all architectures seen, it never existed
    without that one, and the value of that one alone told whether it did. Several may tell: what a
    decision truly hangs on, what hangs on the same, and, early on, a coincidence.
    """

    # A decision with more values than this is no switch.
    MAX_VALUES = 32
    # After so many architectures coincidences are gone, and a few that tell are as good as all.
    ENOUGH = 20
    MAX_TELLING = 8

    def __init__(self) -> None:
        self._values: dict[str, set[Value]] = {}  # that each decision had, as far as switches go
        self._tables: dict[str, dict[str, _Table]] = {}  # of decisions that are not always there
        self._seen = 0

    def learn(self, params: Mapping[str, Value]) -> None:
        """Take in all decisions of an architecture."""
        always = [name for name in self._values if name not in self._tables]
        for name in always:
            if name not in params:  # for the first time
                self._tables[name] = self._start(name, always, existed=True)
        if self._seen:
            for name in params:
                if name not in self._values:  # for the first time
                    self._tables[name] = self._start(name, params, existed=False)
        for name, tables in self._tables.items():
            self._tables[name] = self._consistent(tables, params, exists=name in params)
        for name, value in params.items():
            values = self._values.setdefault(name, set())
            if len(values) <= self.MAX_VALUES:
                values.add(value)
        self._seen += 1

    def _start(self, name: str, others: Iterable[str], existed: bool) -> dict[str, _Table]:
        """Tables of a decision that existed with all values that the others had, or with none."""
        return {o: dict.fromkeys(self._values.get(o, ()), existed) for o in others if o != name}

    def _consistent(
        self, tables: dict[str, _Table], params: Mapping[str, Value], exists: bool
    ) -> dict[str, _Table]:
        """The tables that hold for one more architecture, too, which is added to them."""
        kept: dict[str, _Table] = {}
        for other, table in tables.items():
            if other not in params:
                fits = not exists
            else:
                fits = table.setdefault(params[other], exists) == exists
                fits = fits and len(table) <= self.MAX_VALUES
            if fits:
                kept[other] = table
        # Those that told both ways by their values come first; then the order they came in.
        ranked = sorted(kept, key=lambda other: len(set(kept[other].values())) < 2)
        count = self.MAX_TELLING if self._seen >= self.ENOUGH else len(ranked)
        return {other: kept[other] for other in ranked[:count]}

    def exists(self, name: str, params: Mapping[str, Value], undecided: Container[str]) -> bool:
        """Whether a decision will be asked for, as far as it is known.

        Args:
            name: The decision.
            params: The decisions taken so far that do exist.
            undecided: Decisions still to be taken, which tell nothing yet.
        """
        for other, table in self._tables.get(name, {}).items():
            if other in params:
                outcome = _outcome(table, params[other])
                if outcome is not None:
                    return outcome
            elif other not in undecided:
                return False
        return True

    def active(self, params: Mapping[str, Value]) -> dict[str, Value]:
        """The decisions of a candidate that will be asked for, as far as it is known."""
        known: dict[str, bool] = {}

        def exists(name: str) -> bool:
            if name not in known:
                known[name] = name in params  # where decisions hang on each other
                known[name] = name in params and told(name)
            return known[name]

        def told(name: str) -> bool:
            for other, table in self._tables.get(name, {}).items():
                if not exists(other):
                    return False
                outcome = _outcome(table, params[other])
                if outcome is not None:
                    return outcome
            return True

        return {name: value for name, value in params.items() if exists(name)}


def _outcome(table: _Table, value: Value) -> bool | None:
    """What a value tells; a number that was not seen tells what the nearest tells."""
    if value in table:
        return table[value]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    # Booleans are numbers to Python; a host's choices may be None.
    near = {
        abs(seen - value): outcome
        for seen, outcome in table.items()
        if isinstance(seen, (int, float)) and not isinstance(seen, bool)
    }
    return near[min(near)] if near else None
