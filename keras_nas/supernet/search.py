"""`BilevelSearch`: weights learn from one half of the examples, alphas from the other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from keras_nas.augmentation import Augmentation
from keras_nas.supernet.adam import Adam, Arrays
from keras_nas.supernet.eigenvalue import dominant_eigenvalue
from keras_nas.supernet.examples import Examples, batches
from keras_nas.supernet.expected_cost import CostTerm, ExpectedCost
from keras_nas.supernet.network import SuperNetwork
from keras_nas.supernet.policies import PathPolicy
from keras_nas.supernet.regularization import AlphaLoss, auxiliary_skip
from keras_nas.supernet.steps import Batch, Descent, Score, steps_of
from optuna_nas.supergraph import Gates


@dataclass(frozen=True)
class Method:
    """What is done beside choosing paths.

    Args:
        order: 1: alphas follow the gradient at the weights as they are; 2: after a further step
            of the weights.
        regularization: Losses on the alphas.
        cost: The expected cost of an architecture, with the loss made of it.
        auxiliary: How a further skip beside each mixture fades, "linear" or "cosine" (DARTS-).
    """

    order: int = 1
    regularization: Sequence[AlphaLoss] = ()
    cost: tuple[ExpectedCost, CostTerm] | None = None
    auxiliary: str | None = None


@dataclass(frozen=True)
class Schedule:
    """Lengths and rates; the defaults are those of DARTS (Liu et al. 2019, section 3.1).

    Args:
        epochs: Passes over the examples of the weights.
        batch_size: Examples a step.
        learning_rate: Of the weights in the first epoch.
        final_learning_rate: What it falls to, as a cosine.
        descent: How weights descend.
        alpha_learning_rate: Of Adam.
        alpha_betas: Of Adam.
        alpha_weight_decay: Of the alphas, L2.
        alpha_start: Epochs that train the weights alone.
        alpha_every: Steps of the weights for each of the alphas.
        augmentation: Of the examples of the weights.
    """

    epochs: int = 50
    batch_size: int = 64
    learning_rate: float = 0.025
    final_learning_rate: float = 0.001
    descent: Descent = field(default_factory=Descent)
    alpha_learning_rate: float = 3e-4
    alpha_betas: tuple[float, float] = (0.5, 0.999)
    alpha_weight_decay: float = 1e-3
    alpha_start: int = 0
    alpha_every: int = 1
    augmentation: Augmentation = field(default_factory=Augmentation)

    def rate(self, epoch: int) -> float:
        """Learning rate of the weights in an epoch, from 0."""
        fallen = 0.5 * (1 - math.cos(math.pi * epoch / self.epochs))
        return self.learning_rate + (self.final_learning_rate - self.learning_rate) * fallen


class BilevelSearch:
    """Training of a supernetwork's weights and alphas in turn (Liu et al. 2019, algorithm 1).

    Args:
        network: Whose weights.
        policy: Chooses paths.
        method: What else is done.
        schedule: How long and how fast.
        training: Examples of the weights.
        validation: Examples of the alphas; None where there are no alphas.
        rng: Draws the order of examples, and paths.
    """

    def __init__(
        self,
        network: SuperNetwork,
        policy: PathPolicy,
        method: Method,
        schedule: Schedule,
        training: Examples,
        validation: Examples | None,
        rng: np.random.Generator,
    ) -> None:
        self.network = network
        self.schedule = schedule
        self.training = training
        self.validation = validation
        self.rng = rng
        self.steps = steps_of(network, schedule.descent)
        self.adam = Adam(
            schedule.alpha_learning_rate, schedule.alpha_betas, schedule.alpha_weight_decay
        )
        self.alphas: Arrays = policy.initial_alphas(network.graph.decisions, rng)
        self.epochs_done = 0
        self._policy = policy
        self._method = method

    @property
    def _progress(self) -> float:
        return self.epochs_done / self.schedule.epochs

    @property
    def _auxiliary(self) -> float | None:
        kind = self._method.auxiliary
        return None if kind is None else auxiliary_skip(self._progress, kind)  # type: ignore[arg-type]

    def epoch(self) -> dict[str, float]:
        """Train for an epoch; mean losses and accuracies on the way.

        It ends early where a loss is no finite number, which is then the mean's value too.
        """
        schedule, count = self.schedule, len(self.training)
        count_steps = math.ceil(count / min(schedule.batch_size, count))
        rate = schedule.rate(self.epochs_done)
        training = self._augmented()
        order = batches(count, schedule.batch_size, count_steps, self.rng)
        every = schedule.alpha_every if self._learns() else count_steps + 1
        alpha_order = self._alpha_batches(len(range(0, count_steps, every)))
        scores: list[Score] = []
        alpha_scores: list[Score] = []
        for number, chosen in enumerate(order):
            batch = (training.x[chosen], training.y[chosen])
            if self._learns() and number % every == 0:
                alpha_scores.append(self._alpha_step(batch, next(alpha_order), rate))
            scores.append(self.weight_step(batch, rate))
            if not math.isfinite(scores[-1][0] + (alpha_scores[-1][0] if alpha_scores else 0.0)):
                break
        self.epochs_done += 1
        named = {"loss": scores, "val_loss": alpha_scores}
        metrics = {"learning_rate": rate}
        for name, found in named.items():
            if found:
                loss, accuracy = np.mean(found, axis=0)
                metrics |= {name: float(loss), name.replace("loss", "accuracy"): float(accuracy)}
        return metrics

    def _learns(self) -> bool:
        return self._policy.learns and self.epochs_done >= self.schedule.alpha_start

    def _augmented(self) -> Examples:
        augmentation = self.schedule.augmentation
        if augmentation.is_neutral:
            return self.training
        return Examples(augmentation.images(self.training.x, self.rng), self.training.y)

    def _alpha_batches(self, count: int) -> Iterator[Batch]:
        if not self._learns():
            return iter(())
        held = self.validation
        assert held is not None  # `Supernet` sees to it
        order = batches(len(held), self.schedule.batch_size, count, self.rng)
        return ((held.x[chosen], held.y[chosen]) for chosen in order)

    # --- steps --------------------------------------------------------------------------------

    def weight_step(self, batch: Batch, rate: float) -> Score:
        """One step of the weights on the paths that the policy gives."""
        decisions = self.network.graph.decisions
        paths = self._policy.paths(decisions, self.alphas, self._progress, self.rng)
        flat = np.stack([self.network.flat(gates) for gates in paths])
        hard = self._policy.hard
        auxiliary = None if hard else self._auxiliary
        return self.steps.train(batch, flat, rate, hard=hard, auxiliary=auxiliary)

    def tune(self, gates: Gates, epochs: int, rate: float) -> None:
        """Train the weights on with given gates."""
        count, flat = len(self.training), self.network.flat(gates)[None]
        steps = epochs * math.ceil(count / min(self.schedule.batch_size, count))
        for chosen in batches(count, self.schedule.batch_size, steps, self.rng):
            batch = (self.training.x[chosen], self.training.y[chosen])
            self.steps.train(batch, flat, rate, hard=False, auxiliary=self._auxiliary)

    def _alpha_step(self, batch: Batch, held_out: Batch, rate: float) -> Score:
        decisions = self.network.graph.decisions
        sample = self._policy.gates(decisions, self.alphas, self._progress, self.rng)
        flat = self.network.flat(sample.gates)
        if self._method.order == 2:
            score, slope = self.steps.unrolled_gate_gradient(
                batch, held_out, flat, rate, hard=False, auxiliary=self._auxiliary
            )
        else:
            score, slope = self.steps.gate_gradient(
                held_out, flat, hard=False, auxiliary=self._auxiliary
            )
        in_gates = self.network.by_decision(slope)
        if self._method.cost is not None:
            expected, term = self._method.cost
            cost, of_cost = expected(sample.gates)
            _, factor = term(cost)
            in_gates = {name: g + factor * of_cost[name] for name, g in in_gates.items()}
        gradients = sample.backward(in_gates)
        penalties = [self._policy.penalty(self.alphas)[1]]
        penalties += [loss(self.alphas, self._progress)[1] for loss in self._method.regularization]
        for penalty in penalties:
            gradients = {name: g + penalty.get(name, 0.0) for name, g in gradients.items()}
        self.alphas = self.adam.step(self.alphas, gradients)
        return score

    # --- measurements -------------------------------------------------------------------------

    def quality(self, gates: Gates) -> float:
        """Minus the loss of the mixture weighed by gates, on the alphas' examples.

        By batch statistics. Not the accuracy, which a few hundred examples give in steps too coarse
        to tell alternatives apart.
        """
        held = self.training if self.validation is None else self.validation
        parts = np.array_split(np.arange(len(held)), math.ceil(len(held) / 256))
        flat = self.network.flat(gates)
        scores = [
            self.steps.score((held.x[part], held.y[part]), flat, auxiliary=self._auxiliary)
            for part in parts
        ]
        return -float(
            np.average([loss for loss, _ in scores], weights=[len(part) for part in parts])
        )

    def eigenvalue(self) -> float:
        """Dominant eigenvalue of the loss's Hessian in the alphas, on one of their batches."""
        held = self.training if self.validation is None else self.validation
        batch = (held.x[: self.schedule.batch_size], held.y[: self.schedule.batch_size])
        decisions, sizes = self.network.graph.decisions, [a.size for a in self.alphas.values()]

        def gradient(flat: NDArray[np.float64]) -> NDArray[np.float64]:
            parts = np.split(flat, np.cumsum(sizes)[:-1])
            alphas = dict(zip(self.alphas, parts, strict=True))
            # The same noise at all points.
            sample = self._policy.gates(decisions, alphas, self._progress, np.random.default_rng(0))
            _, slope = self.steps.gate_gradient(
                batch, self.network.flat(sample.gates), hard=False, auxiliary=self._auxiliary
            )
            in_alphas = sample.backward(self.network.by_decision(slope))
            return np.concatenate([in_alphas[name] for name in self.alphas])

        start = np.concatenate(list(self.alphas.values()))
        return dominant_eigenvalue(gradient, start, np.random.default_rng(0))
