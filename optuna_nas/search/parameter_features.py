"""Decisions as numbers: what a model can learn from where no graph is known.

A decision says something in its place ("the third layer is a convolution") and something as one of
its kind ("there are two convolutions, one behind a pooling"). Kinds are made of names: those that
differ in their digits alone, as names made in a loop do, are one kind.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from optuna_nas.space.decisions import Categorical, Domain, Value

_DIGITS = re.compile(r"\d+")

# Pairs of neighbours are counted up to this many choices: with more, each pair is too rare.
_MAX_CHOICES_IN_PAIRS = 8


def parameter_features(
    params: Mapping[str, Value], domains: Mapping[str, Domain]
) -> dict[str, float]:
    """Named features of the decisions taken; a name that is missing stands for 0.

    Args:
        params: Decisions that exist, name -> value.
        domains: What they could have been; of others, only the value is known.

    Returns:
        Of each decision, under ``decision <name>``: 1, for it exists; 1 under its value where it
        is categorical; from 0 to 1 where it is a number. Of each kind of several decisions, under
        ``kind <name>`` with ``#`` for the digits: how many there are, how often each value and each
        pair of neighbours, and the mean of the numbers.
    """
    features: dict[str, float] = {}
    kinds: dict[str, list[tuple[str, Value, float | None]]] = {}
    for name, value in params.items():
        domain = domains.get(name)
        number = _unit(value, domain)
        features[f"decision {name}"] = 1.0
        if number is None or isinstance(domain, Categorical):
            features[f"decision {name}={value}"] = 1.0
        if number is not None:
            features[f"decision {name} value"] = number
        kind = _kind(name)
        if kind != name:
            kinds.setdefault(kind, []).append((name, value, number))
    for kind, members in kinds.items():
        members.sort(key=lambda member: _natural(member[0]))
        features.update(_of_kind(kind, members, domains))
    return features


def _of_kind(
    kind: str, members: list[tuple[str, Value, float | None]], domains: Mapping[str, Domain]
) -> dict[str, float]:
    features = {f"kind {kind}": float(len(members))}
    numbers = [number for _, _, number in members if number is not None]
    if numbers:
        features[f"kind {kind} mean"] = sum(numbers) / len(numbers)
    domain = domains.get(members[0][0])
    if isinstance(domain, Categorical):
        values = [str(value) for _, value, _ in members]
        features.update(_counted(f"kind {kind}=", values))
        if domain.size <= _MAX_CHOICES_IN_PAIRS:
            pairs = [f"{a},{b}" for a, b in itertools.pairwise(values)]
            features.update(_counted(f"kind {kind} pair=", pairs))
    return features


def _counted(prefix: str, keys: Iterable[str]) -> dict[str, float]:
    counts: dict[str, float] = {}
    for key in keys:
        name = prefix + key
        counts[name] = counts.get(name, 0.0) + 1.0
    return counts


@lru_cache(maxsize=4096)
def _kind(name: str) -> str:
    return _DIGITS.sub("#", name)


@lru_cache(maxsize=4096)
def _natural(name: str) -> tuple[int, ...]:
    return tuple(map(int, _DIGITS.findall(name)))


def _unit(value: Value, domain: Domain | None) -> float | None:
    """A number from 0 to 1 within its domain; None for what is no number."""
    if not _is_number(value):
        return None
    if domain is None or domain.size == 1:
        return 0.0
    low: float
    high: float
    if isinstance(domain, Categorical):
        if not all(map(_is_number, domain.choices)):
            return None
        numbers = [float(choice) for choice in domain.choices]
        low, high = min(numbers), max(numbers)
        log = low > 0  # widths and rates are mostly listed in ratios
    else:
        low, high, log = domain.low, domain.high, domain.log
    number = min(max(float(value), low), high)  # ranges of other trials may be narrower
    if log:
        return math.log(number / low) / math.log(high / low)
    return (number - low) / (high - low)


def _is_number(value: object) -> bool:
    """Whether a value can be measured; a host's choices may be None or infinite."""
    if isinstance(value, (str, bool)) or not isinstance(value, (int, float)):
        return False
    return math.isfinite(value)
