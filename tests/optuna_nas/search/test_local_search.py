"""Local search as a whole, on tasks with known answers, without Optuna."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from optuna_nas.search import (
    Evidence,
    Fitness,
    Individual,
    LocalSearch,
    Memory,
    ParameterEncoding,
    Request,
)
from optuna_nas.search.local_search import CLIMB
from optuna_nas.space.decisions import Categorical, Domain, FloatRange

BITS = {f"bit{i}": Categorical((0, 1)) for i in range(12)}


class Run:
    """A search, one candidate after the other."""

    def __init__(self, domains: dict[str, Domain], n_startup: int = 3, seed: int = 0) -> None:
        self.domains, self.seed = domains, seed
        self.memory = Memory(ParameterEncoding())
        self.search = LocalSearch(n_startup)
        self.individuals: list[Individual] = []

    def propose(self, fixed: dict | None = None, domains: dict | None = None):
        number = len(self.individuals)
        rng = np.random.default_rng([self.seed, number])
        request = Request(number, self.domains if domains is None else domains, fixed or {}, rng)
        return self.search.propose(request, self.memory)

    def tell(self, params: dict, fitness: Fitness, note: dict | None = None) -> None:
        number = len(self.individuals)
        self.memory.archive.finish(number, next(self.memory.encoding.identities(params)))
        individual = Individual((float(number), number), params, self.domains, fitness, note=note)
        self.individuals.append(individual)
        self.search.observe([individual], self.memory)

    def step(self, objective: Callable[[dict], float | Sequence[float]]) -> dict:
        proposal = self.propose()
        losses = objective(proposal.params)
        losses = tuple(losses) if isinstance(losses, Sequence) else (losses,)
        self.tell(proposal.params, Fitness(losses), proposal.note)
        return proposal.params


def distance(a: dict, b: dict) -> int:
    return sum(a[name] != b[name] for name in a)


def test_every_step_is_a_new_neighbor_of_the_best():
    run = Run(BITS)
    weights = np.random.default_rng(5).normal(size=12)
    for _ in range(3):
        run.step(lambda params: float(weights @ list(params.values())))
    for _ in range(40):
        best = min(run.individuals, key=lambda i: i.fitness.losses)
        params = run.step(lambda params: float(weights @ list(params.values())))
        if len(run.individuals) <= 15:  # no climb of 12 bits is over before
            assert distance(params, best.params) == 1
        assert params not in [i.params for i in run.individuals[:-1]]
    optimum = float(weights[weights < 0].sum())
    assert min(i.fitness.losses[0] for i in run.individuals) == optimum


def trap(params: dict) -> float:
    """Local optimum at all zeros, with loss 1; the optimum, all ones, has loss 0."""
    ones = sum(params.values())
    return 0.0 if ones == len(params) else 1.0 + ones


def test_at_a_local_optimum_another_climb_begins():
    run = Run({name: BITS[name] for name in list(BITS)[:6]})
    climbs = []
    for _ in range(64):
        climbs.append((run.propose().note or {}).get(CLIMB, 0))
        run.step(trap)
    assert trap(dict(min(run.individuals, key=lambda i: i.fitness.losses).params)) == 0
    begun = [climb for climb in climbs if climb]
    assert begun
    # Each climb has three random trials, that carry its number, and climbs follow each other.
    assert begun == sorted(begun)
    assert {begun.count(climb) for climb in set(begun[:-3])} <= {3}
    # All 64 are found but a few that nobody was near to.
    assert len({tuple(i.params.values()) for i in run.individuals}) >= 60


@functools.cache
def finished_run() -> Run:
    run = Run({name: BITS[name] for name in list(BITS)[:5]}, n_startup=2)
    for _ in range(40):
        run.step(trap)
    return run


@given(st.randoms(use_true_random=False))
def test_observations_in_any_order_and_portion_make_the_same_state(random):
    run = finished_run()
    other = LocalSearch(2)
    rest = list(run.individuals)
    random.shuffle(rest)
    while rest:
        size = random.randint(1, len(rest))
        portion = sorted(rest[:size], key=lambda individual: individual.age)
        other.observe(portion, run.memory)
        rest = rest[size:]
    assert other._front.members == run.search._front.members
    assert (other._climb, other._members) == (run.search._climb, run.search._members)


def test_running_neighbors_are_passed_over():
    run = Run({name: BITS[name] for name in list(BITS)[:6]}, n_startup=1)
    run.step(trap)
    proposed = []
    for number in range(6):
        proposal = run.search.propose(
            Request(100 + number, run.domains, {}, np.random.default_rng(number)), run.memory
        )
        identity = next(run.memory.encoding.identities(proposal.params))
        run.memory.archive.start(100 + number, identity)
        proposed.append(proposal.params)
    start = run.individuals[0].params
    assert sorted(distance(params, start) for params in proposed) == [1] * 6
    assert len({tuple(params.values()) for params in proposed}) == 6
    assert run.propose().note == {CLIMB: 1}  # the neighbourhood is all under way


def test_late_neighbors_of_an_earlier_climb_count_only_if_they_improve_on_it():
    run = Run(BITS, n_startup=1)
    summit, start = dict.fromkeys(BITS, 0), dict.fromkeys(BITS, 1)
    run.search.observe(
        [
            Individual((0.0, 0), summit, BITS, Fitness((1.0,))),
            Individual((2.0, 5), start, BITS, Fitness((9.0,)), note={CLIMB: 1}),
        ],
        run.memory,
    )
    worse = Individual((3.0, 3), {**summit, "bit0": 1}, BITS, Fitness((2.0,)))
    run.search.observe([worse], run.memory)
    assert distance(run.propose().params, start) == 1
    better = Individual((4.0, 4), {**summit, "bit1": 1}, BITS, Fitness((0.5,)))
    run.search.observe([better], run.memory)
    assert distance(run.propose().params, better.params) == 1
    new = Individual((5.0, 6), {**start, "bit1": 0}, BITS, Fitness((0.1,)))
    run.search.observe([new], run.memory)
    assert distance(run.propose().params, new.params) == 1


def test_several_objectives_are_searched_around_the_whole_front():
    run = Run(BITS, n_startup=3)

    def objective(params: dict) -> tuple[float, float]:
        ones = float(sum(params.values()))
        order = sum(i * bit for i, bit in enumerate(params.values())) / 100
        return ones + order, -ones + order

    for _ in range(300):
        run.step(objective)
    # One point a number of ones, from none to all, with the ones at the front.
    found = {i.fitness.losses for i in run.individuals}
    exact = {objective({f"bit{i}": int(i < ones) for i in range(12)}) for ones in range(13)}
    assert len(found & exact) >= 11


def test_feasible_and_measured_ones_are_climbed_upon_first_and_failures_never():
    run = Run(BITS, n_startup=1)
    run.tell({"bit0": 0}, Fitness((), 0.0, Evidence.FAILURE))
    assert run.propose().note is None
    assert run.search._members == 0
    infeasible, pruned, valued = (
        {name: int(i == position) for i, name in enumerate(BITS)} for position in (0, 4, 8)
    )
    for params, fitness in (
        (infeasible, Fitness((0.0,), violation=1.0)),
        (pruned, Fitness((-1.0, 0.0), 0.0, Evidence.REPORT)),
        (valued, Fitness((100.0,))),
    ):
        run.tell(params, fitness)
        assert distance(run.propose().params, params) == 1


def test_continuous_decisions_move_by_steps_and_end_nothing():
    run = Run({"rate": FloatRange(0.0, 1.0)}, n_startup=2)
    for _ in range(150):
        run.step(lambda params: abs(params["rate"] - 0.3))
    assert min(i.fitness.losses[0] for i in run.individuals) < 0.01


def test_decisions_that_are_not_free_stay_as_they_are():
    run = Run(BITS, n_startup=1)
    run.tell(dict.fromkeys(BITS, 0), Fitness((0.0,)))
    free = {name: domain for name, domain in BITS.items() if name != "bit0"}
    params = run.propose(fixed={"bit0": 1}, domains=free).params
    assert params["bit0"] == 1
    assert sum(params.values()) == 2
    # Held by somebody else, at a value that only the last trial shows.
    run.tell({**dict.fromkeys(BITS, 0), "bit0": 1}, Fitness((1.0,)))
    for _ in range(11):
        params = run.propose(domains=free).params
        assert params["bit0"] == 1
        assert sum(params.values()) == 2
        run.tell(params, Fitness((2.0,)))
    assert run.propose(domains=free).note == {CLIMB: 1}  # all eleven are known


def test_nothing_to_choose_is_no_error():
    run = Run({"only": Categorical(("one",))}, n_startup=1)
    for _ in range(5):
        assert run.step(lambda params: 0.0) == {"only": "one"}
