"""Whether a search has collapsed: to skips, to nothing, or to where the loss is sharp."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import entr

from keras_nas.supernet.discretisation import discretise, roles_of
from keras_nas.supernet.eigenvalue import GROWTH, earlier_epoch
from keras_nas.supernet.policies.learned import INITIAL_SCALE
from optuna_nas.supergraph import Gates, Role, SuperGraph

MOST = 0.5
"""The largest share of skips, or of nothing. Of random NAS-Bench-201 cells 2 % have more."""
MOST_IDLE = 0.8
"""The largest share of skips, nothing and pools together. Of NAS-Bench-201's cells 23 % have more,
and of those nine in ten stay below 90 % on CIFAR-10."""
FEWEST_CHOICES = 3
"""With fewer choices a share says nothing."""
NOISE = 10 * INITIAL_SCALE
"""Logits of a choice that differ by less may do so by chance: alphas start as different as that."""


@dataclass(frozen=True)
class Health:
    """The state of a search.

    Shares are those of the discretised architecture's choices between an operation and something
    else. They are 0 as long as no alpha has left the noise that it started in.

    Args:
        skips: Share that pass their input on.
        nones: Share that give nothing.
        pools: Share that pool.
        entropy: Of the probabilities, from 0 (decided) to 1 (open), the mean over all choices.
        eigenvalue: The last dominant eigenvalue of the validation loss's Hessian in the alphas.
        reason: Why the search is held to have collapsed; empty where it is not.
    """

    skips: float
    nones: float
    pools: float
    entropy: float
    eigenvalue: float | None
    reason: str

    @property
    def collapsed(self) -> bool:
        """Whether the search is held to have collapsed."""
        return bool(self.reason)

    def as_dict(self) -> dict[str, float | str | bool]:
        """For the log, a trial's attributes and the report."""
        measured = {} if self.eigenvalue is None else {"eigenvalue": self.eigenvalue}
        return {
            "collapsed": self.collapsed,
            "reason": self.reason,
            "share_of_skips": self.skips,
            "share_of_none": self.nones,
            "share_of_pools": self.pools,
            "entropy": self.entropy,
            **measured,
        }


def check_health(
    supergraph: SuperGraph,
    logits: Gates,
    probabilities: Gates,
    eigenvalues: Mapping[int, float] | None = None,
) -> Health:
    """Look for signs of collapse.

    Args:
        supergraph: The networks.
        logits: Of every value, by decision (`value_logits`).
        probabilities: Of every alternative, by decision.
        eigenvalues: Dominant eigenvalues by epoch, where they are measured.
    """
    found = roles_of(supergraph)
    choices = [
        name
        for name in discretise(supergraph, logits)
        if any("operation" in own for own in found.get(name, []))
    ]
    preferred = any(np.ptp(logits[name][np.isfinite(logits[name])]) > NOISE for name in choices)
    taken = [found[name][int(logits[name].argmax())] for name in choices if preferred]

    def share(role: Role) -> float:
        return sum(role in own for own in taken) / max(1, len(taken))

    skips, nones, pools = share("skip"), share("none"), share("pool")
    idle = 1 - share("operation")
    reasons = []
    if len(taken) >= FEWEST_CHOICES:
        if skips > MOST:
            reasons.append(f"{skips:.0%} of the choices are skips")
        if nones > MOST:
            reasons.append(f"{nones:.0%} of the choices are none")
        if idle == 1:
            reasons.append("no operation is left that computes anything")
        elif idle > MOST_IDLE:
            reasons.append(f"{idle:.0%} of the choices are skips, none or pools")
    if eigenvalues and (epoch := earlier_epoch(eigenvalues)) is not None:
        reasons.append(
            "the dominant eigenvalue of the validation loss has grown by more than "
            f"{GROWTH - 1:.0%} since epoch {epoch}"
        )
    return Health(
        skips,
        nones,
        pools,
        _entropy(supergraph, probabilities),
        [*eigenvalues.values()][-1] if eigenvalues else None,
        "; ".join(reasons),
    )


def _entropy(supergraph: SuperGraph, probabilities: Gates) -> float:
    entropies = []
    for name, decision in supergraph.decisions.items():
        if decision.options is None and decision.size > 1:
            shares = probabilities[name] / probabilities[name].sum()
            entropies.append(float(entr(shares).sum() / np.log(decision.size)))
    return float(np.mean(entropies)) if entropies else 0.0
