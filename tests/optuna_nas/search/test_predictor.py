"""The strategy without Optuna: what it learns from, how often, and what it asks of functions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

from optuna_nas.search import (
    Evidence,
    Fitness,
    Individual,
    Memory,
    ParameterEncoding,
    Request,
)
from optuna_nas.search.predictor import _KEPT, Predictor, PredictorSettings, _selected
from optuna_nas.search.predictor_model import _one_thread
from optuna_nas.space.decisions import Categorical

DOMAINS = {f"edge{i}": Categorical((0, 1, 2, 3)) for i in range(6)}


def loss_of(params) -> float:
    return -float(sum(params.values()))


class Search:
    """A study in miniature: proposes, evaluates and observes one by one."""

    def __init__(self, losses=lambda params: (loss_of(params),), n_startup=5, **settings):
        maximize = (False,) * len(losses(dict.fromkeys(DOMAINS, 0)))
        self._make = lambda: Predictor(
            n_startup, PredictorSettings(n_candidates=20, **settings), maximize
        )
        self._losses = losses
        self.strategy, self.memory = self._make(), Memory(ParameterEncoding())
        self.individuals: list[Individual] = []

    def propose(self, number: int):
        request = Request(number, DOMAINS, {}, np.random.default_rng([7, number]))
        return self.strategy.propose(request, self.memory).params

    def finish(self, number: int, params, fitness=None) -> None:
        fitness = fitness or Fitness(self._losses(params))
        identity = next(self.memory.encoding.identities(params))
        individual = Individual((float(number), number), params, DOMAINS, fitness, identity)
        self.individuals.append(individual)
        self.memory.archive.finish(number, identity)
        self.memory.encoding.learn(params)
        self.strategy.observe([individual], self.memory)

    def run(self, trials: int) -> None:
        for number in range(len(self.individuals), trials):
            self.finish(number, self.propose(number))

    def resume(self) -> None:
        self.strategy = self._make()
        self.strategy.observe(self.individuals, self.memory)


def test_the_optimum_of_an_additive_objective():
    search = Search()
    search.run(40)
    assert min(loss_of(individual.params) for individual in search.individuals) == -18


@pytest.mark.parametrize("stop", [5, 17, 60])
def test_a_search_that_is_resumed_goes_on_exactly(stop):
    whole, parts = Search(), Search()
    whole.run(stop + 10)
    parts.run(stop)
    parts.resume()
    parts.run(stop + 10)
    assert [i.params for i in parts.individuals] == [i.params for i in whole.individuals]


def test_the_order_of_arrival_does_not_matter():
    search = Search()
    search.run(40)
    expected = search.propose(40)
    # The same, but with a proposal in between that knew nothing of an older individual.
    late = search._make()
    others = [i for i in search.individuals if i.age[1] != 20]
    late.observe(others, search.memory)
    search.strategy = late
    search.propose(40)
    late.observe([search.individuals[20]], search.memory)
    assert search.propose(40) == expected


def test_refits_become_rare():
    search = Search()
    search.run(300)
    assert search.strategy.refits <= 25
    before = search.strategy.refits
    search.run(390)
    assert search.strategy.refits - before <= 2


def test_a_resumed_search_fits_once():
    search = Search()
    search.run(60)
    search.resume()
    search.propose(60)
    assert search.strategy.refits == 1


def test_what_is_kept_is_bounded_and_holds_the_best():
    rng = np.random.default_rng(0)
    individuals = [
        Individual((float(n), n), {"edge0": 0}, DOMAINS, Fitness((float(rng.random()),)))
        for n in range(2000)
    ]
    kept = _selected(individuals)
    assert len(kept) == _KEPT
    best = sorted(individuals, key=lambda i: i.fitness.key)[: _KEPT // 2]
    assert {i.age for i in best} <= {i.age for i in kept}
    ages = [i.age for i in kept]
    assert ages == sorted(ages)
    assert ages[0][0] < 100
    assert ages[-1][0] > 1900


def test_running_candidates_repel():
    search = Search()
    search.run(20)
    chosen = []
    for number in range(20, 28):
        params = search.propose(number)
        search.memory.running[number] = params
        search.memory.archive.start(number, next(search.memory.encoding.identities(params)))
        chosen.append(tuple(params.values()))
    assert len(set(chosen)) == 8


def test_known_objectives_are_computed_once_a_candidate_and_never_for_what_is_finished():
    asked = []

    def cheap(params) -> float:
        asked.append(tuple(params.values()))
        return float(sum(params.values()))

    search = Search(
        lambda params: (loss_of(params), float(sum(params.values()))), known_objectives={1: cheap}
    )
    search.run(5)
    assert not asked
    search.run(30)
    assert len(asked) == len(set(asked))
    finished = {tuple(i.params.values()) for i in search.individuals[:5]}
    assert not finished & set(asked)


def test_reports_rank_behind_values():
    """Architectures with a large first edge are stopped early: the search stays away from them."""
    search = Search()
    for number in range(60):
        params = search.propose(number)
        stopped = params["edge0"] >= 2
        fitness = Fitness((-1.0, 0.0), 0.0, Evidence.REPORT) if stopped else None
        search.finish(number, params, fitness)
    late = [individual.params["edge0"] for individual in search.individuals[30:]]
    assert np.mean(np.array(late) >= 2) < 0.4


def test_every_loss_infinite():
    search = Search(lambda params: (np.inf,))
    search.run(15)
    assert len({tuple(i.params.values()) for i in search.individuals}) == 15


def test_infinite_losses_in_several_objectives():
    search = Search(lambda params: (np.inf if params["edge0"] else -np.inf, loss_of(params)))
    search.run(20)
    assert len({tuple(i.params.values()) for i in search.individuals}) == 20


def test_models_use_one_thread_and_put_the_others_back():
    threads = ThreadpoolController()

    def count() -> set[int]:
        return {library["num_threads"] for library in threads.select(user_api="blas").info()}

    with threads.limit(limits=2, user_api="blas"):
        assert _one_thread(count)() == {1}
        assert count() == {2}
        with ThreadPoolExecutor(4) as pool:  # where not every library heeds it
            list(pool.map(lambda _: _one_thread(count)(), range(50)))
        assert count() == {2}
