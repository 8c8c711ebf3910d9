"""Small histories for the tests of policies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from optuna_nas.search import Fitness, Individual, Memory, ParameterEncoding, Request
from optuna_nas.search.policy import (
    Adam,
    IndependentPolicy,
    Learner,
    Logits,
    PolicyGradient,
    ProximalPolicy,
    RankRewards,
    RecurrentPolicy,
)
from optuna_nas.search.policy.vocabulary import Vocabulary
from optuna_nas.space.decisions import Categorical, Domain, FloatRange, IntegerRange, Value

DOMAINS: dict[str, Domain] = {
    "depth": IntegerRange(1, 3),
    "layer0": Categorical(("conv", "pool")),
    "layer1": Categorical(("conv", "pool", "skip")),
    "layer2": Categorical(("conv", "skip")),
    "rate": FloatRange(1e-4, 1e-1, log=True),
}
NB201 = {f"edge{edge}": Categorical(("a", "b", "c", "d", "e")) for edge in range(6)}
POLICIES = {"independent": IndependentPolicy(), "recurrent": RecurrentPolicy(5)}


def individual(
    number: int,
    params: Mapping[str, Value],
    loss: float = 0.0,
    *,
    domains: Mapping[str, Domain] = DOMAINS,
    fitness: Fitness | None = None,
    note: Mapping[str, Any] | None = None,
) -> Individual:
    held = {name: domains[name] for name in params}
    return Individual(
        (float(number), number), params, held, fitness or Fitness((loss,)), number, note
    )


def layers(number: int, rng: np.random.Generator, loss: float | None = None) -> Individual:
    """A random architecture whose layers exist up to its depth."""
    depth = int(rng.integers(1, 4))
    params: dict[str, Value] = {"depth": depth}
    for name in [f"layer{i}" for i in range(depth)] + ["rate"]:
        params[name] = DOMAINS[name].sample(rng)
    return individual(number, params, float(rng.random()) if loss is None else loss)


def grown(policy: Any, individuals: list[Individual], scale: float = 0.5) -> tuple[Any, Any]:
    """A vocabulary of individuals, and random parameters for it."""
    vocabulary = Vocabulary().extended(individuals)
    rng = np.random.default_rng(1)
    parameters = policy.grown({}, vocabulary)
    return vocabulary, {n: scale * rng.standard_normal(a.shape) for n, a in parameters.items()}


def learner(**changes: Any) -> Learner:
    settings: dict[str, Any] = {
        "policy": IndependentPolicy(),
        "objective": ProximalPolicy(),
        "rewards": RankRewards(),
        "logits": Logits(),
        "adam": Adam(0.1),
        "epochs": 2,
        "batch_size": 3,
        "window": 10,
        "entropy_weight": 0.0,
        "baseline_decay": 0.9,
    }
    return Learner(**{**settings, **changes})


def search(
    strategy: PolicyGradient,
    objective: Callable[[Mapping[str, Value]], float],
    domains: Mapping[str, Domain],
    trials: int,
) -> list[dict[str, Value]]:
    """Run a strategy on an objective that has all of `domains`."""
    memory = Memory(ParameterEncoding())
    found = []
    for number in range(trials):
        rng = np.random.default_rng([0, number])
        proposal = strategy.propose(Request(number, domains, {}, rng), memory)
        identity = next(memory.encoding.identities(proposal.params))
        memory.archive.finish(number, identity)
        loss = objective(proposal.params)
        done = individual(number, proposal.params, loss, domains=domains, note=proposal.note)
        strategy.observe([done], memory)
        found.append(proposal.params)
    return found
