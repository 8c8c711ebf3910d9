"""How to choose the next architecture: pure functions of a history and a generator.

Nothing here knows Optuna. A candidate is a dictionary of decisions, name to value; what a decision
may be is a domain of `optuna_nas.space`.
"""

from optuna_nas.search.archive import Archive
from optuna_nas.search.deduplication import unknown
from optuna_nas.search.encoding import Encoding, ParameterEncoding, SpaceEncoding
from optuna_nas.search.evolution import EvolutionSettings, RegularizedEvolution
from optuna_nas.search.fitness import Evidence, Fitness
from optuna_nas.search.local_search import LocalSearch
from optuna_nas.search.policy import PolicyGradient
from optuna_nas.search.population import Individual, Population
from optuna_nas.search.rewards import absolute_reward, cubic_reward, soft_reward
from optuna_nas.search.selection import tournament
from optuna_nas.search.strategy import Memory, Proposal, Request, Strategy

__all__ = [
    "Archive",
    "Encoding",
    "Evidence",
    "EvolutionSettings",
    "Fitness",
    "Individual",
    "LocalSearch",
    "Memory",
    "ParameterEncoding",
    "PolicyGradient",
    "Population",
    "Proposal",
    "RegularizedEvolution",
    "Request",
    "SpaceEncoding",
    "Strategy",
    "absolute_reward",
    "cubic_reward",
    "soft_reward",
    "tournament",
    "unknown",
]
