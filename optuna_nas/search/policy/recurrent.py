"""The recurrent policy: a controller that writes an architecture down, decision by decision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optuna_nas.search.policy.layout import Layout, summed
from optuna_nas.search.policy.lstm import Pass, backward, forward, halved, parts
from optuna_nas.search.policy.lstm import step as take_step
from optuna_nas.search.policy.policies import INITIAL_SEED, Array, Parameters
from optuna_nas.search.policy.vocabulary import Vocabulary

_INITIAL_RANGE = 0.1  # of uniform initial weights, as in the controller of ENAS


class RecurrentPolicy:
    """An LSTM reads which value was chosen last and what is to be decided next.

    The controller of Zoph & Le 2017 and of ENAS (Pham et al. 2018), for any set of decisions: the
    embedding of the last choice and that of the next decision are added up and fed to one LSTM
    layer, whose z (see `optuna_nas.search.policy.lstm.step`) is affine in them and in h_before. Of
    its h the logits are

        W[kind] h + b[slot].                                                                    (3)

    Decisions alike (see `Decision.kinds`) share embeddings and W, as the controllers share theirs
    between layers; b is a decision's own, so that what is good here and not there is learnt as fast
    as in a table. W and b are 0 at first: each value is as likely.

    Args:
        hidden: Size of the LSTM and of the embeddings.
    """

    def __init__(self, hidden: int) -> None:
        self._hidden = hidden

    def grown(self, parameters: Parameters, vocabulary: Vocabulary) -> Parameters:
        """See `Policy.grown`."""
        size = self._hidden
        shapes = {
            "input": (size, 4 * size),
            "recurrent": (size, 4 * size),
            "bias": (4 * size,),
            "tokens": (1 + len(vocabulary.kinds), size),  # the first: nothing was chosen yet
            "names": (len(vocabulary.names), size),
            "heads": (len(vocabulary.kinds), size),
            "offsets": (len(vocabulary.slots),),
        }
        grown = {}
        for number, (name, shape) in enumerate(shapes.items()):
            old = parameters.get(name, np.zeros((0, *shape[1:])))
            if old.shape == shape:
                grown[name] = old
                continue
            new = np.zeros(shape)
            if name not in ("bias", "heads", "offsets"):
                rng = np.random.default_rng([INITIAL_SEED, number])
                new = rng.uniform(-_INITIAL_RANGE, _INITIAL_RANGE, shape)
            new[: len(old)] = old
            grown[name] = new
        return grown

    def score(
        self, parameters: Parameters, layout: Layout, choices: NDArray[np.int64]
    ) -> tuple[Array, _Record]:
        """See `Policy.score`."""
        p = parameters
        tokens = _last_tokens(layout, choices)
        inputs = p["tokens"][tokens] + p["names"][layout.rows][:, None]  # (steps, rows, hidden)
        z = inputs @ halved(p["input"]) + halved(p["bias"])
        way = forward(z, p["recurrent"], choices.T >= 0)
        heads = p["heads"][layout.kinds]  # (steps, cells, hidden)
        logits = way.hidden[1:] @ heads.transpose(0, 2, 1)
        logits += p["offsets"][layout.slots][:, None]  # (3)
        return logits, _Record(layout, tokens, inputs, way)

    def gradient(self, parameters: Parameters, record: _Record, slopes: Array) -> Parameters:
        """See `Policy.gradient`."""
        p, size, layout, way = parameters, self._hidden, record.layout, record.way
        d_hidden = slopes @ p["heads"][layout.kinds]  # (steps, rows, hidden)
        d_z = backward(way, p["recurrent"], d_hidden)
        flat = d_z.reshape(-1, 4 * size)
        d_inputs = d_z @ p["input"].T  # (steps, rows, hidden)
        d_heads = slopes.transpose(0, 2, 1) @ way.hidden[1:]  # (steps, cells, hidden)
        return {
            "input": record.inputs.reshape(-1, size).T @ flat,
            "recurrent": way.hidden[:-1].reshape(-1, size).T @ flat,
            "bias": flat.sum(axis=0),
            "tokens": summed(d_inputs, record.tokens, len(p["tokens"])),
            "names": summed(d_inputs.sum(axis=1), layout.rows, len(p["names"])),
            "heads": summed(d_heads, layout.kinds, len(p["heads"])),
            "offsets": summed(slopes.sum(axis=1), layout.slots, len(p["offsets"])),
        }

    def writer(self, parameters: Parameters, layout: Layout) -> _Writer:
        """See `Policy.writer`."""
        return _Writer(parameters, layout, self._hidden)


class _Writer:
    """See `Writer`. What does not depend on the choices is computed once.

    Args:
        parameters: The policy's.
        layout: The decisions.
        size: Of the LSTM.
    """

    def __init__(self, parameters: Parameters, layout: Layout, size: int) -> None:
        p, matrix = parameters, halved(parameters["input"])
        self._of_names = p["names"][layout.rows] @ matrix + halved(p["bias"])  # added to z
        self._of_tokens = p["tokens"] @ matrix  # likewise
        self._recurrent = halved(p["recurrent"])
        self._heads = p["heads"][layout.kinds]  # (steps, cells, hidden)
        self._offsets = p["offsets"][layout.slots]  # (steps, cells)
        self._kinds = layout.kinds
        self._gates = np.empty(4 * size)
        self._hidden, self._cell, self._squashed = np.empty((3, size))
        self._views = (
            *parts(self._gates),
            self._cell,
            self._cell,
            self._squashed,
            self._hidden,
        )
        self.restart()

    def restart(self) -> None:
        """See `Writer.restart`."""
        self._hidden[:] = self._cell[:] = 0.0
        self._token = 0

    def logits(self, step: int) -> Array:
        """See `Writer.logits`."""
        gates = self._gates
        np.dot(self._hidden, self._recurrent, gates)
        gates += self._of_names[step]
        gates += self._of_tokens[self._token]
        take_step(*self._views)
        logits: Array = self._heads[step] @ self._hidden
        logits += self._offsets[step]
        return logits  # (3)

    def choose(self, step: int, cell: int) -> None:
        """See `Writer.choose`."""
        self._token = 1 + int(self._kinds[step, cell])


@dataclass(frozen=True, eq=False)
class _Record:
    """What `RecurrentPolicy.gradient` needs of `score`.

    Attributes:
        layout: The decisions.
        tokens: What was chosen last, as a row of the embeddings, shape (steps, rows).
        inputs: Of the LSTM, shape (steps, rows, hidden).
        way: Through the LSTM.
    """

    layout: Layout
    tokens: NDArray[np.int64]
    inputs: Array
    way: Pass


def _last_tokens(layout: Layout, choices: NDArray[np.int64]) -> NDArray[np.int64]:
    """What was chosen last before each step, as rows of the embeddings: shape (steps, rows)."""
    steps = np.arange(len(layout.rows))[:, None]
    decided = choices.T >= 0
    chosen = np.where(decided, 1 + layout.kinds[steps, choices.T], 0)
    last = np.maximum.accumulate(np.where(decided, steps, -1), axis=0)  # step of the last choice
    tokens = np.zeros_like(chosen)
    tokens[1:] = np.where(last >= 0, np.take_along_axis(chosen, np.maximum(last, 0), 0), 0)[:-1]
    return tokens
