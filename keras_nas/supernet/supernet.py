"""`Supernet`: all architectures of a space trained at once, with shared weights."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from keras_nas.supernet.adam import Arrays
from keras_nas.supernet.examples import Examples, features_of
from keras_nas.supernet.expected_cost import CostTerm, ExpectedCost
from keras_nas.supernet.extraction import calibrated, extracted, score
from keras_nas.supernet.findings import Findings
from keras_nas.supernet.named_policies import policy_of
from keras_nas.supernet.network import SuperNetwork
from keras_nas.supernet.policies import PathPolicy
from keras_nas.supernet.regularization import AlphaLoss, BetaDecay
from keras_nas.supernet.search import Method
from keras_nas.supernet.supernet_training import SupernetTraining
from optuna_nas.errors import SupernetError
from optuna_nas.space import Genotype, SearchSpace
from optuna_nas.supergraph import Role, SuperGraph

CALIBRATION_IMAGES = 2048


class Supernet(SupernetTraining):
    """A network that holds every architecture of a space, its layers shared among them.

    It is a `optuna_nas.search.gradient_source.GradientSource`, for a `DARTSSampler`.

    Args:
        space: The space.
        policy: How paths are chosen while weights are trained. "even": all at once and alike; when
            that is done, those are selected that the supernet can least do without (DARTS-PT).
            With alphas, which the architecture is read from: "softmax" (DARTS), "gumbel" (GDAS),
            "binary_gates" (ProxylessNAS), "dirichlet" (DrNAS), "sigmoid" (FairDARTS). One path at a
            time, to `evaluate` architectures with: "uniform" (SPOS), "fair" (FairNAS). Or a
            `PathPolicy`.
        order: 1 or 2: of the gradient of the alphas.
        affine: Whether batch normalisation inside cells and mixtures has a scale and an offset.
        partial: Give operations of cells one in so many channels, the others pass by (PC-DARTS: 4).
            Such a supernet finds architectures, but its layers are narrower than theirs, so it can
            neither evaluate nor extract one.
        regularization: Losses on the alphas; beta-DARTS's where left out.
        cost: The expected cost of an architecture and the loss made of it, to be kept low too.
        auxiliary_skip: "linear" or "cosine": a further skip beside each mixture, which fades so
            (DARTS-).
        eigenvalue_every: Epochs between measurements of the dominant eigenvalue of the validation
            loss's Hessian in the alphas; None measures none. Where it grows fast, the search ends
            with the architecture from before (R-DARTS).
        exclude: Roles that the discretised architecture does without, as in `value_logits`.
        most_skips: Most skips of a cell of the discretised architecture.
        seed: Seeds weights, the split of examples, their order and paths; None draws one.

    Raises:
        SupernetError: The space has decisions that can't be shared, or an argument has no meaning.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        policy: str | PathPolicy = "even",
        order: int = 1,
        affine: bool = False,
        partial: int = 1,
        regularization: Sequence[AlphaLoss] | None = None,
        cost: tuple[ExpectedCost, CostTerm] | None = None,
        auxiliary_skip: str | None = None,
        eigenvalue_every: int | None = None,
        exclude: Collection[Role] | None = None,
        most_skips: int | None = None,
        seed: int | None = None,
    ) -> None:
        if not isinstance(space, SearchSpace):
            raise SupernetError(
                f"space must be a SearchSpace, such as nas_bench_201(), got {space!r}.", space
            )
        unknown = set(exclude or ()) - set(get_args(Role))
        if unknown:
            raise SupernetError(
                f"exclude must be some of {', '.join(get_args(Role))}, got {sorted(unknown)}.",
                exclude,
            )
        if order not in (1, 2):
            raise SupernetError(f"order must be 1 or 2, got {order!r}.", order)
        if auxiliary_skip not in (None, "linear", "cosine"):
            raise SupernetError(
                f"auxiliary_skip must be 'linear', 'cosine' or None, got {auxiliary_skip!r}.",
                auxiliary_skip,
            )
        self.space = space
        if partial < 1:
            raise SupernetError(f"partial must be 1 or more, got {partial!r}.", partial)
        self._partial = partial
        graph, chosen = SuperGraph.of(space, partial=partial), policy_of(policy)
        if not chosen.learns:
            for name, given in (
                ("order", order != 1),
                ("regularization", regularization is not None),
                ("cost", cost is not None),
                ("eigenvalue_every", eigenvalue_every is not None),
            ):
                if given:
                    raise SupernetError(
                        f"{name} is about alphas, which the policy {policy!r} does without; take "
                        "policy='softmax' or another one that learns.",
                        policy,
                    )
        losses = (BetaDecay(),) if regularization is None else tuple(regularization)
        rng = np.random.default_rng(seed)
        super().__init__(
            SuperNetwork(graph, affine=affine, seed=int(rng.integers(2**31))),
            chosen,
            Method(order, losses, cost, auxiliary_skip),
            Findings(graph, chosen, exclude, most_skips),
            eigenvalue_every,
            rng,
        )

    # --- what it found ------------------------------------------------------------------------

    @property
    def alphas(self) -> Arrays:
        """Alphas (size,) by decision, as they count in the end; empty before the first epoch."""
        return self._findings.alphas(self._record)

    @property
    def alpha_history(self) -> list[Arrays]:
        """Alphas after each epoch."""
        return self._record.alphas

    def probabilities(self) -> dict[str, NDArray[np.float64]]:
        """How strong each alternative is, (size,), by decision."""
        return self._findings.probabilities(self._record)

    def logits(self) -> dict[str, NDArray[np.float64]]:
        """One logit for each value of each decision; the largest are the architecture found."""
        return self._findings.logits(self._record)

    def genotype(self) -> Genotype:
        """The architecture found; the most probable feasible one.

        Raises:
            SupernetError: There are no alphas, and nothing was selected by perturbation.
            InfeasibleSpaceError: Of the most probable ones none is feasible.
        """
        return self._findings.genotype(self._record)

    def status(self) -> dict[str, float | str | bool]:
        """Figures of the last epoch, with "epoch", and "alarm": why the search has collapsed."""
        last = self.history[-1] if self.history else {}
        return {"epoch": 0, **last, "alarm": last.get("reason", "")}

    def count_params(self) -> int:
        """Trainable scalars of the whole supernet."""
        return self.network.count_params()

    # --- single architectures -----------------------------------------------------------------

    def evaluate(
        self,
        genotype: Genotype,
        x: Any,
        y: Any,
        *,
        calibration: Any = None,
        batch_size: int = 256,
    ) -> tuple[float, float]:
        """Mean cross-entropy and accuracy of an architecture with the supernet's weights.

        Args:
            genotype: The architecture.
            x: Features, (examples, ...).
            y: Classes, (examples,).
            calibration: Training features that batch normalisation takes its statistics from;
                without them each batch is normalised by its own.
            batch_size: Examples computed at once.

        Raises:
            GenotypeError: The genotype is not one of the space.
            InfeasibleArchitectureError: It has no valid network.
            DataError: Examples do not fit the space.
            SupernetError: The supernet has only part of the channels.
        """
        self._check_whole("evaluate")
        self.space.graph(genotype)
        examples = Examples.of(x, y, self.graph, "x")
        statistics = None
        if calibration is not None:
            images = features_of(calibration, self.graph, "calibration")
            statistics = calibrated(self.network, genotype, images, batch_size)
        return score(self.network, genotype, examples, statistics, batch_size)

    def extract(
        self,
        genotype: Genotype,
        *,
        calibration: Any = None,
        batch_size: int = 256,
        name: str = "network",
    ) -> Any:
        """A Keras model of an architecture on its own, with the supernet's weights.

        Args:
            genotype: The architecture.
            calibration: Training features from which the moving statistics of batch normalisation
                come; left out, they are some of those that the weights were trained on.
            batch_size: Examples computed at once.
            name: The model's name.

        Raises:
            SupernetError: There are no features to calibrate with, or the supernet has only part
                of the channels.
        """
        self._check_whole("extract")
        self.space.graph(genotype)
        if calibration is not None:
            images = features_of(calibration, self.graph, "calibration")
        elif self._search is not None:
            images = self._search.training.x[:CALIBRATION_IMAGES]
        else:
            raise SupernetError(
                "extract needs calibration=: training features from which batch normalisation "
                "takes its statistics."
            )
        statistics = calibrated(self.network, genotype, images, batch_size)
        return extracted(self.network, genotype, statistics, name=name)

    def _check_whole(self, what: str) -> None:
        if self._partial > 1:
            raise SupernetError(
                f"A supernet with partial={self._partial} can't {what} an architecture: its layers "
                "have fewer channels than the architecture's own. Train what genotype() gives, or "
                "make a supernet without partial=.",
                self._partial,
            )
