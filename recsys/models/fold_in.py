"""A history's latent factor, solved under a model's own loss while the items stay as they are."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit
from threadpoolctl import ThreadpoolController

from recsys.interactions.tables import FloatArray, IntArray, Matrix

Doubles = npt.NDArray[np.float64]
Gradient = Callable[[FloatArray], FloatArray]


@cache
def blas() -> ThreadpoolController:
    """Return the switch of BLAS threads: many small products are fastest with one."""
    return ThreadpoolController().select(user_api="blas")


def least_squares(matrix: Matrix, items: FloatArray, gram: Doubles, alpha: float) -> FloatArray:
    """Return the exact minimum of implicit ALS's loss for each history, (b, factors).

    w = (YᵀY + λI + Yᵀ(C − I)Y)⁻¹ YᵀCp, in float64; 0 for an empty history.

    Parameters
    ----------
    matrix
        Histories, (b, n_items).
    items
        Y, (n_items, factors).
    gram
        YᵀY + λI, (factors, factors).
    alpha
        Confidence of an entry of weight 1.
    """
    users = np.zeros((matrix.shape[0], items.shape[1]), np.float32)
    with blas().limit(limits=1):
        for row in np.flatnonzero(np.diff(matrix.indptr)):
            entries = slice(matrix.indptr[row], matrix.indptr[row + 1])
            held = items[matrix.indices[entries]].astype(np.float64)  # (n, factors)
            confidence = alpha * matrix.data[entries].astype(np.float64)
            normal = gram + held.T @ (held * (confidence - 1)[:, None])
            users[row] = cho_solve(cho_factor(normal, check_finite=False), held.T @ confidence)
    return users


def descend(gradient: Gradient, curvature: Doubles, factors: int, steps: int) -> FloatArray:
    """Return where `steps` of Nesterov's accelerated gradient lead from 0, (b, factors).

    Parameters
    ----------
    gradient
        Of each row's convex loss: (b, factors) -> (b, factors).
    curvature
        (b,): a bound L on each row's second derivatives; the step is 1 / L.
    factors, steps
        Latent dimensions, and how many steps.
    """
    size = (1 / curvature)[:, None].astype(np.float32)
    users = ahead = np.zeros((len(curvature), factors), np.float32)
    for step in range(steps):
        moved = ahead - size * gradient(ahead)
        ahead = moved + np.float32(step / (step + 3)) * (moved - users)
        users = moved
    return users


def pairwise_loss(
    matrix: Matrix, items: FloatArray, biases: FloatArray, drawn: IntArray, l2: float
) -> tuple[Gradient, Doubles]:
    """Return the gradient and the curvature of BPR's loss.

        E_ij[−ln σ(w·(y_i − y_j) + b_i − b_j)] + λ/2 ‖w‖²,  i held, j drawn and not held

    Parameters
    ----------
    matrix
        Histories, (b, n_items).
    items, biases
        Y, (n_items, factors), and b, (n_items,).
    drawn
        (m,): items among which each j is.
    l2
        λ.
    """
    counts = np.diff(matrix.indptr)
    rows = np.repeat(np.arange(len(counts)), counts)
    held, others = items[matrix.indices], items[drawn]
    gaps = biases[matrix.indices][:, None] - biases[drawn]  # (nnz, m)
    free = matrix[:, drawn].toarray() == 0  # (b, m): not in the history
    pairs = np.maximum(free.sum(axis=1) * counts, 1)
    share = (free / pairs[:, None])[rows].astype(np.float32)  # (nnz, m), 1 in all a row
    ones, each = np.ones(len(rows), np.float32), np.arange(len(rows))
    add_up = sp.csr_array((ones, each, matrix.indptr), shape=(len(counts), len(rows)))

    def gradient(users: FloatArray) -> FloatArray:
        scores = np.einsum("nf,nf->n", users[rows], held)
        pull = share * expit((users @ others.T)[rows] - scores[:, None] - gaps)
        down: FloatArray = add_up @ pull @ others - add_up @ (held * pull.sum(1)[:, None])
        return down + np.float32(l2) * users

    # ‖y_i − y_j‖² ≤ 2 ‖y_i‖² + 2 ‖y_j‖², and σ' ≤ 1/4
    lengths = (held**2).sum(1)[:, None] + (others**2).sum(1)
    curvature: Doubles = (add_up @ (share * lengths)).sum(1) / 2 + l2
    return gradient, curvature


def logistic_loss(
    matrix: Matrix,
    items: FloatArray,
    biases: FloatArray,
    drawn: IntArray,
    *,
    negatives: npt.NDArray[np.integer],
    l2: float,
) -> tuple[Gradient, Doubles]:
    """Return the gradient and the curvature of logistic matrix factorisation's loss.

        −Σ_i x_i ln σ(s_i) − m E_j[ln(1 − σ(s_j))] + λ/2 ‖w‖²,  s_i = w·y_i + b_i,  j drawn

    Parameters
    ----------
    matrix, items, biases, drawn, l2
        As for `pairwise_loss`.
    negatives
        (b,): m, how much the drawn items count together.
    """
    counts = np.diff(matrix.indptr)
    rows = np.repeat(np.arange(len(counts)), counts)
    held, others = items[matrix.indices], items[drawn]
    share = (negatives / len(drawn))[:, None].astype(np.float32)  # (b, 1): what one j counts

    def gradient(users: FloatArray) -> FloatArray:
        scores = np.einsum("nf,nf->n", users[rows], held) + biases[matrix.indices]
        pull = matrix.data * expit(-scores)
        pulls = sp.csr_array((pull, matrix.indices, matrix.indptr), shape=matrix.shape)
        push = share * expit(users @ others.T + biases[drawn])
        down: FloatArray = push @ others - pulls @ items
        return down + np.float32(l2) * users

    lengths = np.bincount(rows, matrix.data * (held**2).sum(1), minlength=len(counts))
    curvature: Doubles = (lengths + negatives * (others**2).sum(1).mean()) / 4 + l2
    return gradient, curvature
