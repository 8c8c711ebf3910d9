"""One layer of long short-term memory, forwards and backwards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optuna_nas.search.policy.policies import Array


def halved(weights: Array) -> Array:
    """Weights of z / 2 for i, f and o, which is what `step` takes: shape (..., 4 hidden)."""
    scaled = weights.copy()
    scaled[..., : 3 * (weights.shape[-1] // 4)] *= 0.5
    return scaled


def parts(gates: Array) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Views of the gates that `step` takes: all, those with a sigmoid, and i, f, o, g."""
    size = gates.shape[-1] // 4
    i, f, o, g = (gates[..., k * size : (k + 1) * size] for k in range(4))
    return gates, gates[..., : 3 * size], i, f, o, g


def step(
    gates: Array,
    sigmoids: Array,
    i: Array,
    f: Array,
    o: Array,
    g: Array,
    cell: Array,
    new: Array,
    squashed: Array,
    hidden: Array,
) -> None:
    """One step (Hochreiter & Schmidhuber 1997, with forget gates), in place:

        i, f, o = sigmoid(z_i), sigmoid(z_f), sigmoid(z_o);  g = tanh(z_g);                     (1)
        c = f c_before + i g;  h = o tanh(c).                                                   (2)

    Args:
        gates: z, with z / 2 for i, f and o; becomes the gates.
        sigmoids, i, f, o, g: The other `parts` of it.
        cell: c_before, shape (rows, hidden).
        new: Becomes c; may be `cell`.
        squashed: Becomes tanh(c).
        hidden: Becomes h.
    """
    np.tanh(gates, gates)
    sigmoids *= 0.5  # sigmoid(x) = (1 + tanh(x / 2)) / 2: one tanh for all four
    sigmoids += 0.5
    np.multiply(f, cell, new)
    new += i * g
    np.tanh(new, squashed)
    np.multiply(o, squashed, hidden)


@dataclass(frozen=True, eq=False)
class Pass:
    """The way through some steps.

    Attributes:
        decided: Which rows took part in a step, shape (steps, rows).
        gates: Shape (steps, rows, 4 hidden).
        hidden: h at first and behind each step, shape (1 + steps, rows, hidden).
        cell: c, likewise.
        squashed: tanh(c) behind each step, for who took part: shape (steps, rows, hidden).
    """

    decided: NDArray[np.bool_]
    gates: Array
    hidden: Array
    cell: Array
    squashed: Array


def forward(z: Array, recurrent: Array, decided: NDArray[np.bool_]) -> Pass:
    """All steps from h = c = 0.

    Args:
        z: What the inputs and the bias add to z, `halved`, shape (steps, rows, 4 hidden); becomes
            the gates.
        recurrent: Weights of h, shape (hidden, 4 hidden).
        decided: Which rows take part, shape (steps, rows); the others keep their h and c.
    """
    steps, rows, width = z.shape
    hidden, cell = np.zeros((2, 1 + steps, rows, width // 4))
    squashed = np.empty((steps, rows, width // 4))
    weights = halved(recurrent)
    absent = ~decided[..., None]
    absentees = absent.sum(axis=(1, 2)).tolist()
    views = zip(*parts(z), cell, cell[1:], squashed, hidden[1:], strict=False)
    for t, view in enumerate(views):
        gates = view[0]
        gates += hidden[t] @ weights
        step(*view)
        if absentees[t]:
            np.copyto(hidden[t + 1], hidden[t], where=absent[t])
            np.copyto(cell[t + 1], cell[t], where=absent[t])
    return Pass(decided, z, hidden, cell, squashed)


def backward(way: Pass, recurrent: Array, d_hidden: Array) -> Array:
    """Slopes in z, by back-propagation through time.

    Args:
        way: What `forward` returned.
        recurrent: Weights of h, shape (hidden, 4 hidden).
        d_hidden: Slopes in h behind each step other than through later ones, shape
            (steps, rows, hidden).

    Returns:
        Shape (steps, rows, 4 hidden).
    """
    steps, rows, size = d_hidden.shape
    # What all steps have in common of the slopes of (1) and (2); who is absent takes no part.
    decided = way.decided[..., None]
    _, _, i, f, o, g = parts(way.gates)
    cell_of_hidden = decided * o * (1 - way.squashed**2)
    cell_of_cell = np.where(decided, f, 1.0)
    into = np.empty((steps, rows, 4, size))  # slopes of c, or of h, in z
    into[:, :, 0] = g * i * (1 - i)
    into[:, :, 1] = way.cell[:-1] * f * (1 - f)
    into[:, :, 2] = way.squashed * o * (1 - o)
    into[:, :, 3] = i * (1 - g**2)
    into *= decided[..., None]
    slopes = np.empty_like(into)
    flat = slopes.reshape(steps, rows, 4 * size)
    absent = ~decided
    absentees = absent.sum(axis=(1, 2)).tolist()
    back = np.ascontiguousarray(recurrent.T)
    dh, dc = np.zeros((2, rows, size))  # in the state behind a step
    product = np.empty_like(dh)
    views = (d_hidden, cell_of_hidden, cell_of_cell, into, into[:, :, 2], slopes, slopes[:, :, 2])
    for t, direct, of_hidden, of_cell, d_in, d_o, d_z, d_z_o in zip(
        reversed(range(steps)), *(view[::-1] for view in views), strict=True
    ):
        dh += direct
        np.multiply(dh, of_hidden, product)
        dc += product
        np.multiply(d_in, dc[:, None], d_z)
        np.multiply(d_o, dh, d_z_o)
        before = flat[t] @ back
        if absentees[t]:
            before += dh * absent[t]
        dh = before
        dc *= of_cell
    return flat
