"""`Genotype`: the decisions that make one architecture."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from optuna_nas.errors import GenotypeError
from optuna_nas.space.decisions import Value


class Genotype(Mapping[str, Value]):
    """The decisions that are active in one architecture, immutable and hashable.

    It reads as a mapping from a decision's name to its value, in the order of the space. Make one
    with `SearchSpace.genotype`, which checks it, rather than by hand.

    Args:
        params: Decision name -> plain Python value.
    """

    __slots__ = ("_hash", "_params")

    def __init__(self, params: Mapping[str, Value]) -> None:
        self._params = dict(params)
        self._hash = hash(frozenset(self._params.items()))

    @property
    def params(self) -> dict[str, Value]:
        """A copy of the decisions, as a host's trial holds them."""
        return dict(self._params)

    def __getitem__(self, name: str) -> Value:
        return self._params[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._params)

    def __len__(self) -> int:
        return len(self._params)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Genotype):
            return NotImplemented
        return self._params == other._params

    def __repr__(self) -> str:
        return f"Genotype({self._params!r})"

    def to_json(self) -> str:
        """Serialise; `from_json` returns an equal genotype."""
        return json.dumps(self._params)

    @classmethod
    def from_json(cls, text: str) -> Genotype:
        """Read what `to_json` wrote.

        Raises:
            GenotypeError: The text is no JSON of a genotype.
        """
        try:
            params = json.loads(text)
        except ValueError as error:
            raise GenotypeError(f"This is not the JSON of a genotype: {error}.", text) from error
        if not isinstance(params, dict):
            raise GenotypeError(f"A genotype's JSON is an object, got {params!r}.", text)
        return cls(params)
